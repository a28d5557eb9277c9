#include "config/exec.h"

#include <limits>
#include <string>
#include <utility>

namespace trued::config {
namespace {

void read_environment(Table& parent, Faults& faults, ExecSpec& spec) {
  const toml::table* found = parent.table("env");
  if (found == nullptr) return;
  Table table(*found, faults, parent.path() + ".env");
  for (const auto& [key, node] : *found) {
    ExecVariable variable;
    variable.name = key.str();
    table.text_or_secret(variable.name.c_str(), variable.value, &variable.secret);
    spec.environment.push_back(std::move(variable));
  }
}

void read_exit(Table& parent, Faults& faults, ExitCodes& codes) {
  const toml::table* found = parent.table("exit");
  if (found == nullptr) return;
  Table table(*found, faults, parent.path() + ".exit");
  constexpr std::int64_t kExitMax = 255;
  table.numbers("acknowledged", codes.acknowledged, 0, kExitMax);
  table.numbers("rejected", codes.rejected, 0, kExitMax);
  table.numbers("retryable", codes.retryable, 0, kExitMax);
  table.numbers("unknown", codes.unknown, 0, kExitMax);
  table.check_names();
}

}  // namespace

void read_exec(Table& table, Faults& faults, ExecSpec& spec) {
  table.texts("commands", spec.commands);
  table.texts("path", spec.path);
  table.text("directory", spec.directory);
  read_environment(table, faults, spec);
  table.text("umask", spec.umask);
  table.flag("deduplicates", spec.deduplicates);
  table.duration("remembers", spec.remembers);
  table.duration("timeout", spec.timeout);
  table.duration("grace", spec.grace);
  table.number("output_bytes_max", spec.output_bytes_max, 1,
               std::numeric_limits<std::int32_t>::max());
  read_exit(table, faults, spec.exit);
}

}  // namespace trued::config
