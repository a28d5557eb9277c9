#include <algorithm>
#include <array>
#include <filesystem>
#include <mutex>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "base/encoding.h"
#include "target/git/git_connector.h"
#include "target/git/http_exchange.h"
#include "target/git/session.h"
#include "target/git/store.h"

namespace trued::git {
namespace {

// Where a branch is kept in the private repository.
std::string fetched(const std::string& branch) { return "refs/trued/heads/" + branch; }
std::string outgoing(const std::string& branch) { return "refs/trued/outgoing/" + branch; }

std::string authorization_of(const GitOptions& options) {
  if (!options.bearer_token.empty()) return "Bearer " + options.bearer_token;
  if (options.username.empty() && options.password.empty()) return {};
  return "Basic " + base64_encode(options.username + ":" + options.password);
}

Result<Handle<git_repository>> open_or_init(const std::string& path) {
  Handle<git_repository> repository;
  int code = acquire(repository, git_repository_open_bare, path.c_str());
  if (code != 0) {
    constexpr unsigned kBare = 1;
    code = acquire(repository, git_repository_init, path.c_str(), kBare);
  }
  if (code != 0) return error_of(code, "open the private repository '" + path + "'");
  return repository;
}

// A refusal that another try may not meet.
bool is_passing(std::string_view report) {
  constexpr std::array kPassing = {
      "failed to update ref",  "cannot lock ref", "failed to lock", "unable to",
      "internal server error", "unpacker error",  "failed to write"};
  return std::ranges::any_of(kPassing, [report](std::string_view text) {
    return report.find(text) != std::string_view::npos;
  });
}

class RemoteStore final : public Store {
 public:
  RemoteStore(const GitOptions& options, std::string private_path)
      : url_(options.repository),
        configured_(options.branch),
        branch_(options.branch.empty() ? "main" : options.branch),
        path_(std::move(private_path)),
        http_(make_http_exchange(authorization_of(options), options.fetch_bytes_max)),
        writers_(writers_of(url_)) {}

  Result<Snapshot> snapshot(Duration timeout) override {
    Snapshot snapshot;
    TRUED_TRY(snapshot.repository, open_or_init(path_));
    Session session(*http_, timeout);
    Handle<git_remote> remote;
    TRUED_TRY(snapshot.head, ask(snapshot.repository.get(), session, remote, snapshot.branch));
    if (!snapshot.head) return snapshot;
    Handle<git_odb> odb;
    if (const int code = acquire(odb, git_repository_odb, snapshot.repository.get()); code != 0) {
      return error_of(code, "open the private repository '" + path_ + "'");
    }
    // A commit is there only with all it needs: packs come whole.
    if (git_odb_exists(odb.get(), &*snapshot.head) != 1) {
      TRUED_TRY_VOID(fetch(remote.get(), session, snapshot.branch));
      git_odb_refresh(odb.get());
      if (git_odb_exists(odb.get(), &*snapshot.head) != 1) {
        return Error{.code = ErrorCode::io,
                     .retryable = true,
                     .message = url_ + " did not send commit " + hex_of(*snapshot.head)};
      }
      remember(snapshot.repository.get(), fetched(snapshot.branch), *snapshot.head);
    }
    return snapshot;
  }

  Result<std::optional<git_oid>> head(Duration timeout) override {
    TRUED_TRY(const auto repository, open_or_init(path_));
    Session session(*http_, timeout);
    Handle<git_remote> remote;
    std::string branch;
    return ask(repository.get(), session, remote, branch);
  }

  Move move(const Snapshot& from, const git_oid& to, Duration timeout) override {
    Stopwatch watch;
    Session session(*http_, timeout);
    session.expect(from.head);
    const int code = push(from, to, session);
    if (code == GIT_ENONFASTFORWARD || session.raced()) return {.moved = Moved::race};
    if (!session.report()) {
      if (code != 0) return after_failure(session, code);
      return rejected(EffectKind::unknown, "the remote did not say what became of the push");
    }
    // git_remote_push() itself calls a refusal a success; the report is what counts.
    if (!session.report()->empty()) {
      return after_refusal(session, from, watch.left_of(timeout));
    }
    remember(from.repository.get(), fetched(from.branch), to);
    return {};
  }

  std::timed_mutex& writers() override { return *writers_; }
  std::string branch() const override {
    const std::lock_guard lock(mutex_);
    return branch_;
  }
  std::string notice() const override { return {}; }

 private:
  static Move rejected(EffectKind kind, std::string reason) {
    return {.moved = Moved::rejected, .kind = kind, .reason = std::move(reason)};
  }

  // Without "insteadOf": nobody may redirect us, and libgit2 1.5 leaks memory looking for it.
  int make_remote(git_repository* repository, Handle<git_remote>& remote) const {
    git_remote_create_options options;
    git_remote_create_options_init(&options, GIT_REMOTE_CREATE_OPTIONS_VERSION);
    options.repository = repository;
    options.flags = GIT_REMOTE_CREATE_SKIP_INSTEADOF | GIT_REMOTE_CREATE_SKIP_DEFAULT_FETCHSPEC;
    return acquire(remote, git_remote_create_with_opts, url_.c_str(), &options);
  }

  // Settles which branch is meant, with the first answer that has any: from then on it stays, even
  // if it is removed or HEAD is moved over there.
  Result<std::string> settle(std::span<const git_remote_head*> heads) {
    const std::lock_guard lock(mutex_);
    if (settled_) return branch_;
    std::vector<std::string> branches;
    std::string named;
    for (const git_remote_head* head : heads) {
      const std::string_view name = head->name;
      if (name.starts_with(kHeads)) branches.emplace_back(name.substr(kHeads.size()));
      if (name != "HEAD" || head->symref_target == nullptr) continue;
      const std::string_view target = head->symref_target;
      if (target.starts_with(kHeads)) named = target.substr(kHeads.size());
    }
    TRUED_TRY(branch_, choose_branch(url_, configured_, named, branches));
    settled_ = !branches.empty() || !configured_.empty();
    return branch_;
  }

  // Connects and finds the branch and where it is; `remote` stays connected.
  Result<std::optional<git_oid>> ask(git_repository* repository, Session& session,
                                     Handle<git_remote>& remote, std::string& branch) {
    const std::string doing = "ask " + url_ + " for its branches";
    int code = make_remote(repository, remote);
    if (code != 0) return error_of(code, doing);
    const git_remote_callbacks callbacks = session.callbacks();
    code = git_remote_connect(remote.get(), GIT_DIRECTION_FETCH, &callbacks, nullptr, nullptr);
    if (code != 0) return session.error(code, doing);
    const git_remote_head** heads = nullptr;
    std::size_t count = 0;
    code = git_remote_ls(&heads, &count, remote.get());
    if (code != 0) return session.error(code, doing);
    TRUED_TRY(branch, settle(std::span(heads, count)));
    const std::string reference = std::string(kHeads) + branch;
    for (std::size_t i = 0; i < count; ++i) {
      if (heads[i]->name == reference) return std::optional<git_oid>(heads[i]->oid);
    }
    return std::optional<git_oid>();
  }

  Result<void> fetch(git_remote* remote, Session& session, const std::string& branch) {
    const std::string reference = std::string(kHeads) + branch;
    git_fetch_options options;
    git_fetch_options_init(&options, GIT_FETCH_OPTIONS_VERSION);
    options.callbacks = session.callbacks();
    options.download_tags = GIT_REMOTE_DOWNLOAD_TAGS_NONE;
    options.update_fetchhead = 0;
    std::string refspec = "+" + reference + ":" + fetched(branch);
    char* refspecs[] = {refspec.data()};
    const git_strarray wanted{.strings = refspecs, .count = 1};
    const int code = git_remote_download(remote, &wanted, &options);
    if (code != 0) return session.error(code, "fetch " + reference + " from " + url_);
    return {};
  }

  int push(const Snapshot& from, const git_oid& to, Session& session) {
    git_repository* repository = from.repository.get();
    Handle<git_remote> remote;
    int code = make_remote(repository, remote);
    if (code != 0) return code;
    code = remember(repository, outgoing(from.branch), to);
    if (code != 0) return code;
    git_push_options options;
    git_push_options_init(&options, GIT_PUSH_OPTIONS_VERSION);
    options.callbacks = session.callbacks();
    std::string refspec = outgoing(from.branch) + ":" + std::string(kHeads) + from.branch;
    char* refspecs[] = {refspec.data()};
    const git_strarray wanted{.strings = refspecs, .count = 1};
    return git_remote_push(remote.get(), &wanted, &options);
  }

  // Keeps a commit findable, so that the next fetch and push send only what is new.
  static int remember(git_repository* repository, const std::string& name, const git_oid& id) {
    Handle<git_reference> reference;
    constexpr int kForce = 1;
    return acquire(reference, git_reference_create, repository, name.c_str(), &id, kForce, nullptr);
  }

  Move after_failure(const Session& session, int code) {
    const Error error = session.error(code, "push to " + url_);
    if (!session.pushed() || session.failure()) return rejected(kind_of(error), error.message);
    // The request was answered, and not in a way that is understood.
    return rejected(EffectKind::unknown, error.message);
  }

  Move after_refusal(const Session& session, const Snapshot& from, Duration timeout) {
    const std::string& report = *session.report();
    std::string reason = "the remote declined the push: " + report;
    if (const std::string said = session.said(); !said.empty()) reason += ": " + said;
    const auto now = head(timeout);
    if (now.has_value()) {
      const bool moved =
          now->has_value() != from.head.has_value() || (from.head && !same(**now, *from.head));
      if (moved) return {.moved = Moved::race};
    }
    return rejected(
        is_passing(report) ? EffectKind::rejected_retryable : EffectKind::rejected_final, reason);
  }

  const std::string url_;
  const std::string configured_;
  mutable std::mutex mutex_;  // guards the next two
  std::string branch_;
  bool settled_ = false;
  const std::string path_;
  const std::unique_ptr<HttpExchange> http_;
  const std::shared_ptr<std::timed_mutex> writers_;
};

}  // namespace

Result<std::unique_ptr<Store>> open_remote(const GitOptions& options) {
  constexpr std::size_t kNameDigits = 16;
  const std::string name = sha256(options.repository).hex().substr(0, kNameDigits) + ".git";
  const auto folder = std::filesystem::path(options.state_directory) / "git";
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (failed) {
    return Error{.code = ErrorCode::permission_denied,
                 .message = "cannot create '" + folder.string() + "': " + failed.message()};
  }
  TRUED_TRY_VOID(open_or_init((folder / name).string()));
  return std::unique_ptr<Store>(std::make_unique<RemoteStore>(options, (folder / name).string()));
}

}  // namespace trued::git
