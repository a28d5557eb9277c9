// types.h: operation types beyond the built-in `write`, by version ("charge@3").
//
// The port through which the engine carries out what definitions declare: an operation keeps to the
// version that it began with, which is a target of its own.
//
// Threads: any, at the same time. What is returned stays valid as long as the types themselves.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/evidence.h"
#include "core/ids.h"
#include "json/value.h"
#include "target/target.h"

namespace trued {

class OperationTypes {
 public:
  virtual ~OperationTypes() = default;
  /// What operations of that version are carried out at; null if it is not known here.
  [[nodiscard]] virtual const Target* target(std::string_view definition) const = 0;
  /// The intent of an accepted operation, from what the ledger kept of its input; null if that is
  /// not possible.
  [[nodiscard]] virtual std::shared_ptr<const Intent> restore(std::string_view definition,
                                                              const json::Value& input,
                                                              const Identity& who) const = 0;
  /// What the operation takes turns at, in the order of its artifacts: two operations at one target
  /// that touch one thing have a name in common. Empty if the version is not known here.
  [[nodiscard]] virtual std::vector<std::string> turns(std::string_view definition,
                                                       const Intent& intent,
                                                       const Identity& who) const = 0;
};

}  // namespace trued
