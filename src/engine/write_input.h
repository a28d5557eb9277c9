// write_input.h: the input of the built-in type `write`, from JSON to intent.
//
//   {"target": NAME, "message": TEXT?, "base": VERSION?, "verify": BOOL?,
//    "artifacts": [{"path": PATH, "content": TEXT, "encoding": "utf8"|"base64"}
//                  | {"path": PATH, "absent": true}, …]}
//
// Checked as a whole before anything is accepted: the first thing wrong is named by its JSON
// pointer. The canonical form (RFC 8785) of the input is what the ledger keeps; the fingerprint is
// SHA-256 over the canonical form of {"input": …, "type": …}, so neither actor, priority nor times
// make a repeat a conflict.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "core/evidence.h"
#include "core/ids.h"
#include "json/value.h"
#include "target/target.h"

namespace trued {

inline constexpr std::string_view kWriteType = "write";
inline constexpr std::string_view kWriteDefinition = "write@1";
inline constexpr std::size_t kArtifactsMax = 10'000;

struct WriteInput {
  std::shared_ptr<const Intent> intent;
  std::string canonical;  ///< RFC 8785 form of the input
  Fingerprint fingerprint;
};

/// What is wrong with an input, and where ("/artifacts/3/path"). Nothing happened.
struct InputFault {
  std::string pointer;
  std::string detail;
  bool no_such_target = false;
};

/// Takes the input apart; contents are moved, not copied. On failure `fault` says what is wrong.
/// `targets` may be null (recovery): then it is not held to everything again (check_write.h).
[[nodiscard]] std::optional<WriteInput> parse_write_input(json::Value input, const Targets* targets,
                                                          InputFault& fault);

/// The input that means `intent`, in canonical form: for the CLI and the library. REQUIRES: its
/// names and texts are valid UTF-8 (check_intent() sees to it where a target is known); content may
/// be any bytes. Nothing is repaired, since that would name something else.
[[nodiscard]] std::string write_input_json(const Intent& intent);

}  // namespace trued
