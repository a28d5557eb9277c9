// sim_types.h: one declared type for every target ("put-t0"): a write whose definition says what
// undoes it, namely a write of something else to the same names, or to names beside them.
#pragma once

#include <map>
#include <string>

#include "target/types.h"

namespace trued::sim {

class SimTypes final : public OperationTypes {
 public:
  /// `targets` must outlive it, and be complete. `aside`: every other one is undone beside it.
  SimTypes(const Targets& targets, bool aside);

  [[nodiscard]] static std::string type_for(const std::string& target) { return "put-" + target; }
  [[nodiscard]] static std::string definition_for(const std::string& target) {
    return type_for(target) + "@1";
  }

  [[nodiscard]] const Target* target(std::string_view definition) const override;
  [[nodiscard]] std::shared_ptr<const Intent> restore(std::string_view definition,
                                                      const json::Value& input,
                                                      const Identity& who) const override;
  [[nodiscard]] std::vector<std::string> turns(std::string_view definition, const Intent& intent,
                                               const Identity& who) const override;
  [[nodiscard]] Result<UndoInput> undo(std::string_view definition, const Intent& intent,
                                       const Identity& who, const OperationId& id,
                                       std::string_view result) const override;
  [[nodiscard]] Result<Begun> begin(std::string_view type, const json::Value& input,
                                    const std::string& scope,
                                    const std::string& key) const override;

 private:
  Targets kept_;  ///< by definition
  bool aside_;
};

}  // namespace trued::sim
