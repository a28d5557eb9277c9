// walk.h: what the history of a branch proves about an operation. Private to this folder.
//
// Commits are walked from the head back to where the operation began, children before parents. Ours
// are those that carry the operation's trailer. An artifact landed if one of ours, or the commit
// that the target acknowledged with, holds what was meant. It was replaced if the head does not
// hold it any more; the newest later commit that changed the path to something else says by whom.
#pragma once

#include <optional>
#include <string>

#include "target/git/handles.h"
#include "target/target.h"

namespace trued::git {

struct Question {
  OperationId operation;
  const Intent& intent;
  std::string since;     ///< version before the first attempt; unborn or unknown: from the root
  std::string reported;  ///< commit that the target acknowledged with; may be empty
  std::uint32_t commits_max = 10'000;
};

/// `known` is false if the bound was reached before `since` and none of ours was found. Errors: an
/// object could not be read. Cost: O(commits since × artifacts that do not hold).
[[nodiscard]] Result<History> prove(git_repository* repository, const std::optional<git_oid>& head,
                                    const Question& question);

}  // namespace trued::git
