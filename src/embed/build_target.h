// build_target.h: opens a target from its specification; where connectors meet.
#pragma once

#include <string>

#include "base/result.h"
#include "target/spec.h"
#include "target/target.h"

namespace trued {

/// Opens the connector and the reader. Fails, saying what to do, if a directory or repository is
/// not there or an URL is malformed; a remote one is not contacted. `state_directory` holds what a
/// connector keeps for itself.
[[nodiscard]] Result<Target> build_target(const TargetSpec& spec,
                                          const std::string& state_directory);

}  // namespace trued
