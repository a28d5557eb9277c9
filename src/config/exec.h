// exec.h: the settings of targets that are commands on this machine. Private to src/config.
#pragma once

#include "config/table.h"
#include "target/spec.h"

namespace trued::config {

/// The settings of kind "exec".
void read_exec(Table& table, Faults& faults, ExecSpec& spec);

}  // namespace trued::config
