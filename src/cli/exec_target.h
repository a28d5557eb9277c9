// exec_target.h: a command as an effect, and a shell command as its read-back.
//
// The intent's one artifact holds the command as JSON: {"argv": [...], "verify": TEXT}. Reading it
// back runs the verify command: exit 0 means that what was meant holds, exit 1 that it does not,
// anything else that it could not be told.
//
//   exit 0           acknowledged          126, 127   rejected, final (it never ran)
//   exit 75          rejected, retryable   otherwise  unknown: a part may have been done
//
// Output passes through. A command that outlives its time is killed with its whole process group,
// and its outcome is unknown. Any thread.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "target/target.h"

namespace trued::cli {

struct ExecCommand {
  std::vector<std::string> argv;
  std::string verify;  ///< empty: nothing tells
};
[[nodiscard]] std::string encode_command(const ExecCommand& command);
[[nodiscard]] std::optional<ExecCommand> decode_command(const std::string& text);

class ExecConnector final : public Connector {
 public:
  /// `repeatable`: running the command again is harmless, as its user says.
  explicit ExecConnector(bool repeatable) : repeatable_(repeatable) {}

  [[nodiscard]] Capabilities capabilities() const override;
  [[nodiscard]] EffectResult perform(const EffectRequest& request) override;
  [[nodiscard]] std::vector<RawRead> read(const ReadRequest& request) override;
  [[nodiscard]] History history(const HistoryRequest&) override { return {}; }
  [[nodiscard]] Result<std::string> version() override { return std::string(); }
  [[nodiscard]] std::string check_name(const std::string&) const override { return ""; }

 private:
  const bool repeatable_;
  std::mutex mutex_;
  std::string last_run_;  ///< how the last run in this process ended; guarded by mutex_
};

}  // namespace trued::cli
