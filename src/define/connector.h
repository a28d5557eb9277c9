// connector.h: a definition as a connector, so that the engine carries it out like any write.
//
//   perform: preconditions, then the effect, filled in, as one call (or the store's own write)
//   read:    each artifact by the read that its definition declares
//   history: the declared probe, or what the target itself keeps (CallTarget::probe)
//
// Contract: target/target.h. Besides:
//   (1) Every precondition is looked at immediately before each attempt. What does not hold is
//       rejected_final, "stale-state: …"; what cannot be read is not_sent. Nothing was sent then.
//   (2) A read that needs the result of the effect, where none is known, is unreadable.
//   (3) history() is known only if the probe said yes or no; "both" and "neither" are no answer.
//   (4) The time of preconditions is part of the attempt's.
//
// Any thread. The definition is shared; the targets must outlive the connector.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "define/definition.h"
#include "target/target.h"

namespace trued::define {

/// Another operation that a precondition names: by id within a scope, or by identity.
struct OperationRef {
  std::optional<OperationId> id;
  Identity identity;  ///< with an id its scope alone
};

/// Its status now: nothing inside if there is none. An error: it cannot be told now.
using StatusOf = std::function<Result<std::optional<Status>>(const OperationRef&)>;

class DefinedConnector final : public Connector {
 public:
  /// REQUIRES: check_definition() finds nothing wrong.
  DefinedConnector(std::shared_ptr<const Definition> definition, const Targets& targets,
                   StatusOf status_of);

  [[nodiscard]] Capabilities capabilities() const override;
  [[nodiscard]] EffectResult perform(const EffectRequest& request) override;
  [[nodiscard]] std::vector<RawRead> read(const ReadRequest& request) override;
  [[nodiscard]] History history(const HistoryRequest& request) override;
  [[nodiscard]] Result<std::string> version() override;
  [[nodiscard]] std::string check_name(const std::string& name) const override;
  [[nodiscard]] bool is_inline() const override;

 private:
  std::shared_ptr<const Definition> definition_;
  const Targets& targets_;
  StatusOf status_of_;
};

/// The serving level of a definition that reads it by calls of its own, or by its store's reader.
class DefinedReader final : public Reader {
 public:
  DefinedReader(std::shared_ptr<const Definition> definition, const Targets& targets);
  [[nodiscard]] std::vector<RawRead> read(const ReadRequest& request) override;

 private:
  std::shared_ptr<const Definition> definition_;
  const Targets& targets_;
};

/// The definition as a target of its own, named as the effect's target: what the engine is handed
/// for operations of it. `not_found` if a target that it names is not there (any more).
[[nodiscard]] Result<Target> make_defined_target(std::shared_ptr<const Definition> definition,
                                                 const Targets& targets, StatusOf status_of);

}  // namespace trued::define
