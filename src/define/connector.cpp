#include "define/connector.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "core/tells.h"
#include "define/check.h"
#include "define/expectation.h"
#include "json/parse.h"
#include "target/call.h"
#include "target/compare.h"
#include "target/outcome.h"
#include "target/trace.h"

namespace trued::define {
namespace {

// Who asks, for which operation: what requests of all kinds have in common.
struct Asker {
  OperationId operation;
  std::optional<AttemptNo> attempt;
  std::string identity;
  std::string key;
  std::string scope;
  std::string actor;
};

// What templates are filled in with, held together.
class Filling {
 public:
  Filling(const Definition& definition, const Asker& asker, const Intent& intent,
          const std::string& result)
      : operation_(operation_of(definition, asker)) {
    auto input = json::parse(intent.input);
    if (input.has_value()) input_ = std::move(*input);
    values_.operation = &operation_;
    if (input_) values_.input = &*input_;
    auto answered = result.empty() ? Result<json::Value>(Error{}) : json::parse(result);
    if (answered.has_value()) result_ = std::move(*answered);
    if (result_) values_.result = &*result_;
  }
  Filling(const Filling&) = delete;
  Filling& operator=(const Filling&) = delete;

  [[nodiscard]] const Values& values() const { return values_; }

  // The same for one artifact.
  const Values& of(const std::string& name) {
    json::Value::Object members;
    members.emplace_back("name", json::Value(name));
    members.emplace_back("path", json::Value(name));
    artifact_ = json::Value(std::move(members));
    values_.artifact = &artifact_;
    return values_;
  }

 private:
  // What is not known is left out, so that a template that needs it says so.
  static json::Value operation_of(const Definition& definition, const Asker& asker) {
    json::Value::Object members;
    const auto add = [&](const char* name, const std::string& text) {
      if (!text.empty()) members.emplace_back(name, json::Value(text));
    };
    if (asker.attempt) {
      members.emplace_back("attempt", json::Value(std::int64_t{asker.attempt->value()}));
    }
    add("id", to_string(asker.operation));
    add("identity", asker.identity);
    add("key", asker.key);
    add("scope", asker.scope);
    add("type", definition.name);
    return json::Value(std::move(members));
  }

  json::Value operation_;
  std::optional<json::Value> input_;
  std::optional<json::Value> result_;
  json::Value artifact_;
  Values values_;
};

CallContext context_of(const Asker& asker, Duration timeout) {
  CallContext context;
  context.operation = asker.operation;
  context.attempt = asker.attempt.value_or(AttemptNo(1));
  context.identity = asker.identity;
  context.actor = asker.actor;
  context.traceparent = traceparent_of(context.operation, context.attempt, context.identity);
  context.timeout = timeout;
  return context;
}

std::string words(const CallSpec& spec, const RenderFault& fault) {
  return spec.pointer.substr(1) + ": " + fault.detail;
}

RawRead read_stored(Connector& store, std::string path, const Asker& asker, Duration timeout) {
  auto intent = std::make_shared<Intent>();
  intent->artifacts.emplace_back();
  intent->artifacts.front().name = std::move(path);
  const std::string wrong = store.check_name(intent->artifacts.front().name);
  if (!wrong.empty()) return read_unreadable(wrong);
  ReadRequest request;
  request.intent = std::move(intent);
  request.artifacts = {0};
  request.operation = asker.operation;
  request.identity = asker.identity;
  request.timeout = timeout;
  auto reads = store.read(request);
  if (reads.size() != 1) return read_unreadable("the store answered for other artifacts");
  return std::move(reads.front());
}

// One read that a definition declares, of whichever target.
RawRead read_as_declared(const Targets& targets, const CallSpec& spec, const Values& values,
                         const Asker& asker, Duration timeout) {
  const auto target = targets.find(spec.target);
  if (target == targets.end()) {
    return read_unreadable("there is no target '" + spec.target + "' any more");
  }
  CallTarget* calls = target->second.calls.get();
  auto call = spec.call.render(values, calls == nullptr ? EncodingAt() : call_encoding);
  if (!call.has_value()) return read_unreadable(words(spec, call.error()));
  if (calls != nullptr) {
    return calls->read({.context = context_of(asker, timeout), .request = std::move(*call)});
  }
  json::Value* path = call->find("path");
  if (path == nullptr || !path->is_string()) {
    return read_unreadable(spec.pointer.substr(1) + ": the path is no text");
  }
  return read_stored(*target->second.store, std::move(*path).take_string(), asker, timeout);
}

// Whether something that was expected is what was found.
struct Compared {
  Verdict verdict = Verdict::unreadable;
  std::string expected;
  std::string seen;  ///< unreadable: why
};

Compared compare(const Expect& expect, const Values& values, RawRead read) {
  Compared compared;
  auto meant = expectation(expect, values);
  if (!meant.has_value()) {
    compared.seen = expect.pointer.substr(1) + ": " + meant.error().detail;
    return compared;
  }
  compared.expected = describe(*meant);
  const Observation seen = observe(*meant, 0, Level::store, std::move(read), {});
  compared.verdict = judge(*meant, seen);
  switch (seen.seen) {
    case Seen::absent:
      compared.seen = "nothing there";
      break;
    case Seen::found:
      compared.seen = seen.detail.empty() ? "sha256 " + seen.id.sha256.hex() + ", " +
                                                std::to_string(seen.id.bytes) + " bytes"
                                          : seen.detail;
      break;
    case Seen::unreadable:
      compared.seen = seen.detail;
      break;
  }
  return compared;
}

// ---- preconditions ------------------------------------------------------------------------------

// What stands in the way of the effect; nothing if nothing does.
using Obstacle = std::optional<EffectResult>;

// Whoever is asked about a precondition, it is not the target of the effect that is in the way.
EffectResult obstacle(EffectKind kind, std::string reason) {
  TRUED_ASSERT(kind == EffectKind::not_sent || kind == EffectKind::rejected_final);
  EffectResult result = effect_ended(kind, std::move(reason));
  result.asked = false;
  return result;
}

Obstacle stale(const Requirement& requirement, const std::string& expected,
               const std::string& seen) {
  return obstacle(EffectKind::rejected_final,
                  stale_reason(requirement.pointer.substr(1), expected, seen));
}

Obstacle not_told(const Requirement& requirement, const std::string& why) {
  return obstacle(EffectKind::not_sent, "the precondition " + requirement.pointer.substr(1) +
                                            " cannot be checked: " + why);
}

Obstacle check_fact(const Targets& targets, const Requirement& requirement, const Values& values,
                    const Asker& asker, Duration timeout) {
  RawRead read = read_as_declared(targets, *requirement.read, values, asker, timeout);
  const Compared compared = compare(requirement.expect, values, std::move(read));
  switch (compared.verdict) {
    case Verdict::match:
      return std::nullopt;
    case Verdict::mismatch:
      return stale(requirement, compared.expected, compared.seen);
    case Verdict::unreadable:
      return not_told(requirement, compared.seen);
  }
  return std::nullopt;
}

Result<OperationRef, std::string> named_operation(const Requirement& requirement,
                                                  const Values& values, const Asker& asker) {
  OperationRef ref;
  if (requirement.type.empty()) {
    auto id = requirement.id.render_text(values);
    if (!id.has_value()) return std::move(id.error().detail);
    ref.id = parse_operation_id(*id);
    if (!ref.id) return "'" + printable(*id, 80) + "' is no id of an operation";
  }
  ref.identity = {.scope = asker.scope, .type = requirement.type, .key = {}};
  if (!ref.id) {
    auto key = requirement.key.render_text(values);
    if (!key.has_value()) return std::move(key.error().detail);
    ref.identity.key = std::move(*key);
  }
  if (requirement.scope.source().is_null()) return ref;
  auto scope = requirement.scope.render_text(values);
  if (!scope.has_value()) return std::move(scope.error().detail);
  ref.identity.scope = std::move(*scope);
  return ref;
}

Obstacle check_operation(const StatusOf& status_of, const Requirement& requirement,
                         const Values& values, const Asker& asker) {
  const auto ref = named_operation(requirement, values, asker);
  if (!ref.has_value()) return not_told(requirement, ref.error());
  if (!status_of) return not_told(requirement, "the state of other operations is not known here");
  const auto status = status_of(*ref);
  if (!status.has_value()) return not_told(requirement, status.error().message);
  const auto& wanted = requirement.statuses;
  if (*status && std::ranges::find(wanted, **status) != wanted.end()) return std::nullopt;
  std::string expected;
  for (const Status each : wanted) {
    expected += (expected.empty() ? "" : " or ") + std::string(to_string(each));
  }
  if (!*status) return stale(requirement, expected, "no such operation");
  // What is still on its way may come to be what is required: it is waited for.
  if (**status == Status::pending) {
    return obstacle(EffectKind::not_sent, "waits for " + requirement.pointer.substr(1) +
                                              ": expected " + expected + ", seen pending");
  }
  return stale(requirement, expected, std::string(to_string(**status)));
}

// ---- history ------------------------------------------------------------------------------------

History history_of(Happened happened, std::string version, std::size_t artifacts) {
  History history;
  history.known = happened != Happened::maybe;
  if (!history.known) return history;
  history.ours_present = happened == Happened::yes;
  history.our_version = std::move(version);
  history.artifacts.resize(artifacts);
  for (ArtifactHistory& each : history.artifacts) each.landed = history.ours_present;
  TRUED_ASSERT(history.known && history.artifacts.size() == artifacts);
  return history;
}

History run_probe(const Targets& targets, const ProbeSpec& probe, const Values& values,
                  const Asker& asker, Duration timeout, std::size_t artifacts) {
  RawRead read = read_as_declared(targets, probe.read, values, asker, timeout);
  if (read.seen == Seen::unreadable) return {};
  std::string version = printable(read.version, 256);
  const bool yes = compare(probe.happened, values, read).verdict == Verdict::match;
  const bool no =
      probe.did_not && compare(*probe.did_not, values, std::move(read)).verdict == Verdict::match;
  if (yes == no) return {};
  TRUED_ASSERT(yes || probe.did_not.has_value());
  return history_of(yes ? Happened::yes : Happened::no, yes ? std::move(version) : "", artifacts);
}

const Target& effect_target(const Definition& definition, const Targets& targets) {
  const auto found = targets.find(definition.target);
  TRUED_ASSERT(found != targets.end());
  return found->second;
}

Asker asker_of(const ReadRequest& request) {
  return {.operation = request.operation,
          .attempt = std::nullopt,
          .identity = request.identity,
          .key = request.key,
          .scope = request.scope,
          .actor = ""};
}

// Each artifact by its own read, within one budget.
template <class SpecOf>
std::vector<RawRead> read_each(const Definition& definition, const Targets& targets,
                               const ReadRequest& request, SpecOf spec_of) {
  const Asker asker = asker_of(request);
  Filling filling(definition, asker, *request.intent, request.result);
  Stopwatch watch;
  std::vector<RawRead> reads;
  reads.reserve(request.artifacts.size());
  for (const std::uint32_t index : request.artifacts) {
    const CallSpec* spec =
        index < definition.artifacts.size() ? spec_of(definition.artifacts.at(index)) : nullptr;
    const Duration left = watch.left_of(request.timeout);
    const bool elsewhere = spec != nullptr && spec->target != definition.target;
    if (spec == nullptr) {
      reads.push_back(read_unreadable("the definition declares no read of it"));
    } else if (left.count() == 0) {
      reads.push_back(read_unreadable("the time for reading was over before its turn"));
    } else {
      const Values& values = filling.of(request.intent->artifacts.at(index).name);
      reads.push_back(read_as_declared(targets, *spec, values, asker, left));
    }
    reads.back().elsewhere = elsewhere;
  }
  TRUED_ASSERT(reads.size() == request.artifacts.size());
  return reads;
}

}  // namespace

// ---- the connector ------------------------------------------------------------------------------

DefinedConnector::DefinedConnector(std::shared_ptr<const Definition> definition,
                                   const Targets& targets, StatusOf status_of)
    : definition_(std::move(definition)), targets_(targets), status_of_(std::move(status_of)) {
  TRUED_ASSERT(definition_ != nullptr);
}

Capabilities DefinedConnector::capabilities() const {
  return policy_of(*definition_, targets_).capabilities;
}

EffectResult DefinedConnector::perform(const EffectRequest& request) {
  TRUED_ASSERT(request.intent != nullptr);
  const Target& target = effect_target(*definition_, targets_);
  // As it was when the version was made usable: targets do not change while they are in use.
  TRUED_ASSERT(definition_->on_store ? target.store != nullptr : target.calls != nullptr);
  const Asker asker{.operation = request.operation,
                    .attempt = request.attempt,
                    .identity = request.identity,
                    .key = request.key,
                    .scope = request.scope,
                    .actor = request.actor};
  const Filling filling(*definition_, asker, *request.intent, "");
  const Values& values = filling.values();
  Stopwatch watch;
  for (const Requirement& requirement : definition_->requirements) {
    const Duration left = watch.left_of(request.timeout);
    if (left.count() == 0) return *not_told(requirement, "the time of the attempt was over");
    Obstacle obstacle = requirement.read ? check_fact(targets_, requirement, values, asker, left)
                                         : check_operation(status_of_, requirement, values, asker);
    if (obstacle) return std::move(*obstacle);
  }
  const Duration left = watch.left_of(request.timeout);
  if (left.count() == 0) {
    return obstacle(EffectKind::not_sent,
                    "checking the preconditions took all the time of the attempt");
  }
  if (definition_->on_store) {
    EffectRequest write = request;
    write.timeout = left;
    return target.store->perform(write);
  }
  auto call = definition_->effect.call.render(values, effect_encoding(*target.calls));
  if (!call.has_value()) {
    return effect_ended(EffectKind::rejected_final,
                        "nothing was sent: " + words(definition_->effect, call.error()));
  }
  return target.calls->perform({.context = context_of(asker, left), .request = std::move(*call)});
}

std::vector<RawRead> DefinedConnector::read(const ReadRequest& request) {
  if (definition_->on_store) return effect_target(*definition_, targets_).store->read(request);
  return read_each(*definition_, targets_, request,
                   [](const ArtifactSpec& spec) { return spec.read ? &*spec.read : nullptr; });
}

History DefinedConnector::history(const HistoryRequest& request) {
  const Target& target = effect_target(*definition_, targets_);
  if (definition_->on_store) return target.store->history(request);
  if (!definition_->resolves_by(OnUnknown::probe)) return {};
  const Asker asker{.operation = request.operation,
                    .attempt = std::nullopt,
                    .identity = request.identity,
                    .key = request.key,
                    .scope = request.scope,
                    .actor = ""};
  const std::size_t artifacts = request.intent->artifacts.size();
  Stopwatch watch;
  if (definition_->probe) {
    const Filling filling(*definition_, asker, *request.intent, request.result);
    History found = run_probe(targets_, *definition_->probe, filling.values(), asker,
                              request.timeout, artifacts);
    if (found.known) return found;
  }
  if (!target.calls->capabilities().probes) return {};
  CallContext context = context_of(asker, watch.left_of(request.timeout));
  context.attempt = request.attempt;
  Probed probed = target.calls->probe(context);
  History told = history_of(probed.happened, printable(probed.version, 256), artifacts);
  if (told.ours_present) told.result = std::move(probed.result);
  return told;
}

Result<std::string> DefinedConnector::version() {
  if (!definition_->on_store) return std::string();
  return effect_target(*definition_, targets_).store->version();
}

std::string DefinedConnector::check_name(const std::string& name) const {
  if (definition_->on_store) {
    return effect_target(*definition_, targets_).store->check_name(name);
  }
  constexpr std::size_t kNameBytesMax = 1024;
  if (name.empty()) return "the name is empty";
  if (printable(name, kNameBytesMax) == name) return "";
  return "the name has more than 1024 bytes, or holds a control character";
}

bool DefinedConnector::is_inline() const {
  // Preconditions may be read of a target that blocks.
  return definition_->on_store && definition_->requirements.empty() &&
         effect_target(*definition_, targets_).store->is_inline();
}

DefinedReader::DefinedReader(std::shared_ptr<const Definition> definition, const Targets& targets)
    : definition_(std::move(definition)), targets_(targets) {
  TRUED_ASSERT(definition_ != nullptr);
}

std::vector<RawRead> DefinedReader::read(const ReadRequest& request) {
  if (!definition_->reads_serving()) {
    return effect_target(*definition_, targets_).serving->read(request);
  }
  // A consumer does not know what the effect was answered with.
  ReadRequest served = request;
  served.result.clear();
  return read_each(*definition_, targets_, served, [](const ArtifactSpec& spec) {
    return spec.serving ? &*spec.serving : nullptr;
  });
}

Result<Target> make_defined_target(std::shared_ptr<const Definition> definition,
                                   const Targets& targets, StatusOf status_of) {
  const auto missing = [&](const std::string& what) {
    return Error{.code = ErrorCode::not_found,
                 .message = "'" + definition->name + "' cannot be carried out: " + what};
  };
  for (const std::string& name : definition->targets()) {
    if (!targets.contains(name)) return missing("there is no target '" + name + "' any more");
  }
  const Target& target = effect_target(*definition, targets);
  if (definition->on_store ? target.store == nullptr : target.calls == nullptr) {
    return missing("the target '" + target.name + "' is of another kind now, " + target.kind);
  }
  Policy policy = policy_of(*definition, targets);
  const bool serves = policy.has_serving;
  auto store = std::make_unique<DefinedConnector>(definition, targets, std::move(status_of));
  std::unique_ptr<Reader> serving;
  if (serves) serving = std::make_unique<DefinedReader>(definition, targets);
  const std::string serving_kind =
      definition->reads_serving()
          ? targets.find(definition->artifacts.front().serving->target)->second.kind
          : target.serving_kind;
  return make_target(target.name, target.kind, std::move(store), std::move(serving), serving_kind,
                     policy);
}

}  // namespace trued::define
