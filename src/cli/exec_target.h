// exec_target.h: a command as an effect, and a shell command as its read-back.
//
// The intent's one artifact holds the command (exec_record.h). Reading it back runs the verify
// command: exit 0 means that what was meant holds, exit 1 that it does not, anything else that it
// could not be told. Both run in the directory that was recorded.
//
//   exit 0     acknowledged             could not be executed    rejected, final (it never ran)
//   exit 75    rejected, retryable      no process to be had     not sent: tried again, a few
//                                                                times, then rejected, final
//   otherwise  unknown: a part may have been done. That a command could not be executed is known
//              from exec itself; exit 126 and 127 of one that was are no different from others.
//
// Output passes through. A command that outlives its time is killed with its whole process group,
// and its outcome is unknown. Any thread, one effect at a time.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "cli/child.h"
#include "cli/exec_record.h"
#include "target/target.h"

namespace trued::cli {

class ExecConnector final : public Connector {
 public:
  /// Tries to begin, in one process, before it is given up; the waits between them grow.
  static constexpr std::uint32_t kNotBegunMax = 8;

  /// `repeatable`: running the command again is harmless, as its user says. `children` outlives it.
  ExecConnector(Children& children, bool repeatable, ChildOptions::Output output)
      : children_(children), repeatable_(repeatable), output_(output) {}

  [[nodiscard]] Capabilities capabilities() const override;
  [[nodiscard]] EffectResult perform(const EffectRequest& request) override;
  [[nodiscard]] std::vector<RawRead> read(const ReadRequest& request) override;
  [[nodiscard]] History history(const HistoryRequest&) override { return {}; }
  [[nodiscard]] Result<std::string> version() override { return std::string(); }
  [[nodiscard]] std::string check_name(const std::string&) const override { return ""; }

 private:
  [[nodiscard]] EffectEnded ended_of(const ChildEnd& end);

  Children& children_;
  const bool repeatable_;
  const ChildOptions::Output output_;
  std::mutex mutex_;
  std::string last_run_;         ///< how the last run in this process ended; guarded by mutex_
  std::uint32_t not_begun_ = 0;  ///< attempts in a row that could not be begun; guarded by mutex_
};

}  // namespace trued::cli
