#include <condition_variable>
#include <filesystem>
#include <string_view>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

#include "target/git/git_connector.h"
#include "target/git/lock_note.h"
#include "target/git/store.h"

namespace trued::git {
namespace {

// Another writer holds the reference's lock for moments only, unless it died with it.
constexpr int kLockTriesMax = 40;
constexpr std::chrono::milliseconds kLockPause{5};

void pause() {
  std::mutex mutex;
  std::condition_variable nobody;
  std::unique_lock lock(mutex);
  nobody.wait_for(lock, kLockPause, [] { return false; });
}

Result<Handle<git_repository>> open_repository(const std::string& path) {
  Handle<git_repository> repository;
  const int code = acquire(repository, git_repository_open_ext, path.c_str(),
                           static_cast<unsigned>(GIT_REPOSITORY_OPEN_NO_SEARCH), nullptr);
  if (code != 0) return error_of(code, "open the repository '" + path + "'");
  return repository;
}

// The branch that HEAD names, born or not; empty if it names none (a commit is checked out).
std::string named_by_head(git_repository* repository) {
  Handle<git_reference> head;
  if (acquire(head, git_reference_lookup, repository, "HEAD") != 0) return {};
  const char* target = git_reference_symbolic_target(head.get());
  if (target == nullptr || !std::string_view(target).starts_with(kHeads)) return {};
  return target + kHeads.size();
}

Result<std::vector<std::string>> branches_of(git_repository* repository) {
  std::vector<std::string> names;
  Handle<git_branch_iterator> all;
  int code = acquire(all, git_branch_iterator_new, repository, GIT_BRANCH_LOCAL);
  while (code == 0) {
    Handle<git_reference> branch;
    git_branch_t type = GIT_BRANCH_LOCAL;
    git_reference* found = nullptr;
    code = git_branch_next(&found, &type, all.get());
    branch.reset(found);
    if (code == 0) names.emplace_back(git_reference_name(found) + kHeads.size());
  }
  if (code != GIT_ITEROVER) return error_of(code, "list the branches");
  return names;
}

// Its own working tree counts even where the branch is unborn; those that were added beside it only
// where there are any, because libgit2 opens each of them to see.
bool is_checked_out(git_repository* repository, const std::string& branch) {
  if (git_repository_is_bare(repository) == 0 && named_by_head(repository) == branch) return true;
  const auto added = std::filesystem::path(git_repository_commondir(repository)) / "worktrees";
  std::error_code ignored;
  if (!std::filesystem::exists(added, ignored)) return false;
  Handle<git_reference> reference;
  const std::string name = std::string(kHeads) + branch;
  if (acquire(reference, git_reference_lookup, repository, name.c_str()) != 0) return false;
  return git_branch_is_checked_out(reference.get()) == 1;
}

std::string checked_out_text(const std::string& path, const std::string& branch) {
  return "the branch '" + branch + "' is checked out in a working tree of '" + path +
         "': it would move and the files would stay behind (git itself refuses a push to it: "
         "receive.denyCurrentBranch). Use a bare repository, or another branch, or check out "
         "another one there";
}

class LocalStore final : public Store {
 public:
  LocalStore(std::string path, std::string branch, const GitOptions& options)
      : path_(std::move(path)),
        branch_(std::move(branch)),
        reference_(std::string(kHeads) + branch_),
        author_name_(options.author_name),
        author_email_(options.author_email),
        writers_(writers_of(path_)) {}

  Result<Snapshot> snapshot(Duration /*timeout*/) override {
    Snapshot snapshot;
    TRUED_TRY(snapshot.repository, open_repository(path_));
    TRUED_TRY(snapshot.head, resolve(snapshot.repository.get()));
    snapshot.branch = branch_;
    return snapshot;
  }

  Result<std::optional<git_oid>> head(Duration /*timeout*/) override {
    TRUED_TRY(const auto repository, open_repository(path_));
    return resolve(repository.get());
  }

  Move move(const Snapshot& from, const git_oid& to, Duration /*timeout*/) override {
    git_repository* repository = from.repository.get();
    if (is_checked_out(repository, branch_)) {
      return rejected(EffectKind::rejected_final, checked_out_text(path_, branch_));
    }
    Handle<git_transaction> transaction;
    if (acquire(transaction, git_transaction_new, repository) != 0) {
      return rejected(EffectKind::rejected_retryable, last_error("start moving " + reference_));
    }
    const std::string directory = git_repository_commondir(repository);
    const LockNote note(directory, reference_);
    int code = git_transaction_lock_ref(transaction.get(), reference_.c_str());
    for (int tries = 1; code == GIT_ELOCKED && tries < kLockTriesMax; ++tries) {
      pause();
      code = git_transaction_lock_ref(transaction.get(), reference_.c_str());
    }
    if (code == GIT_ELOCKED && break_stale_lock(directory, reference_)) {
      code = git_transaction_lock_ref(transaction.get(), reference_.c_str());
    }
    if (code != 0) {
      return rejected(EffectKind::rejected_retryable, last_error("lock " + reference_));
    }
    // Under the lock nobody else moves it.
    const auto now = resolve(repository);
    if (!now.has_value()) return rejected(kind_of(now.error()), now.error().message);
    if (!is_head(*now, from.head)) return {.moved = Moved::race};
    return commit(transaction.get(), repository, from, to);
  }

  std::timed_mutex& writers() override { return *writers_; }

  std::string branch() const override { return branch_; }

  std::string notice() const override {
    const auto repository = open_repository(path_);
    if (!repository.has_value()) return repository.error().message;
    std::string text;
    const std::filesystem::path hooks =
        std::filesystem::path(git_repository_commondir(repository->get())) / "hooks";
    for (const char* hook : {"pre-receive", "update", "reference-transaction", "post-receive"}) {
      if (::access((hooks / hook).c_str(), X_OK) != 0) continue;
      text += "The hook '" + std::string(hook) + "' of '" + path_ + "' will not run. ";
    }
    if (!text.empty()) text.pop_back();
    return text;
  }

 private:
  static Move rejected(EffectKind kind, std::string reason) {
    return {.moved = Moved::rejected, .kind = kind, .reason = std::move(reason)};
  }

  static bool is_head(const std::optional<git_oid>& a, const std::optional<git_oid>& b) {
    if (!a || !b) return a.has_value() == b.has_value();
    return same(*a, *b);
  }

  Result<std::optional<git_oid>> resolve(git_repository* repository) const {
    Handle<git_reference> reference;
    const int code = acquire(reference, git_reference_lookup, repository, reference_.c_str());
    if (code == GIT_ENOTFOUND) return std::optional<git_oid>();
    if (code != 0) return error_of(code, "resolve " + reference_ + " of '" + path_ + "'");
    const git_oid* target = git_reference_target(reference.get());
    if (target == nullptr) {
      return Error{
          .code = ErrorCode::unsupported,
          .message = reference_ + " of '" + path_ + "' is symbolic; name the branch itself"};
    }
    return std::optional<git_oid>(*target);
  }

  Move commit(git_transaction* transaction, git_repository* repository, const Snapshot& from,
              const git_oid& to) {
    Handle<git_signature> signature;
    int code = acquire(signature, git_signature_now, author_name_.c_str(), author_email_.c_str());
    if (code == 0) {
      code = git_transaction_set_target(transaction, reference_.c_str(), &to, signature.get(),
                                        "trued: write");
    }
    if (code != 0) {
      return rejected(EffectKind::rejected_retryable, last_error("move " + reference_));
    }
    if (git_transaction_commit(transaction) == 0) return {};
    // It may have been renamed into place before it went wrong: only the reference knows.
    const std::string why = last_error("move " + reference_);
    const auto now = resolve(repository);
    if (now.has_value() && is_head(*now, to)) return {};
    const bool untouched = now.has_value() && is_head(*now, from.head);
    return rejected(untouched ? EffectKind::rejected_retryable : EffectKind::unknown, why);
  }

  const std::string path_;
  const std::string branch_;
  const std::string reference_;
  const std::string author_name_;
  const std::string author_email_;
  const std::shared_ptr<std::timed_mutex> writers_;
};

}  // namespace

Result<std::unique_ptr<Store>> open_local(const GitOptions& options) {
  std::error_code failed;
  const auto path = std::filesystem::canonical(options.repository, failed);
  if (failed) {
    const bool missing = failed == std::errc::no_such_file_or_directory;
    return Error{
        .code = missing ? ErrorCode::not_found : ErrorCode::permission_denied,
        .message = "cannot open the repository '" + options.repository + "': " + failed.message()};
  }
  TRUED_TRY(const auto repository, open_repository(path.string()));
  TRUED_TRY(const auto branches, branches_of(repository.get()));
  TRUED_TRY(std::string branch, choose_branch(options.repository, options.branch,
                                              named_by_head(repository.get()), branches));
  if (is_checked_out(repository.get(), branch)) {
    return Error{.code = ErrorCode::invalid_argument,
                 .message = checked_out_text(path.string(), branch)};
  }
  return std::unique_ptr<Store>(
      std::make_unique<LocalStore>(path.string(), std::move(branch), options));
}

}  // namespace trued::git
