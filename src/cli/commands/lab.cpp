// trued lab: lies being told, believed, caught, named and repaired.
#include "lab/lab.h"

#include <filesystem>
#include <system_error>

#include "cli/commands.h"
#include "cli/exit_codes.h"

namespace trued::cli {

int lab(const Common& common, const LabCommandOptions& options) {
  std::error_code failure;
  if (!options.input.empty() && !std::filesystem::is_directory(options.input, failure)) {
    return complain(common, kUsage, "--input " + options.input + ": there is no such directory");
  }
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
  if (!report.has_value()) {
    const bool input = report.error().code == ErrorCode::not_found;
    return complain(common, input ? kBadData : kInternal, report.error().message);
  }
  print(common.json ? trued::lab::report_json(*report) : trued::lab::report_text(*report));
  return trued::lab::held(*report) ? kOk : kFailed;
}

}  // namespace trued::cli
