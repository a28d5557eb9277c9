// trued lab: lies being told, believed, caught, named and repaired.
#include "lab/lab.h"

#include "cli/commands.h"
#include "cli/exit_codes.h"

namespace trued::cli {

int lab(const Common& common, const LabCommandOptions& options) {
  Result<trued::lab::LabReport> report = Error{};
  {
    ProgressLine line("publishing");
    report = trued::lab::run_lab(
        {.seed = options.seed,
         .writers = options.writers,
         .revisions = options.revisions,
         .input = options.input,
         .honest = options.honest},
        [&](const char*, std::uint32_t done, std::uint32_t total) { line.update(done, total); });
  }
  if (!report.has_value()) return complain(common, kInternal, report.error().message);
  print(common.json ? trued::lab::report_json(*report) : trued::lab::report_text(*report));
  return trued::lab::held(*report) ? kOk : kFailed;
}

}  // namespace trued::cli
