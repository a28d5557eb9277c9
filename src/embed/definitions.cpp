#include "embed/definitions.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

#include "embed/build_target.h"
#include "target/compare.h"

namespace trued {
namespace {

constexpr std::uint32_t kPage = 1'000;

bool stands(const Operation& operation) {
  const Status status = status_of(operation.state);
  return status == Status::confirmed || status == Status::superseded;
}

Result<std::vector<Operation>> applications(LedgerReader& reader) {
  std::vector<Operation> all;
  ListQuery query;
  query.scope = std::string(define::kRegistryScope);
  query.type = std::string(define::kDefinitionType);
  query.limit = kPage;
  while (true) {
    TRUED_TRY(ListPage page, reader.list(query));
    std::ranges::move(page.operations, std::back_inserter(all));
    if (!page.more) return all;
    query.before = all.back().id;
  }
}

Result<void> add_version(LedgerReader& reader, const Operation& operation,
                         const define::VersionId& id, define::Registry& registry) {
  TRUED_TRY(const auto input, reader.intent(operation.id));
  if (!input) {
    return Error{.code = ErrorCode::corrupt,
                 .message = "the ledger holds no input of " + to_string(operation.id) +
                            ", which applied " + to_string(id) + "; run: trued audit"};
  }
  std::shared_ptr<const define::Definition> definition;
  if (!operation.artifacts.front().meant.absent) {
    TRUED_TRY(definition, define::load_definition(*input));
  }
  return registry.add(id, std::move(definition));
}

/// A directory or repository that is not opened: what it can do, and nothing in it. What names it
/// takes is asked of the real one, when something is submitted.
class StandIn final : public Connector {
 public:
  explicit StandIn(Capabilities can) : can_(can) {}
  Capabilities capabilities() const override { return can_; }
  EffectResult perform(const EffectRequest&) override { return {}; }
  std::vector<RawRead> read(const ReadRequest& request) override {
    return std::vector<RawRead>(request.artifacts.size());
  }
  History history(const HistoryRequest&) override { return {}; }
  Result<std::string> version() override { return std::string(); }
  std::string check_name(const std::string& name) const override {
    return check_relative_path(name);
  }

 private:
  Capabilities can_;
};

Result<Target> target_to_check(const TargetSpec& spec) {
  const bool git = spec.kind == "git";
  if (!git && spec.kind != "file") return build_target(spec, "");
  const Capabilities can{.idempotent = true, .history = git, .dated = !git};
  return make_target(spec.name, spec.kind, std::make_unique<StandIn>(can), nullptr, "",
                     spec.policy);
}

}  // namespace

Result<void> load_definitions(LedgerReader& reader, define::Registry& registry) {
  TRUED_TRY(std::vector<Operation> all, applications(reader));
  // Oldest first, so that what is current is right at every moment.
  std::ranges::sort(all, {}, &Operation::id);
  for (const Operation& operation : all) {
    const auto id = define::parse_version_id(operation.identity.key);
    if (!id || operation.artifacts.size() != 1) continue;
    registry.reserve(*id);
    if (stands(operation)) TRUED_TRY_VOID(add_version(reader, operation, *id, registry));
  }
  return {};
}

define::StatusOf status_by(std::unique_ptr<LedgerReader> reader) {
  struct Shared {
    std::mutex mutex;
    std::unique_ptr<LedgerReader> reader;
  };
  auto shared = std::make_shared<Shared>();
  shared->reader = std::move(reader);
  return [shared](const define::OperationRef& ref) -> Result<std::optional<Status>> {
    const std::scoped_lock lock(shared->mutex);
    std::optional<Operation> found;
    if (ref.id) {
      TRUED_TRY(found, shared->reader->find(*ref.id));
      // What other tenants do is none of this one's business.
      if (found && found->identity.scope != ref.identity.scope) found.reset();
    } else {
      ListQuery query;
      query.scope = ref.identity.scope;
      query.type = ref.identity.type;
      query.key = ref.identity.key;
      query.limit = 1;
      TRUED_TRY(ListPage page, shared->reader->list(query));
      if (!page.operations.empty()) found = std::move(page.operations.front());
    }
    if (!found) return std::optional<Status>();
    return std::optional<Status>(status_of(found->state));
  };
}

Targets targets_to_check(const std::vector<TargetSpec>& specs) {
  Targets targets;
  for (const TargetSpec& spec : specs) {
    auto target = target_to_check(spec);
    if (target.has_value()) targets.emplace(spec.name, std::move(*target));
  }
  return targets;
}

define::Remembers remembers_of(const std::vector<TargetSpec>& specs) {
  std::map<std::string, Duration> spans;
  for (const TargetSpec& spec : specs) {
    if (spec.kind == "http" && spec.http.deduplicates) {
      spans.emplace(spec.name, spec.http.remembers);
    } else if (spec.kind == "exec" && spec.exec.deduplicates) {
      spans.emplace(spec.name, spec.exec.remembers);
    }
  }
  std::erase_if(spans, [](const auto& each) { return each.second.count() == 0; });
  return [spans = std::move(spans)](const std::string& target) -> std::optional<Duration> {
    const auto found = spans.find(target);
    return found == spans.end() ? std::nullopt : std::optional(found->second);
  };
}

}  // namespace trued
