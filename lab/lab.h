// lab.h: the same writes twice through a publishing pipeline that lies: once by a writer who trusts
// status codes, once through Trued.
//
// The pipeline is real: N concurrent writers, a publishing layer, a bare git repository, a sync
// layer, and a serving layer over HTTP. Which lie is told to which write is a function of the seed
// alone, so a seed reproduces a run.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace trued::lab {

enum class Lie : std::uint8_t {
  none,
  swallowed_race,
  self_agreeing_noop,
  empty_write,
  partial_landing,
  clever_dedup,
  truncated,
  stale_replica,
};
inline constexpr std::size_t kLies = 8;
[[nodiscard]] std::string_view to_string(Lie lie);

struct LabOptions {
  std::uint64_t seed = 1;
  std::uint32_t writers = 8;
  std::uint32_t revisions = 4;  ///< writes of each document
  std::string input;            ///< a directory of documents; empty: built-in ones
  bool honest = false;          ///< no lies
};

/// What became of the writes to which one lie was told (index by Lie; none = told nothing).
struct LieScore {
  std::uint32_t writes = 0;    ///< told to that many writes
  std::uint32_t believed = 0;  ///< naive: reported as done, and consumers read something else
  std::uint32_t caught = 0;    ///< trued: a mismatch was noticed
  std::uint32_t named = 0;     ///< trued: and called by its tell
  std::uint32_t repaired = 0;  ///< trued: and confirmed in the end
  std::uint32_t accused = 0;   ///< trued: another lie was named
};

struct Side {
  std::uint32_t reported_done = 0;     ///< naive: success; trued: confirmed or unchanged
  std::uint32_t falsely_reported = 0;  ///< of these, consumers read something else at that moment
  std::uint32_t needs_action = 0;      ///< trued: said so, with evidence
  std::uint32_t wrong_at_end = 0;      ///< artifacts whose last intent is not what is served
  double seconds = 0;
};

struct LabReport {
  std::uint64_t seed = 0;
  std::uint32_t documents = 0;
  std::uint32_t artifacts = 0;
  std::uint32_t writes = 0;
  std::array<LieScore, kLies> lies{};
  Side naive;
  Side trued;
  std::vector<std::string> notes;  ///< what a reader should look at; empty when all is well
};

/// Progress: "naive" or "trued", writes done, writes in all.
using LabProgress = std::function<void(const char* side, std::uint32_t done, std::uint32_t total)>;

/// Runs both sides. Fails with `io`, … if the pipeline cannot be set up.
[[nodiscard]] Result<LabReport> run_lab(const LabOptions& options, const LabProgress& progress);

/// Side by side, for people.
[[nodiscard]] std::string report_text(const LabReport& report);
[[nodiscard]] std::string report_json(const LabReport& report);

/// True if trued's column is what it must be: nothing lost, nothing falsely confirmed, nobody
/// accused who told no lie.
[[nodiscard]] bool held(const LabReport& report);

}  // namespace trued::lab
