// Definitions: which there are, and applying new ones: first what would change, then the change,
// as one operation for each name.
#include "api/definitions.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>
#include <map>
#include <mutex>
#include <utility>

#include "api/impl.h"
#include "api/receipts.h"
#include "json/writer.h"
#include "ledger/codec.h"

namespace trued::api {
namespace {

using define::ChangeKind;
using define::CurrentVersion;
using define::Definitions;
using define::PlannedChange;

constexpr Duration kPatience{30'000};  ///< with the operations that apply

/// What is asked to be applied.
struct Wanted {
  Definitions definitions;
  /// The versions that were looked at; nothing if nobody looked.
  std::optional<std::map<std::string, std::uint32_t>> expected;
  bool prune = false;
  bool dry_run = false;
};

void add_faults(const std::string& name, const define::Faults& faults, Problem& problem) {
  for (const define::Fault& fault : faults) {
    problem.errors.push_back({.operation = name, .pointer = fault.pointer, .detail = fault.detail});
  }
}

bool read_definitions(const json::Value& list, Definitions& out, Problem& problem) {
  for (const auto& [name, tree] : list.members()) {
    define::Faults faults;
    auto definition = define::parse_definition(name, tree, faults);
    add_faults(name, faults, problem);
    if (definition) out.emplace(name, std::move(definition));
  }
  return problem.errors.empty();
}

bool read_expected(const json::Value& list, Wanted& out, Problem& problem) {
  out.expected.emplace();
  for (const auto& [name, number] : list.members()) {
    if (!number.is_int() || number.as_int() < 0 ||
        number.as_int() > std::numeric_limits<std::int32_t>::max()) {
      problem = malformed("'expected' maps names to versions, 0 for none",
                          "/expected" + pointer_to(name));
      return false;
    }
    (*out.expected)[name] = static_cast<std::uint32_t>(number.as_int());
  }
  return true;
}

bool read_flag(const json::Value& body, std::string_view name, bool& out, Problem& problem) {
  const json::Value* value = body.find(name);
  if (value == nullptr) return true;
  if (!value->is_bool()) {
    problem = malformed("'" + std::string(name) + "' must be true or false", pointer_to(name));
    return false;
  }
  out = value->as_bool();
  return true;
}

bool read_wanted(const json::Value& body, Wanted& out, Problem& problem) {
  if (!body.is_object()) {
    problem = malformed("the body must be a JSON object with definitions");
    return false;
  }
  for (const auto& [name, value] : body.members()) {
    if (name == "definitions" || name == "expected" || name == "prune" || name == "dry_run") {
      continue;
    }
    problem = malformed(
        "unknown member '" + name + "'; there are definitions, expected, prune and dry_run",
        pointer_to(name));
    return false;
  }
  const json::Value* list = body.find("definitions");
  if (list == nullptr || !list->is_object()) {
    problem = malformed("'definitions' must be an object of definitions by name", "/definitions");
    return false;
  }
  const json::Value* expected = body.find("expected");
  if (expected != nullptr && !expected->is_object()) {
    problem = malformed("'expected' must be an object of versions by name", "/expected");
    return false;
  }
  return read_flag(body, "prune", out.prune, problem) &&
         read_flag(body, "dry_run", out.dry_run, problem) &&
         (expected == nullptr || read_expected(*expected, out, problem)) &&
         read_definitions(*list, out.definitions, problem);
}

// All of them as they would stand together afterwards: one may name another.
bool check_all(const Wanted& wanted, const define::Registry& registry, Problem& problem) {
  const Definitions after = after_changes(registry, wanted.definitions, wanted.prune);
  for (const auto& [name, definition] : after) {
    const bool given = wanted.definitions.contains(name);
    // What was sound stays so unless something that it names goes.
    if (!given && !wanted.prune) continue;
    add_faults(name, check_definition(*definition, registry.around(after)), problem);
  }
  return problem.errors.empty();
}

Problem invalid(Problem problem) {
  problem.name = "definition-invalid";
  const ProblemPart& first = problem.errors.front();
  problem.pointer = "/definitions/" + first.operation + first.pointer;
  const std::size_t more = problem.errors.size() - 1;
  problem.detail = first.operation + ": " + first.pointer + ": " + first.detail +
                   (more == 0 ? "" : "; and " + std::to_string(more) + " more") +
                   ". Nothing was applied";
  return problem;
}

// What was looked at is not what is current any more.
std::optional<Problem> moved_on(const Wanted& wanted, const std::vector<PlannedChange>& plan) {
  if (!wanted.expected) return std::nullopt;
  std::map<std::string, std::uint32_t> looked_at = *wanted.expected;
  // What was not among it was not there.
  for (const PlannedChange& change : plan) looked_at.try_emplace(change.name, 0);
  for (const auto& [name, number] : looked_at) {
    const auto found = std::ranges::find(plan, name, &PlannedChange::name);
    const std::uint32_t now = found == plan.end() ? 0 : found->from;
    const bool concerns =
        found == plan.end() || is_change(*found) || wanted.expected->contains(name);
    if (now == number || !concerns) continue;
    return Problem{.name = "definitions-changed",
                   .detail = "'" + name + "' is at version " + std::to_string(now) +
                             " now, not at " + std::to_string(number) +
                             ": somebody else applied in between. Nothing was applied; look at "
                             "the difference again (trued apply)",
                   .expected = name + "@" + std::to_string(number),
                   .seen = now == 0 ? "none" : name + "@" + std::to_string(now)};
  }
  return std::nullopt;
}

/// One change on its way, and what came of it.
struct Applied {
  PlannedChange change;
  std::shared_ptr<const Operation> operation;
  std::optional<EngineProblem> refused;
  bool conflict = false;
};

void write_change(json::Writer& out, const Applied& each, bool dry_run) {
  const PlannedChange& change = each.change;
  out.begin_object().member("name", std::string_view(change.name));
  out.member("change", to_string(change.kind));
  out.member("from", change.from).member("to", change.to);
  if (change.definition) {
    out.member("digest", std::string_view("sha256:" + change.definition->digest.hex()));
  }
  out.key("differences").begin_array();
  for (const std::string& line : change.lines) out.string(line);
  out.end_array();
  if (!dry_run && each.operation) {
    out.member("operation", std::string_view(to_string(each.operation->id)));
    out.member("status", to_string(status_of(each.operation->state)));
    if (!each.operation->reason.empty()) {
      out.member("reason", std::string_view(each.operation->reason));
    }
  }
  if (each.refused) out.member("reason", std::string_view(each.refused->detail));
  out.end_object();
}

io::HttpResponse applied_response(const std::vector<Applied>& all, bool dry_run) {
  bool changes = false;
  bool confirmed = true;
  for (const Applied& each : all) {
    changes = changes || is_change(each.change);
    if (!is_change(each.change)) continue;
    confirmed =
        confirmed && each.operation && status_of(each.operation->state) == Status::confirmed;
  }
  std::string body;
  json::Writer out(body);
  out.begin_object().member("dry_run", dry_run).member("changes", changes);
  if (!dry_run) out.member("confirmed", confirmed);
  out.key("definitions").begin_array();
  for (const Applied& each : all) write_change(out, each, dry_run);
  out.end_array().end_object();
  return json_response(dry_run || confirmed ? 200 : 202, std::move(body));
}

/// Answers when every operation has.
class Gathering {
 public:
  /// `turn` is given back before the answer: whoever has it may apply again at once.
  Gathering(Call call, std::vector<Applied> all, std::size_t waiting, std::shared_ptr<void> turn)
      : call_(std::move(call)), all_(std::move(all)), waiting_(waiting), turn_(std::move(turn)) {}

  void put(std::size_t index, std::variant<Answer, EngineProblem> reply) {
    Applied& each = all_.at(index);
    if (auto* refused = std::get_if<EngineProblem>(&reply)) {
      each.refused = std::move(*refused);
    } else {
      Answer& answer = std::get<Answer>(reply);
      each.conflict = answer.decision == SubmitDecision::conflict;
      each.operation = std::move(answer.operation);
    }
    if (waiting_.fetch_sub(1) != 1) return;
    turn_.reset();
    answer();
  }

 private:
  void answer() {
    for (const Applied& each : all_) {
      if (each.refused) return call_.fail(problem_of(*each.refused));
      if (!each.conflict) continue;
      return call_.fail({.name = "definitions-changed",
                         .detail = "somebody else applied '" + each.change.name +
                                   "' at the same time; look at the difference again (trued "
                                   "apply). Others of this request may have been applied"});
    }
    call_.answer(applied_response(all_, false));
  }

  Call call_;
  std::vector<Applied> all_;
  std::atomic<std::size_t> waiting_;
  std::shared_ptr<void> turn_;
};

// Who applied a version and when, from the ledger.
void write_provenance(json::Writer& out, LedgerReader& reader, const define::VersionId& id) {
  ListQuery query;
  query.scope = std::string(define::kRegistryScope);
  query.type = std::string(define::kDefinitionType);
  query.key = to_string(id);
  query.limit = 1;
  const auto page = reader.list(query);
  if (!page.has_value() || page->operations.empty()) return;
  const Operation& operation = page->operations.front();
  out.member("operation", std::string_view(to_string(operation.id)));
  out.member("applied_by", std::string_view(operation.actor));
  out.member("applied_at", std::string_view(format_rfc3339(operation.created_at)));
}

void write_version(json::Writer& out, const CurrentVersion& version, bool current,
                   LedgerReader& reader) {
  out.begin_object().member("name", std::string_view(version.id.name));
  out.member("version", version.id.number).member("current", current);
  if (version.definition) {
    out.member("digest", std::string_view("sha256:" + version.definition->digest.hex()));
    out.member("target", std::string_view(version.definition->target));
    out.member("usable", version.target != nullptr);
    std::string tree;
    json::write_canonical(version.definition->tree, tree);
    out.key("definition").raw(tree);
  } else {
    out.key("definition").null();
  }
  write_provenance(out, reader, version.id);
  out.end_object();
}

}  // namespace

bool is_change(const PlannedChange& change) {
  return change.kind == ChangeKind::added || change.kind == ChangeKind::changed ||
         change.kind == ChangeKind::retired;
}

Submission submission_of(const PlannedChange& change, std::string actor) {
  auto input = define::apply_input(change.name, change.definition.get());
  Submission submission;
  submission.identity = {.scope = std::string(define::kRegistryScope),
                         .type = std::string(define::kDefinitionType),
                         .key = to_string(define::VersionId{change.name, change.to})};
  submission.definition = std::string(define::kDefinitionDefinition);
  submission.intent = std::move(input.intent);
  submission.intent_json = std::move(input.canonical);
  submission.fingerprint = fingerprint_of(submission.intent_json, define::kDefinitionType);
  submission.actor = std::move(actor);
  return submission;
}

void Service::Impl::apply_definitions(Call call) {
  Problem problem;
  const auto body = read_json(call.request.body, problem);
  if (!body) return call.fail(problem);
  Wanted wanted;
  if (!read_wanted(*body, wanted, problem)) {
    return call.fail(problem.errors.empty() ? problem : invalid(std::move(problem)));
  }
  // One at a time: they are checked together, and must be sound together afterwards.
  std::shared_ptr<void> turn;
  if (!wanted.dry_run) {
    if (applying.exchange(true)) {
      return call.fail({.name = "definitions-changed",
                        .detail = "somebody else is applying at this moment; look at the "
                                  "difference again (trued apply). Nothing was applied",
                        .retry_after = Duration{1'000}});
    }
    turn = {nullptr, [self = shared_from_this()](void*) { self->applying = false; }};
  }
  define::Registry& registry = *ports.types;
  if (!check_all(wanted, registry, problem)) {
    return call.fail(invalid(std::move(problem)));
  }
  const auto plan = plan_changes(registry, wanted.definitions, wanted.prune);
  if (const auto stale = moved_on(wanted, plan)) return call.fail(*stale);
  std::vector<Applied> all;
  std::vector<std::size_t> changes;
  for (const PlannedChange& change : plan) {
    if (is_change(change)) changes.push_back(all.size());
    all.push_back({.change = change, .operation = nullptr, .refused = {}, .conflict = false});
  }
  if (wanted.dry_run || changes.empty()) {
    turn.reset();
    return call.answer(applied_response(all, wanted.dry_run));
  }
  const std::string actor = call.caller.actor;
  auto gathering =
      std::make_shared<Gathering>(std::move(call), std::move(all), changes.size(), std::move(turn));
  for (const PlannedChange& change : plan) {
    if (!is_change(change)) continue;
    const std::size_t index = static_cast<std::size_t>(&change - plan.data());
    ports.engine->submit(submission_of(change, actor), kPatience,
                         [gathering, index](std::variant<Answer, EngineProblem> reply) {
                           gathering->put(index, std::move(reply));
                         });
  }
}

void Service::Impl::list_definitions(Call call) {
  on_pool(std::move(call), [self = shared_from_this()](Call later) {
    std::string body;
    json::Writer out(body);
    out.begin_object().key("definitions").begin_array();
    {
      const std::scoped_lock lock(self->reader_mutex);
      for (const auto& [name, definition] : self->ports.types->definitions()) {
        const auto current = self->ports.types->current(name);
        if (current) write_version(out, *current, true, *self->ports.reader);
      }
    }
    out.end_array().end_object();
    later.answer(json_response(200, std::move(body)));
  });
}

void Service::Impl::show_definition(Call call) {
  const auto versions = ports.types->versions(call.id);
  if (versions.empty()) {
    return call.fail(
        {.name = "no-such-type", .detail = "there is no definition '" + call.id + "' here"});
  }
  on_pool(std::move(call), [self = shared_from_this(), versions](Call later) {
    std::string body;
    json::Writer out(body);
    out.begin_object().key("versions").begin_array();
    {
      const std::scoped_lock lock(self->reader_mutex);
      for (const CurrentVersion& version : versions) {
        const bool newest = &version == &versions.back() && version.definition != nullptr;
        write_version(out, version, newest, *self->ports.reader);
      }
    }
    out.end_array().end_object();
    later.answer(json_response(200, std::move(body)));
  });
}

}  // namespace trued::api
