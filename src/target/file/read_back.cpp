#include "target/file/read_back.h"

#include <cerrno>
#include <fcntl.h>
#include <map>
#include <string>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

#include "base/assert.h"
#include "target/file/beneath.h"
#include "target/nesting.h"
#include "target/outcome.h"

namespace trued::file {
namespace {

class ReadBack {
 public:
  ReadBack(int root, const FileOptions& options, Doubts& doubts)
      : root_(root), options_(options), doubts_(doubts) {}

  // `gives_way`: a directory is the absence that was meant (nesting.h).
  RawRead read_one(const std::string& name, bool gives_way) {
    auto fd = open_beneath(root_, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (!fd.has_value()) {
      const int error = fd.error().error;
      if (error == ENOENT || error == ENOTDIR) return read_absent({});
      if (error == ELOOP) return read_unreadable("'" + name + "' goes through a symbolic link");
      return read_unreadable(fd.error().text());
    }
    struct stat info{};
    if (::fstat(fd->get(), &info) != 0) {
      return read_unreadable(std::generic_category().message(errno));
    }
    if (S_ISDIR(info.st_mode)) {
      return gives_way ? read_absent({}) : read_unreadable("'" + name + "' is a directory");
    }
    if (!S_ISREG(info.st_mode)) return read_unreadable("'" + name + "' is no regular file");
    auto content = read_all(fd->get(), options_.read_bytes_max);
    if (!content.has_value()) {
      if (content.error().error != EFBIG) return read_unreadable(content.error().text());
      return read_unreadable("'" + name + "' is larger than " +
                             std::to_string(options_.read_bytes_max) + " bytes");
    }
    if (doubts_.has(name, info)) {
      return read_unreadable("a sync of '" + name + "' failed before, so it may not be on disk, " +
                             "whatever a later sync says; it counts when it is written anew");
    }
    if (std::string wrong = sync_one(fd->get(), "'" + name + "'"); !wrong.empty()) {
      doubts_.add(name, info);
      return read_unreadable(std::move(wrong));
    }
    return read_found(std::move(*content), {});
  }

  // Syncs what leads to `name`, as far as it is there. Empty, or why it could not be done.
  std::string sync_way_to(const std::string& name) {
    const Way* way = &sync_directory(".");
    for (std::size_t at = name.find('/'); at != std::string::npos && way->there;
         at = name.find('/', at + 1)) {
      if (!way->wrong.empty()) break;
      way = &sync_directory(name.substr(0, at));
    }
    return way->wrong;
  }

 private:
  struct Way {
    bool there = true;
    std::string wrong;
  };

  // One sync for all that was looked up before.
  const Way& sync_directory(const std::string& path) {
    const auto [at, is_new] = ways_.try_emplace(path);
    Way& way = at->second;
    if (!is_new) return way;
    const auto directory = open_beneath(root_, path, O_RDONLY | O_DIRECTORY);
    if (directory.has_value()) {
      way.wrong = sync_one(directory->get(), "the directory '" + path + "'");
      return way;
    }
    const int error = directory.error().error;
    way.there = error != ENOENT && error != ENOTDIR;
    if (way.there) way.wrong = directory.error().text();
    return way;
  }

  [[nodiscard]] std::string sync_one(int fd, const std::string& what) const {
    const int done = options_.sync ? options_.sync(fd) : ::fsync(fd);
    if (done == 0) return {};
    const Failure failure{.error = errno, .doing = "sync " + what};
    return failure.text() + "; what was read may not be on disk";
  }

  int root_;
  const FileOptions& options_;
  Doubts& doubts_;
  std::map<std::string, Way> ways_;
};

}  // namespace

bool untouched(int root, const ArtifactIntent& artifact, WallTime since,
               const FileOptions& options) {
  constexpr Duration kToSpare{1'000};
  const auto fd = open_beneath(root, artifact.name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  if (!fd.has_value()) return fd.error().error == ENOENT || fd.error().error == ENOTDIR;
  struct stat info{};
  if (::fstat(fd->get(), &info) != 0 || !S_ISREG(info.st_mode)) return false;
  const WallTime changed{Duration{info.st_ctim.tv_sec * 1'000 + info.st_ctim.tv_nsec / 1'000'000}};
  if (changed + kToSpare < since) return true;
  if (artifact.absent) return false;
  const auto content = read_all(fd->get(), options.read_bytes_max);
  return content.has_value() && *content == artifact.content;
}

std::vector<RawRead> read_back(int root, const ReadRequest& request, const FileOptions& options,
                               Doubts& doubts) {
  std::vector<RawRead> reads;
  reads.reserve(request.artifacts.size());
  TRUED_ASSERT(request.intent != nullptr);
  ReadBack back(root, options, doubts);
  const std::vector<bool> gives_way = giving_way(*request.intent);
  for (const std::uint32_t index : request.artifacts) {
    Stopwatch watch;
    reads.push_back(back.read_one(request.intent->artifacts.at(index).name, gives_way.at(index)));
    reads.back().latency = watch.elapsed();
  }
  TRUED_ASSERT(reads.size() == request.artifacts.size());
  // Only now: a directory is to be synced after everything that was looked up in it.
  for (std::size_t i = 0; i < reads.size(); ++i) {
    RawRead& read = reads.at(i);
    if (read.seen == Seen::unreadable) continue;
    Stopwatch watch;
    const std::string& name = request.intent->artifacts.at(request.artifacts[i]).name;
    const Duration before = read.latency;
    if (std::string wrong = back.sync_way_to(name); !wrong.empty()) {
      read = read_unreadable(std::move(wrong));
    }
    read.latency = before + watch.elapsed();
  }
  return reads;
}

}  // namespace trued::file
