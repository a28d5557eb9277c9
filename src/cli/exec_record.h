// exec_record.h: what `trued exec` records of a command at acceptance, and how it is carried out.
//
// The intent's one artifact holds the command as JSON:
//
//   {"argv": [...], "verify": TEXT, "attempts": N, "timeout_ms": N, "directory": PATH}
//
// A text that is no UTF-8 (a file's name may be) is {"base64": ...} instead of a string.
//
// argv and verify are what two requests under one key are compared by. The rest, the terms, says
// how it is carried out: what was recorded first holds for the life of the operation, whoever takes
// it up, and a later request that differs in nothing but terms is the same request. Whether running
// again is harmless follows from attempts. The environment is not recorded: it may hold secrets.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "core/policy.h"
#include "engine/submission.h"

namespace trued::cli {

struct ExecTerms {
  std::uint32_t attempts = 1;  ///< more than 1: running it again is harmless
  Duration timeout{10 * 60'000};
  std::string directory;  ///< in which it is run; empty: wherever trued is

  friend bool operator==(const ExecTerms&, const ExecTerms&) = default;
};

struct ExecCommand {
  std::vector<std::string> argv;
  std::string verify;              ///< empty: nothing tells
  std::optional<ExecTerms> terms;  ///< none in ledgers of earlier versions
};

[[nodiscard]] std::string encode_command(const ExecCommand& command);
[[nodiscard]] std::optional<ExecCommand> decode_command(const std::string& text);

/// The command in a recorded intent; none where it cannot be read.
[[nodiscard]] std::optional<ExecCommand> recorded_command(const std::string& intent_json);

[[nodiscard]] bool same_work(const ExecCommand& one, const ExecCommand& other);

/// Identities of commands have this type, and so has their one target.
inline constexpr std::string_view kExecType = "exec";
[[nodiscard]] Identity exec_identity(const std::string& key);
[[nodiscard]] Submission exec_submission(const std::string& key, const ExecCommand& command);

/// The bounds that follow from the terms.
[[nodiscard]] Policy exec_policy(const ExecTerms& terms);

}  // namespace trued::cli
