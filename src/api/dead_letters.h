// dead_letters.h: dead letters as the API shows them. Private to src/api.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/auth.h"
#include "api/problems.h"
#include "core/cause.h"
#include "json/writer.h"
#include "ledger/ledger.h"

namespace trued::api {

/// A dead letter, and what its log says.
struct DeadLetter {
  Operation operation;
  Cause cause = Cause::attempts_exhausted;
  std::uint32_t endings = 1;  ///< the same in a row
  bool poison = false;        ///< as often as its target's `poison_after` says
};

struct DeadLetters {
  std::vector<DeadLetter> letters;
  std::uint64_t position = 0;  ///< where a further page begins; 0 at the end
};

/// Which of those that the ledger finds are meant; empty for all.
using LetterTest = std::function<bool(const DeadLetter&)>;

/// What somebody who redrives by query has allowed.
struct RedriveTerms {
  bool poison = false;      ///< what ended so often in the same way, too
  bool may_repeat = false;  ///< what may have happened, too, and what would write over others
};

/// The backlog, for metrics.
struct Backlog {
  struct Letters {
    std::uint64_t count = 0;
    WallTime oldest = WallTime::max();  ///< since when the oldest has been one
  };
  struct Undecided {
    std::uint64_t count = 0;
    std::uint64_t overdue = 0;
  };
  std::map<std::pair<std::string, Cause>, Letters> letters = {};  ///< by target and cause
  std::map<std::string, std::uint64_t> poison = {};               ///< by target
  /// Everything on the worklist, dead letters or not: by target and owner.
  std::map<std::pair<std::string, std::string>, Undecided> undecided = {};
  std::uint64_t unknown = 0;  ///< cause unknown_outcome
};

/// What dead letters and the worklist are both asked by.
struct LetterFilter {
  DeadLetterQuery query = {};
  std::string scope = {};
};
/// Reads `type`, `target`, `scope`, `cursor` and `limit`, and leaves every other name alone.
/// False: `problem` says what is wrong.
[[nodiscard]] bool read_letter_filter(const std::string& name, const std::string& value,
                                      LetterFilter& filter, Problem& problem);
/// Narrows the query to the scope that was asked for, else to the caller's; nothing if that is not
/// the caller's to see.
[[nodiscard]] std::optional<Problem> narrow_to_scope(const Caller& caller, LetterFilter& filter);

/// A cause that dead letters have.
[[nodiscard]] bool read_dead_cause(const std::string& text, std::optional<Cause>& out,
                                   Problem& problem);

/// "cursor": the position as a text, or null.
void write_position(json::Writer& out, std::uint64_t position);

}  // namespace trued::api
