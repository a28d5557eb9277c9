#include "target/file/file_connector.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <optional>
#include <set>
#include <string_view>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

#include "base/assert.h"
#include "target/compare.h"
#include "target/file/beneath.h"
#include "target/file/read_back.h"
#include "target/file/temporaries.h"
#include "target/nesting.h"
#include "target/outcome.h"

namespace trued {
namespace {

using file::Failure;
using file::Fd;
using file::Outcome;

constexpr std::uint32_t kSweepEntriesMax = 200'000;
constexpr std::uint32_t kFileMode = 0644;
constexpr std::size_t kSegmentMax = 255;  // NAME_MAX

// What may go differently when tried again; everything else needs somebody to change something.
EffectKind rejection(int error) {
  constexpr int kPassing[] = {ENOSPC, EDQUOT, EIO,    EMFILE, ENFILE,   ENOMEM,
                              EAGAIN, EINTR,  ESTALE, EBUSY,  ETIMEDOUT};
  const bool passing = std::ranges::find(kPassing, error) != std::end(kPassing);
  return passing ? EffectKind::rejected_retryable : EffectKind::rejected_final;
}

ErrorCode code_of(int error) {
  if (error == ENOENT) return ErrorCode::not_found;
  if (error == EACCES || error == EPERM) return ErrorCode::permission_denied;
  if (error == ENOTDIR) return ErrorCode::invalid_argument;
  if (error == ENOSYS) return ErrorCode::unsupported;
  return ErrorCode::io;
}

// One artifact on its way to the disk.
struct Change {
  const ArtifactIntent* meant = nullptr;
  Fd directory;  // its parent; closed when there is none (yet, or nothing to remove)
  std::string leaf;
  Fd waiting_room;        // where the temporary is while a file stands where the parent will be
  std::string temporary;  // in `directory` or the waiting room; empty: nothing to rename
  bool remove = false;    // there is a file, and it is to go
};

// One effect. Its destructor removes the temporaries that were not renamed.
class Writer {
 public:
  Writer(const FileOptions& options, file::Doubts& doubts, int root)
      : options_(options), doubts_(doubts), root_(root) {}
  ~Writer() {
    for (const Change& change : changes_) {
      if (!change.temporary.empty()) {
        ::unlinkat(place_of(change).get(), change.temporary.c_str(), 0);
      }
    }
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // Puts everything on disk under temporary names; nothing a consumer reads has changed.
  Outcome<void> stage(const Intent& intent) {
    TRUED_ASSERT(changes_.empty() && !changed_);
    const std::vector<bool> gives_way = giving_way(intent);
    // Removals first: what makes room must be known before what goes there, and be gone before.
    for (std::size_t i = 0; i < gives_way.size(); ++i) {
      const ArtifactIntent& artifact = intent.artifacts.at(i);
      if (artifact.absent) TRUED_TRY_VOID(stage_removal(artifact, gives_way.at(i)));
    }
    for (const ArtifactIntent& artifact : intent.artifacts) {
      if (!artifact.absent) TRUED_TRY_VOID(stage_content(artifact));
    }
    return {};
  }

  // From the first change on, a failure leaves a part of the effect behind.
  Outcome<void> change() {
    for (Change& change : changes_) {
      TRUED_ASSERT(!change.remove || change.temporary.empty());
      if (!change.remove && change.temporary.empty()) continue;
      if (options_.before_change) options_.before_change(change.meant->name);
      if (change.remove) {
        TRUED_TRY_VOID(remove(change));
      } else {
        TRUED_TRY_VOID(rename(change));
      }
      doubts_.drop(change.meant->name);
      changed_ = true;
    }
    for (const Change& change : changes_) {
      if (!change.directory.is_open()) continue;
      TRUED_TRY_VOID(
          file::sync(change.directory.get(), "the directory of '" + change.meant->name + "'"));
    }
    return {};
  }

  [[nodiscard]] bool changed() const { return changed_; }

 private:
  // The mode of the regular file that stands there, or nothing if none does.
  static Outcome<std::optional<std::uint32_t>> standing(int directory, const std::string& leaf,
                                                        const std::string& name) {
    struct stat info{};
    if (::fstatat(directory, leaf.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) return std::optional<std::uint32_t>();
      return Failure{.error = errno, .doing = "look at '" + name + "'"};
    }
    if (S_ISREG(info.st_mode)) return std::optional<std::uint32_t>(info.st_mode & 0777U);
    const int error = S_ISDIR(info.st_mode) ? EISDIR : S_ISLNK(info.st_mode) ? ELOOP : EINVAL;
    return Failure{.error = error, .doing = "replace '" + name + "', which is no regular file"};
  }

  static const Fd& place_of(const Change& change) {
    return change.waiting_room.is_open() ? change.waiting_room : change.directory;
  }

  // The file that stands where a directory above `name` is to be, or nothing.
  [[nodiscard]] std::optional<std::string> in_the_way_of(const std::string& name) const {
    for (std::size_t at = name.find('/'); at != std::string::npos; at = name.find('/', at + 1)) {
      if (making_room_.contains(name.substr(0, at))) return name.substr(0, at);
    }
    return std::nullopt;
  }

  Outcome<void> stage_removal(const ArtifactIntent& artifact, bool gives_way) {
    TRUED_ASSERT(artifact.absent);
    auto parent = file::open_parent(root_, artifact.name);
    if (!parent.has_value()) {
      const int error = parent.error().error;
      if (error == ENOENT || error == ENOTDIR) return {};  // nothing can be there
      return std::move(parent).error();
    }
    Change change;
    change.meant = &artifact;
    change.leaf = file::leaf_of(artifact.name);
    const auto there = standing(parent->get(), change.leaf, artifact.name);
    if (!there.has_value()) {
      // A directory that stands there has made room already.
      if (gives_way && there.error().error == EISDIR) return {};
      return there.error();
    }
    change.remove = there->has_value();
    if (gives_way && change.remove) making_room_.insert(artifact.name);
    change.directory = std::move(*parent);
    changes_.push_back(std::move(change));
    return {};
  }

  Outcome<void> stage_content(const ArtifactIntent& artifact) {
    TRUED_ASSERT(!artifact.absent);
    Change change;
    change.meant = &artifact;
    change.leaf = file::leaf_of(artifact.name);
    if (const auto file = in_the_way_of(artifact.name)) {
      TRUED_TRY(change.waiting_room, file::open_parent(root_, *file));
      changes_.push_back(std::move(change));
      return write_temporary(changes_.back(), kFileMode);
    }
    TRUED_TRY(change.directory, file::make_parent(root_, artifact.name));
    TRUED_TRY(const auto there, standing(change.directory.get(), change.leaf, artifact.name));
    if (there) {
      TRUED_TRY(const bool same, holds_already(change));
      if (same) {
        changes_.push_back(std::move(change));
        return {};
      }
    }
    changes_.push_back(std::move(change));
    return write_temporary(changes_.back(), there.value_or(kFileMode));
  }

  // Equal content is made durable (it may be what a crash left unsynced) and left alone.
  Outcome<bool> holds_already(const Change& change) {
    TRUED_TRY(const Fd fd, file::open_beneath(change.directory.get(), change.leaf,
                                              O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
    const std::string& want = change.meant->content;
    auto content = file::read_all(fd.get(), want.size());
    if (!content.has_value() || *content != want) return false;
    const std::string& name = change.meant->name;
    struct stat info{};
    if (::fstat(fd.get(), &info) != 0 || doubts_.has(name, info)) return false;
    if ((options_.sync ? options_.sync(fd.get()) : ::fsync(fd.get())) == 0) return true;
    const Failure failure{.error = errno, .doing = "sync '" + name + "'"};
    doubts_.add(name, info);
    return failure;
  }

  static Outcome<void> write_temporary(Change& change, std::uint32_t mode) {
    TRUED_ASSERT(change.temporary.empty() && place_of(change).is_open());
    std::string temporary = file::temporary_name();
    TRUED_TRY(const Fd fd, file::open_beneath(place_of(change).get(), temporary,
                                              O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode));
    change.temporary = std::move(temporary);
    // The umask took bits away that the file before had.
    if (::fchmod(fd.get(), mode) != 0) {
      return Failure{.error = errno, .doing = "set the mode of '" + change.meant->name + "'"};
    }
    TRUED_TRY_VOID(file::write_all(fd.get(), change.meant->content));
    return file::sync(fd.get(), "the new content of '" + change.meant->name + "'");
  }

  Outcome<void> rename(Change& change) {
    TRUED_ASSERT(!change.temporary.empty() && !change.meant->absent);
    if (change.waiting_room.is_open()) {
      TRUED_TRY(change.directory, file::make_parent(root_, change.meant->name));
    }
    if (::renameat(place_of(change).get(), change.temporary.c_str(), change.directory.get(),
                   change.leaf.c_str()) != 0) {
      return Failure{.error = errno, .doing = "rename onto '" + change.meant->name + "'"};
    }
    change.temporary.clear();
    return {};
  }

  static Outcome<void> remove(const Change& change) {
    TRUED_ASSERT(change.directory.is_open() && change.meant->absent);
    if (::unlinkat(change.directory.get(), change.leaf.c_str(), 0) != 0 && errno != ENOENT) {
      return Failure{.error = errno, .doing = "remove '" + change.meant->name + "'"};
    }
    return {};
  }

  const FileOptions& options_;
  file::Doubts& doubts_;
  int root_;
  std::vector<Change> changes_;
  std::set<std::string, std::less<>> making_room_;  // files that go so that a directory can come
  bool changed_ = false;
};

}  // namespace

Result<std::unique_ptr<FileConnector>> FileConnector::open(FileOptions options) {
  auto root = file::open_root(options.directory);
  if (!root.has_value()) {
    return Error{.code = code_of(root.error().error), .message = root.error().text()};
  }
  if (auto probe = file::open_beneath(root->get(), ".", O_RDONLY | O_DIRECTORY);
      !probe.has_value()) {
    return Error{
        .code = code_of(probe.error().error),
        .message = "the file target needs openat2 (Linux 5.6 or newer): " + probe.error().text()};
  }
  file::remove_left_over(root->get(), kSweepEntriesMax);
  return std::unique_ptr<FileConnector>(new FileConnector(std::move(options)));
}

Capabilities FileConnector::capabilities() const {
  return {.idempotent = true, .deduplicates = false, .history = false, .dated = true};
}

EffectResult FileConnector::perform(const EffectRequest& request) {
  TRUED_ASSERT(request.intent != nullptr);
  const Intent& intent = *request.intent;
  if (intent.base) {
    return effect_ended(EffectKind::rejected_final,
                        "a directory has no versions, so 'base' cannot be checked; leave it out");
  }
  for (const ArtifactIntent& artifact : intent.artifacts) {
    if (const std::string wrong = check_name(artifact.name); !wrong.empty()) {
      return effect_ended(EffectKind::rejected_final, "'" + artifact.name + "': " + wrong);
    }
  }
  if (const auto clash = find_clash(intent)) {
    return effect_ended(EffectKind::rejected_final, describe(intent, *clash));
  }
  auto root = file::open_root(options_.directory);
  if (!root.has_value()) {
    return effect_ended(rejection(root.error().error), root.error().text());
  }
  Writer writer(options_, doubts_, root->get());
  if (auto staged = writer.stage(intent); !staged.has_value()) {
    return effect_ended(rejection(staged.error().error), staged.error().text());
  }
  if (auto done = writer.change(); !done.has_value()) {
    if (!writer.changed()) {
      return effect_ended(rejection(done.error().error), done.error().text());
    }
    return effect_ended(EffectKind::unknown,
                        done.error().text() + "; a part of the change may have landed");
  }
  return effect_acknowledged(writer.changed(), {});
}

std::vector<RawRead> FileConnector::read(const ReadRequest& request) {
  const auto root = file::open_root(options_.directory);
  if (root.has_value()) return file::read_back(root->get(), request, options_, doubts_);
  return std::vector<RawRead>(request.artifacts.size(), read_unreadable(root.error().text()));
}

// A directory keeps no history, but a date: what was not changed since the operation was accepted
// is neither ours nor a later writer's. Known only if that holds for everything that differs.
History FileConnector::history(const HistoryRequest& request) {
  if (!request.untouched_since) return {};
  const auto root = file::open_root(options_.directory);
  if (!root.has_value()) return {};
  for (const ArtifactIntent& artifact : request.intent->artifacts) {
    if (!file::untouched(root->get(), artifact, *request.untouched_since, options_)) return {};
  }
  History history;
  history.known = true;
  history.artifacts.resize(request.intent->artifacts.size());
  return history;
}

Result<std::string> FileConnector::version() { return std::string(); }

std::string FileConnector::check_name(const std::string& name) const {
  if (std::string wrong = check_relative_path(name); !wrong.empty()) return wrong;
  std::string_view rest = name;
  while (true) {
    const std::size_t slash = rest.find('/');
    const std::string_view segment = rest.substr(0, slash);
    if (segment.size() > kSegmentMax) return "a segment of the path has more than 255 bytes";
    if (names_git_directory(segment)) return "the path goes through a git directory";
    if (segment.starts_with(file::kTemporaryPrefix)) {
      return "names that begin with '" + std::string(file::kTemporaryPrefix) +
             "' are kept for temporary files";
    }
    if (slash == std::string_view::npos) return {};
    rest.remove_prefix(slash + 1);
  }
}

}  // namespace trued
