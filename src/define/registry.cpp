#include "define/registry.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "base/assert.h"
#include "json/canonical.h"
#include "json/parse.h"
#include "target/outcome.h"

namespace trued::define {
namespace {

constexpr Duration kForEver{std::int64_t{100} * 365 * 24 * 3'600'000};

// {"definition": …, "name": …} as an artifact of the registry.
std::shared_ptr<const Intent> intent_of(const std::string& name, std::string canonical,
                                        bool retires) {
  auto intent = std::make_shared<Intent>();
  intent->target = std::string(kRegistryTarget);
  intent->input = canonical;
  ArtifactIntent artifact;
  artifact.name = name;
  artifact.absent = retires;
  if (!retires) {
    artifact.id = {.sha256 = sha256(canonical), .bytes = canonical.size()};
    artifact.content = std::move(canonical);
  }
  intent->artifacts.push_back(std::move(artifact));
  return intent;
}

/// The registry as a store of canonical texts by name.
class RegistryConnector final : public Connector {
 public:
  explicit RegistryConnector(Registry& registry) : registry_(registry) {}

  // A number stands for one text for ever.
  Capabilities capabilities() const override { return {.idempotent = true, .deduplicates = true}; }

  EffectResult perform(const EffectRequest& request) override {
    const auto id = parse_version_id(request.key);
    const bool one = id && request.intent->artifacts.size() == 1 &&
                     request.intent->artifacts.front().name == id->name;
    if (!one || request.scope != kRegistryScope) {
      return effect_ended(EffectKind::rejected_final, "'" + request.key + "' names no version");
    }
    const ArtifactIntent& artifact = request.intent->artifacts.front();
    std::shared_ptr<const Definition> definition;
    if (!artifact.absent) {
      auto loaded = load_definition(artifact.content);
      if (!loaded.has_value()) return refused(*id, loaded.error());
      definition = std::move(*loaded);
    }
    // Number and version in one: whoever plans in between must find either both or none, or it
    // would be given the next number without having seen what it replaces.
    const auto added = registry_.add(*id, std::move(definition));
    if (!added.has_value()) return refused(*id, added.error());
    EffectResult result;
    result.ended.kind = EffectKind::acknowledged;
    result.ended.changed = true;
    result.ended.version = to_string(*id);
    return result;
  }

  std::vector<RawRead> read(const ReadRequest& request) override {
    const auto id = parse_version_id(request.key);
    std::vector<RawRead> reads;
    for (const std::uint32_t index : request.artifacts) {
      const auto found = id ? version_or_current(*id, request.intent->artifacts.at(index))
                            : registry_.current(request.intent->artifacts.at(index).name);
      RawRead read;
      read.seen = found ? Seen::found : Seen::absent;
      if (found) {
        read.content = found->definition->canonical;
        read.version = to_string(found->id);
      }
      reads.push_back(std::move(read));
    }
    return reads;
  }

  History history(const HistoryRequest&) override { return {}; }
  Result<std::string> version() override { return std::string(); }
  std::string check_name(const std::string& name) const override {
    return valid_name(name) ? "" : "is no name of an operation type";
  }
  bool is_inline() const override { return true; }

 private:
  // The version itself, once it is known, whatever became current since; until then what is
  // current. One that is not known is not there, though another one may have the same text: else
  // its number would be used up for nothing (an application that a crash cut short is repeated).
  std::optional<CurrentVersion> version_or_current(const VersionId& id,
                                                   const ArtifactIntent& meant) const {
    for (CurrentVersion& version : registry_.versions(id.name)) {
      if (version.id != id) continue;
      return version.definition ? std::optional(std::move(version)) : std::nullopt;
    }
    auto current = registry_.current(id.name);
    const bool same = current && current->definition->canonical == meant.content;
    return same ? std::nullopt : std::move(current);
  }

  // The number is used up all the same: the ledger has an operation of that key.
  EffectResult refused(const VersionId& id, const Error& why) {
    registry_.reserve(id);
    return effect_ended(EffectKind::rejected_final, why.message);
  }

  Registry& registry_;
};

}  // namespace

std::string to_string(const VersionId& id) { return id.name + "@" + std::to_string(id.number); }

std::optional<VersionId> parse_version_id(std::string_view text) {
  const std::size_t at = text.rfind('@');
  if (at == std::string_view::npos) return std::nullopt;
  VersionId id{.name = std::string(text.substr(0, at)), .number = 0};
  const std::string_view digits = text.substr(at + 1);
  const auto [end, failure] =
      std::from_chars(digits.data(), digits.data() + digits.size(), id.number);
  const bool whole = failure == std::errc{} && end == digits.data() + digits.size();
  if (!whole || id.number == 0 || digits.front() == '0' || !valid_name(id.name)) {
    return std::nullopt;
  }
  TRUED_ASSERT(to_string(id) == text);
  return id;
}

// ---- the registry -------------------------------------------------------------------------------

Registry::Registry(const Targets& targets, StatusOf status_of, Remembers remembers)
    : targets_(targets), status_of_(std::move(status_of)), remembers_(std::move(remembers)) {}

const Registry::Version* Registry::find(const VersionId& id) const {
  const auto history = histories_.find(id.name);
  if (history == histories_.end()) return nullptr;
  const auto version = history->second.versions.find(id.number);
  return version == history->second.versions.end() ? nullptr : &version->second;
}

std::shared_ptr<const Definition> Registry::known(std::string_view version) const {
  const auto id = parse_version_id(version);
  if (!id) return nullptr;
  const std::shared_lock lock(mutex_);
  const Version* found = find(*id);
  return found == nullptr ? nullptr : found->definition;
}

const Target* Registry::target(std::string_view definition) const {
  if (definition == kDefinitionDefinition) {
    const auto built_in = targets_.find(kRegistryTarget);
    return built_in == targets_.end() ? nullptr : &built_in->second;
  }
  const auto id = parse_version_id(definition);
  if (!id) return nullptr;
  const std::shared_lock lock(mutex_);
  const Version* version = find(*id);
  return version == nullptr ? nullptr : version->target.get();
}

std::shared_ptr<const Intent> Registry::restore(std::string_view definition,
                                                const json::Value& input,
                                                const Identity& who) const {
  if (definition == kDefinitionDefinition) {
    const json::Value* name = input.find("name");
    const json::Value* tree = input.find("definition");
    if (name == nullptr || !name->is_string() || tree == nullptr) return nullptr;
    return intent_of(name->as_string(), json::canonical(input), tree->is_null());
  }
  const auto version = known(definition);
  if (!version) return nullptr;
  auto intent = version->restore(input, who);
  return intent.has_value() ? std::move(*intent) : nullptr;
}

std::vector<std::string> Registry::turns(std::string_view definition, const Intent& intent,
                                         const Identity& who) const {
  std::vector<std::string> names;
  if (definition == kDefinitionDefinition) {
    for (const ArtifactIntent& artifact : intent.artifacts) names.push_back(artifact.name);
    return names;
  }
  const auto version = known(definition);
  return version ? version->turns(intent, who) : names;
}

Result<UndoInput> Registry::undo(std::string_view definition, const Intent& intent,
                                 const Identity& who, const OperationId& id,
                                 std::string_view result) const {
  const auto version = known(definition);
  if (!version || !version->compensate) {
    return Error{.code = ErrorCode::unsupported,
                 .message = "'" + std::string(definition) +
                            "' declares no compensation; undo it at the target, and say here what "
                            "became of it"};
  }
  TRUED_TRY(const json::Value input, json::parse(intent.input));
  const json::Value operation = operation_value(who, id, std::nullopt);
  auto answered = result.empty() ? Result<json::Value>(Error{}) : json::parse(result);
  Values values{.input = &input, .operation = &operation};
  if (answered.has_value()) values.result = &*answered;
  auto filled = version->compensation(values);
  if (!filled.has_value()) {
    const bool unknown = filled.error().path.starts_with("result") && !answered.has_value();
    return Error{.code = ErrorCode::invalid_argument,
                 .message = "what undoes it cannot be filled in: " + filled.error().detail +
                            (unknown ? "; what the target answered is not known" : "")};
  }
  return UndoInput{.type = version->compensate->operation, .input = std::move(*filled)};
}

Result<Begun> Registry::begin(std::string_view type, const json::Value& input,
                              const std::string& scope, const std::string& key) const {
  const auto version = current(type);
  if (!version || version->target == nullptr) {
    return Error{.code = ErrorCode::not_found,
                 .message = "there is no operation '" + std::string(type) + "' here" +
                            (version ? " whose target is configured" : "")};
  }
  TRUED_ASSERT(version->definition != nullptr);
  const Definition& definition = *version->definition;
  const bool derives = !definition.identity.empty();
  auto intended =
      definition.intend(input, {.scope = definition.scope ? std::string() : scope,
                                .key = derives ? std::nullopt : std::optional<std::string>(key)});
  const auto refused = intended.has_value() ? check_intended(definition, *intended, targets_)
                                            : std::move(intended).error();
  if (!refused.empty()) {
    const Objection& first = refused.front();
    return Error{.code = ErrorCode::invalid_argument,
                 .message = "'" + std::string(type) + "' refuses the input" +
                            (first.pointer.empty() ? "" : ": " + first.pointer) + ": " +
                            first.detail};
  }
  return Begun{.identity = std::move(intended->identity),
               .fingerprint = intended->fingerprint,
               .definition = to_string(version->id),
               .intent = std::move(intended->intent),
               .input = std::move(intended->input),
               .priority = definition.priority};
}

Result<void> Registry::add(const VersionId& id, std::shared_ptr<const Definition> definition) {
  Version version{.definition = std::move(definition), .target = nullptr, .wrong = {}};
  if (version.definition) {
    if (version.definition->name != id.name) {
      return Error{
          .code = ErrorCode::invalid_argument,
          .message = to_string(id) + " holds a definition of '" + version.definition->name + "'"};
    }
    // A target that is gone makes the version unusable, not unknown.
    auto target = make_defined_target(version.definition, targets_, status_of_);
    if (target.has_value()) {
      version.target = std::make_unique<Target>(std::move(*target));
    } else {
      version.wrong = target.error().message;
    }
  }
  const std::scoped_lock lock(mutex_);
  History& history = histories_[id.name];
  if (const auto known = history.versions.find(id.number); known != history.versions.end()) {
    const auto& before = known->second.definition;
    const bool same = (before == nullptr) == (version.definition == nullptr) &&
                      (before == nullptr || before->digest == version.definition->digest);
    if (same) return {};
    return Error{.code = ErrorCode::conflict,
                 .message = to_string(id) + " is known already, as another definition"};
  }
  history.reserved = std::max(history.reserved, id.number);
  const bool added = history.versions.emplace(id.number, std::move(version)).second;
  // A number is never given out again.
  TRUED_ASSERT(added && history.versions.rbegin()->first <= history.reserved);
  return {};
}

void Registry::reserve(const VersionId& id) {
  const std::scoped_lock lock(mutex_);
  History& history = histories_[id.name];
  history.reserved = std::max(history.reserved, id.number);
}

CurrentVersion Registry::shown(const std::string& name, std::uint32_t number,
                               const Version& version) {
  return {.id = {.name = name, .number = number},
          .definition = version.definition,
          .target = version.target.get(),
          .wrong = version.wrong};
}

std::optional<CurrentVersion> Registry::current(std::string_view type) const {
  const std::shared_lock lock(mutex_);
  const auto history = histories_.find(type);
  if (history == histories_.end() || history->second.versions.empty()) return std::nullopt;
  const auto& [number, version] = *history->second.versions.rbegin();
  if (!version.definition) return std::nullopt;
  return shown(history->first, number, version);
}

Definitions Registry::definitions() const {
  Definitions all;
  const std::shared_lock lock(mutex_);
  for (const auto& [name, history] : histories_) {
    if (history.versions.empty()) continue;
    const auto& newest = history.versions.rbegin()->second.definition;
    if (newest) all.emplace(name, newest);
  }
  return all;
}

std::vector<CurrentVersion> Registry::versions(std::string_view name) const {
  std::vector<CurrentVersion> all;
  const std::shared_lock lock(mutex_);
  const auto history = histories_.find(name);
  if (history == histories_.end()) return all;
  for (const auto& [number, version] : history->second.versions) {
    all.push_back(shown(history->first, number, version));
  }
  return all;
}

bool Registry::knows(const VersionId& id) const {
  const std::shared_lock lock(mutex_);
  return find(id) != nullptr;
}

std::map<std::string, Registry::Head> Registry::heads() const {
  std::map<std::string, Head> all;
  const std::shared_lock lock(mutex_);
  for (const auto& [name, history] : histories_) {
    Head head{.current = {}, .next = history.reserved + 1};
    if (!history.versions.empty()) {
      const auto& [number, version] = *history.versions.rbegin();
      if (version.definition) head.current = shown(name, number, version);
    }
    all.emplace(name, std::move(head));
  }
  return all;
}

Target make_registry_target(Registry& registry) {
  Policy policy;
  policy.retention = kForEver;
  policy.gates.breaker.enabled = false;
  policy.gates.budget.enabled = false;
  return make_target(std::string(kRegistryTarget), "definitions",
                     std::make_unique<RegistryConnector>(registry), nullptr, "", policy);
}

ApplyInput apply_input(const std::string& name, const Definition* definition) {
  std::string canonical;
  if (definition != nullptr) {
    canonical = definition->canonical;
  } else {
    json::Value::Object members;
    members.emplace_back("definition", json::Value());
    members.emplace_back("name", json::Value(name));
    canonical = json::canonical(json::Value(std::move(members)));
  }
  return {.canonical = canonical, .intent = intent_of(name, canonical, definition == nullptr)};
}

// ---- plans --------------------------------------------------------------------------------------

std::vector<PlannedChange> plan_changes(const Registry& registry, const Definitions& given,
                                        bool prune) {
  std::vector<PlannedChange> plan;
  // One look: what is applied meanwhile by somebody else takes the numbers that are planned here.
  std::map<std::string, Registry::Head> heads = registry.heads();
  for (const auto& [name, definition] : given) {
    const auto& [current, next] = heads[name];
    PlannedChange change{.name = name,
                         .kind = ChangeKind::added,
                         .from = current ? current->id.number : 0,
                         .to = next,
                         .definition = definition,
                         .lines = {}};
    if (current) {
      const bool same = current->definition->digest == definition->digest;
      change.kind = same ? ChangeKind::same : ChangeKind::changed;
      if (same) change.to = change.from;
      change.lines = diff(*current->definition, *definition);
    }
    plan.push_back(std::move(change));
  }
  for (const auto& [name, head] : heads) {
    if (given.contains(name) || !head.current) continue;
    const std::uint32_t number = head.current->id.number;
    plan.push_back({.name = name,
                    .kind = prune ? ChangeKind::retired : ChangeKind::kept,
                    .from = number,
                    .to = prune ? head.next : number,
                    .definition = nullptr,
                    .lines = {}});
  }
  std::ranges::sort(plan, {}, &PlannedChange::name);
  return plan;
}

Definitions after_changes(const Registry& registry, const Definitions& given, bool prune) {
  Definitions after = given;
  if (!prune) after.merge(registry.definitions());
  return after;
}

std::string_view to_string(ChangeKind kind) {
  static constexpr std::array<std::string_view, 5> kNames{"added", "changed", "same", "kept",
                                                          "retired"};
  static_assert(kNames.size() == static_cast<std::size_t>(ChangeKind::retired) + 1);
  return kNames.at(static_cast<std::size_t>(kind));
}

}  // namespace trued::define
