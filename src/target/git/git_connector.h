// git_connector.h: one branch of a git repository as a target; an artifact is a path in its tree.
//
// An effect is a commit on the head of the moment, carrying the operation's id as a trailer
// (`Trued-Operation:`), put in place by compare-and-swap of the branch. So the repository itself
// can answer what became of an operation: history() walks from the head and finds ours, and who
// changed the same path after us; that is never written over.
//
// The repository is a local path (bare or not) or an http(s) URL. Over HTTP a private bare
// repository below `state_directory` holds what was fetched; it can be deleted at any time.
//
// What a local repository's owner should know:
//   * No hook runs: libgit2 runs none, and a local branch is moved without a push. Put Trued behind
//     `git http-backend` where hooks must decide. notice() says so if there are any.
//   * A branch that is checked out in a working tree is refused, as git refuses a push to it
//     (receive.denyCurrentBranch): the branch would move, and the files would stay behind.
//   * Only the repository's own configuration is read, not the user's or the system's.
//
// Any thread. Our own effects on one repository run one after another within the process, so only
// outsiders race; a lost race is rebuilt on the new head a few times, then a retryable rejection.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "target/target.h"

namespace trued {

namespace git {
class Store;
}

struct GitOptions {
  std::string repository;  ///< path, or http:// or https:// URL without credentials in it
  /// Without "refs/heads/"; empty: the one that the repository's HEAD names, or "main" if it names
  /// none. It may be unborn only where there is no branch at all.
  std::string branch = {};
  std::string author_name = "Trued";
  std::string author_email = "trued@localhost";
  std::string state_directory = {};  ///< URL only: where the private repository is kept
  std::string username = {};         ///< URL only: Basic, with `password`
  std::string password = {};
  std::string bearer_token = {};                ///< URL only: Bearer, instead of Basic
  std::uint64_t read_bytes_max = 64ULL << 20U;  ///< a larger blob is unreadable, not a mismatch
  std::uint64_t fetch_bytes_max = 1ULL << 30U;  ///< URL only: of one answer, held in memory
  std::uint32_t history_commits_max = 10'000;   ///< how far back the history is walked
  std::uint32_t rebuilds_max = 3;               ///< after a lost race, within one attempt
};

class GitConnector final : public Connector {
 public:
  /// A local repository is opened (not_found, permission_denied, corrupt, invalid_argument: there
  /// are branches but not this one, or it is checked out). A remote one is not contacted, so that
  /// it may be down at start: a branch that is not among its branches when it first answers ends
  /// effects with rejected_final and makes everything unreadable, until it is there.
  [[nodiscard]] static Result<std::unique_ptr<GitConnector>> open(GitOptions options);
  ~GitConnector() override;

  [[nodiscard]] Capabilities capabilities() const override;
  /// acknowledged: the branch is at our commit, or held everything before (`changed` false, never
  /// an empty commit). rejected_final: a path is in the way, a hook declined, or `base` is stale.
  /// unknown: the connection broke while the push was under way.
  [[nodiscard]] EffectResult perform(const EffectRequest& request) override;
  /// From the commit that the branch is at now; `version` is that commit. A branch that is not
  /// there holds nothing (absent); a repository that cannot be asked is unreadable.
  [[nodiscard]] std::vector<RawRead> read(const ReadRequest& request) override;
  [[nodiscard]] History history(const HistoryRequest& request) override;
  /// The commit that the branch is at; forty zeros for an unborn branch.
  [[nodiscard]] Result<std::string> version() override;
  [[nodiscard]] std::string check_name(const std::string& name) const override;

  /// What the owner of the repository should know (hooks that do not run), as sentences; empty when
  /// there is nothing to say.
  [[nodiscard]] std::string notice() const;

 private:
  GitConnector(GitOptions options, std::unique_ptr<git::Store> store);
  /// One build and move; nothing if a race was lost.
  std::optional<EffectResult> attempt(const EffectRequest& request, Duration timeout);

  const GitOptions options_;
  const std::unique_ptr<git::Store> store_;
};

}  // namespace trued
