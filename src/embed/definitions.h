// definitions.h: the registry of definitions as the ledger knows it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "define/registry.h"
#include "ledger/ledger.h"
#include "target/spec.h"

namespace trued {

/// Makes every version known that was ever applied with success, by the operations of the ledger.
/// Before the engine recovers. `io` if the ledger cannot be read; `corrupt` or `invalid_argument`
/// names a version that cannot be understood.
[[nodiscard]] Result<void> load_definitions(LedgerReader& reader, define::Registry& registry);

/// The state of other operations, for preconditions, as the ledger has it. Any thread; owns
/// `reader`.
[[nodiscard]] define::StatusOf status_by(std::unique_ptr<LedgerReader> reader);

/// Targets to check definitions against without opening a directory or repository: those that
/// carry calls as they are, stores as something that can do the same. What cannot be built is left
/// out.
[[nodiscard]] Targets targets_to_check(const std::vector<TargetSpec>& specs);

/// For how long each of them remembers an identity, as far as it says.
[[nodiscard]] define::Remembers remembers_of(const std::vector<TargetSpec>& specs);

}  // namespace trued
