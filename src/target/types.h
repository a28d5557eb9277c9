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

#include "base/result.h"
#include "core/evidence.h"
#include "core/ids.h"
#include "core/operation.h"
#include "json/value.h"
#include "target/target.h"

namespace trued {

/// A new operation of a type, ready to be submitted.
struct Begun {
  Identity identity;
  Fingerprint fingerprint;
  std::string definition;
  std::shared_ptr<const Intent> intent;
  std::string input;  ///< canonical JSON: what the ledger keeps
  Priority priority = Priority::normal;
};

/// What undoes an operation: the type of another one, and its input.
struct UndoInput {
  std::string type;
  json::Value input;
};

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

  /// What undoes an operation, by its definition. `unsupported`: it declares nothing;
  /// `invalid_argument`: that needs a result which is not known.
  [[nodiscard]] virtual Result<UndoInput> undo(std::string_view definition, const Intent& intent,
                                               const Identity& who, const OperationId& id,
                                               std::string_view result) const = 0;
  /// A new operation of the type as it is current. `key` counts where the type derives none.
  /// `not_found`, or `invalid_argument` with what is wrong with the input.
  [[nodiscard]] virtual Result<Begun> begin(std::string_view type, const json::Value& input,
                                            const std::string& scope,
                                            const std::string& key) const = 0;
};

}  // namespace trued
