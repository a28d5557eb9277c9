#include "target/git/git_connector.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/assert.h"
#include "target/compare.h"
#include "target/git/plan.h"
#include "target/git/store.h"
#include "target/git/tree.h"
#include "target/git/walk.h"
#include "target/nesting.h"
#include "target/outcome.h"

namespace trued {
namespace {

// How long a read of the head may take where no bound is given.
constexpr Duration kVersionTimeout{10'000};

bool is_url(std::string_view repository) {
  return repository.starts_with("http://") || repository.starts_with("https://");
}

Error invalid(std::string message) {
  return {.code = ErrorCode::invalid_argument, .message = std::move(message)};
}

Result<void> check(const GitOptions& options) {
  const std::string& repository = options.repository;
  if (repository.find("://") != std::string::npos && !is_url(repository)) {
    return invalid("'" + repository + "': only paths, http:// and https:// are supported");
  }
  if (is_url(repository)) {
    const std::size_t host = repository.find("://") + 3;
    const std::string authority = repository.substr(host, repository.find('/', host) - host);
    if (authority.empty()) return invalid("'" + repository + "' names no host");
    if (authority.find('@') != std::string::npos) {
      return invalid("the repository's URL holds credentials; give them as settings of their own");
    }
    if (options.state_directory.empty()) {
      return invalid("a repository over HTTP needs a state directory");
    }
  }
  int valid = 0;
  // Which one it is to be may be for the repository to say.
  const std::string reference = "refs/heads/" + (options.branch.empty() ? "main" : options.branch);
  if (git_reference_name_is_valid(&valid, reference.c_str()) != 0 || valid == 0) {
    return invalid("'" + options.branch + "' is no name for a branch");
  }
  git::Handle<git_signature> author;
  if (git::acquire(author, git_signature_now, options.author_name.c_str(),
                   options.author_email.c_str()) != 0) {
    return invalid(git::last_error("use '" + options.author_name + " <" + options.author_email +
                                   ">' as author"));
  }
  return {};
}

// `gives_way`: a directory is the absence that was meant (nesting.h).
RawRead read_one(const git::Snapshot& snapshot, const git_tree* tree, const std::string& name,
                 bool gives_way, std::uint64_t bytes_max) {
  const std::string version = git::version_of(snapshot.head);
  const auto entry = git::entry_at(snapshot.repository.get(), tree, name);
  if (!entry.has_value()) return read_unreadable(entry.error().message);
  const bool made_room = gives_way && entry->kind == git::EntryKind::directory;
  if (entry->kind == git::EntryKind::none || made_room) return read_absent(version);
  if (entry->kind != git::EntryKind::file) {
    return read_unreadable("'" + name + "' is " + git::describe(*entry));
  }
  git::Handle<git_odb> odb;
  std::size_t size = 0;
  git_object_t type = GIT_OBJECT_INVALID;
  if (git::acquire(odb, git_repository_odb, snapshot.repository.get()) != 0 ||
      git_odb_read_header(&size, &type, odb.get(), &entry->id) != 0) {
    return read_unreadable(git::last_error("read '" + name + "'"));
  }
  if (size > bytes_max) {
    return read_unreadable("'" + name + "' is larger than " + std::to_string(bytes_max) + " bytes");
  }
  git::Handle<git_blob> blob;
  if (git::acquire(blob, git_blob_lookup, snapshot.repository.get(), &entry->id) != 0) {
    return read_unreadable(git::last_error("read '" + name + "'"));
  }
  const auto* content = static_cast<const char*>(git_blob_rawcontent(blob.get()));
  return read_found(std::string(content, static_cast<std::size_t>(git_blob_rawsize(blob.get()))),
                    version);
}

}  // namespace

Result<std::unique_ptr<GitConnector>> GitConnector::open(GitOptions options) {
  git::set_up_library();
  TRUED_TRY_VOID(check(options));
  TRUED_TRY(auto store,
            is_url(options.repository) ? git::open_remote(options) : git::open_local(options));
  return std::unique_ptr<GitConnector>(new GitConnector(std::move(options), std::move(store)));
}

GitConnector::GitConnector(GitOptions options, std::unique_ptr<git::Store> store)
    : options_(std::move(options)), store_(std::move(store)) {
  TRUED_ASSERT(store_ != nullptr);
}

GitConnector::~GitConnector() = default;

Capabilities GitConnector::capabilities() const {
  return {.idempotent = true, .deduplicates = false, .history = true};
}

EffectResult GitConnector::perform(const EffectRequest& request) {
  TRUED_ASSERT(request.intent != nullptr);
  for (const ArtifactIntent& artifact : request.intent->artifacts) {
    if (const std::string wrong = check_name(artifact.name); !wrong.empty()) {
      return effect_ended(EffectKind::rejected_final, "'" + artifact.name + "': " + wrong);
    }
  }
  Stopwatch watch;
  std::unique_lock turn(store_->writers(), std::defer_lock);
  if (!turn.try_lock_for(request.timeout)) {
    return effect_ended(EffectKind::not_sent,
                        "another effect on this repository is still under way");
  }
  for (std::uint32_t rebuilt = 0; rebuilt <= options_.rebuilds_max; ++rebuilt) {
    auto result = attempt(request, watch.left_of(request.timeout));
    if (result.has_value()) return std::move(*result);
  }
  return effect_ended(EffectKind::rejected_retryable,
                      "race: the branch '" + store_->branch() + "' was moved by others " +
                          std::to_string(options_.rebuilds_max + 1) + " times in a row");
}

std::optional<EffectResult> GitConnector::attempt(const EffectRequest& request, Duration timeout) {
  Stopwatch watch;
  const auto snapshot = store_->snapshot(timeout);
  if (!snapshot.has_value()) {
    return effect_ended(git::kind_of(snapshot.error()), snapshot.error().message);
  }
  auto planned = git::plan(*snapshot, request, options_);
  if (!planned.has_value()) {
    return effect_ended(git::kind_of(planned.error()), planned.error().message);
  }
  if (auto* answer = std::get_if<EffectResult>(&*planned)) return std::move(*answer);
  const git_oid& commit = std::get<git_oid>(*planned);
  git::Move move = store_->move(*snapshot, commit, watch.left_of(timeout));
  switch (move.moved) {
    case git::Moved::done:
      return effect_acknowledged(true, git::hex_of(commit));
    case git::Moved::race:
      return std::nullopt;
    case git::Moved::rejected:
      return effect_ended(move.kind, std::move(move.reason));
  }
  return std::nullopt;
}

std::vector<RawRead> GitConnector::read(const ReadRequest& request) {
  Stopwatch watch;
  std::vector<RawRead> reads;
  reads.reserve(request.artifacts.size());
  const auto snapshot = store_->snapshot(request.timeout);
  Result<git::Handle<git_tree>> tree{git::Handle<git_tree>()};
  if (snapshot.has_value() && snapshot->head) {
    tree = git::tree_at(snapshot->repository.get(), *snapshot->head);
  }
  const std::vector<bool> gives_way = giving_way(*request.intent);
  for (const std::uint32_t index : request.artifacts) {
    const std::string& name = request.intent->artifacts.at(index).name;
    if (!snapshot.has_value()) {
      reads.push_back(read_unreadable(snapshot.error().message));
    } else if (!tree.has_value()) {
      reads.push_back(read_unreadable(tree.error().message));
    } else {
      reads.push_back(
          read_one(*snapshot, tree->get(), name, gives_way.at(index), options_.read_bytes_max));
    }
    reads.back().latency = watch.elapsed();
  }
  TRUED_ASSERT(reads.size() == request.artifacts.size());
  return reads;
}

History GitConnector::history(const HistoryRequest& request) {
  const auto snapshot = store_->snapshot(request.timeout);
  if (!snapshot.has_value()) return {};
  auto proved = git::prove(snapshot->repository.get(), snapshot->head,
                           {.operation = request.operation,
                            .intent = *request.intent,
                            .since = request.since,
                            .reported = request.reported,
                            .commits_max = options_.history_commits_max});
  return proved.has_value() ? std::move(*proved) : History{};
}

Result<std::string> GitConnector::version() {
  TRUED_TRY(const auto head, store_->head(kVersionTimeout));
  return git::version_of(head);
}

std::string GitConnector::check_name(const std::string& name) const {
  if (std::string wrong = check_relative_path(name); !wrong.empty()) return wrong;
  std::string_view rest = name;
  while (true) {
    const std::size_t slash = rest.find('/');
    if (names_git_directory(rest.substr(0, slash))) return "the path goes through a git directory";
    if (slash == std::string_view::npos) return {};
    rest.remove_prefix(slash + 1);
  }
}

std::string GitConnector::notice() const { return store_->notice(); }

}  // namespace trued
