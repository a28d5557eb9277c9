#include "lab/pipeline.h"

#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <fcntl.h>
#include <map>
#include <spawn.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "lab/serving.h"

namespace trued::lab {
namespace {

struct ChangeEvent {
  std::uint64_t number = 0;
  std::string document;
  std::shared_ptr<const Intent> intent;  ///< which paths belong to the unit
  std::string version;
  Lie lie = Lie::none;
  bool force = false;
};

// Runs git and returns what it printed, without the line's end.
Result<std::string> run_git(const std::string& repository, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"git", "-c", "user.name=Lab", "-c",
                                       "user.email=lab@localhost", "-C", repository});
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return Error{.code = ErrorCode::io, .message = "cannot make a pipe for git"};
  }
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t child = 0;
  const int started = ::posix_spawnp(&child, "git", &actions, nullptr, argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  std::string output;
  std::array<char, 512> buffer{};
  while (started == 0) {
    const ssize_t size = ::read(ends[0], buffer.data(), buffer.size());
    if (size <= 0) break;
    output.append(buffer.data(), static_cast<std::size_t>(size));
  }
  ::close(ends[0]);
  int status = 0;
  const bool ended = started == 0 && ::waitpid(child, &status, 0) == child;
  if (!ended || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    return Error{.code = ErrorCode::io, .message = "git " + arguments.at(7) + " failed"};
  }
  while (output.ends_with('\n')) output.pop_back();
  return output;
}

EffectResult acknowledged(std::string version) {
  EffectResult result;
  result.ended.kind = EffectKind::acknowledged;
  result.ended.changed = true;
  result.ended.version = std::move(version);
  return result;
}

// The content that a lying layer puts in place instead of what was meant.
std::shared_ptr<const Intent> distorted(const Intent& meant, Lie lie) {
  auto intent = std::make_shared<Intent>(meant);
  if (lie == Lie::partial_landing) {
    intent->artifacts.pop_back();
  } else {
    ArtifactIntent& first = intent->artifacts.front();
    first.content.resize(first.content.size() - first.content.size() / 3 - 1);
    first.id = {.sha256 = sha256(first.content), .bytes = first.content.size()};
  }
  return intent;
}

}  // namespace

class Pipeline::Impl {
 public:
  ~Impl() {
    {
      const std::scoped_lock lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    if (sync_.joinable()) sync_.join();
  }

  Result<void> open(const std::string& directory);
  Published publish(const EffectRequest& request, const std::string& document, Lie lie, bool force);
  void wait_for(std::uint64_t event);
  const Serving& serving() const { return *serving_; }
  GitConnector& repository() { return *git_; }

 private:
  std::uint64_t announce(ChangeEvent event);
  EffectResult empty_commit(const EffectRequest& request);
  void sync();
  void take_up(const ChangeEvent& event);

  std::string path_;
  std::unique_ptr<GitConnector> git_;
  std::unique_ptr<Serving> serving_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable worked_off_;
  std::deque<ChangeEvent> events_;
  std::uint64_t last_event_ = 0;
  std::uint64_t done_ = 0;
  bool stopping_ = false;
  std::map<std::string, Digest> synced_;  ///< text of each unit as last synced; sync thread only
  std::thread sync_;
};

Result<void> Pipeline::Impl::open(const std::string& directory) {
  path_ = directory + "/content.git";
  TRUED_TRY_VOID(run_git(directory, {"init", "-q", "--bare", "-b", "main", "content.git"}));
  TRUED_TRY(const std::string tree, run_git(path_, {"mktree"}));
  TRUED_TRY(const std::string root, run_git(path_, {"commit-tree", "-m", "root", tree}));
  TRUED_TRY_VOID(run_git(path_, {"update-ref", "refs/heads/main", root}));
  TRUED_TRY(git_, GitConnector::open({.repository = path_}));
  TRUED_TRY(serving_, Serving::open());
  sync_ = std::thread([this] { sync(); });
  return {};
}

std::uint64_t Pipeline::Impl::announce(ChangeEvent event) {
  std::uint64_t number = 0;
  {
    const std::scoped_lock lock(mutex_);
    number = ++last_event_;
    event.number = number;
    events_.push_back(std::move(event));
  }
  wake_.notify_one();
  return number;
}

// A commit with everything but the files: what was staged was lost on the way.
EffectResult Pipeline::Impl::empty_commit(const EffectRequest& request) {
  constexpr int kRaces = 100;
  for (int i = 0; i < kRaces; ++i) {
    auto head = run_git(path_, {"rev-parse", "refs/heads/main"});
    if (!head.has_value()) break;
    const std::string trailer = "Trued-Operation: " + to_string(request.operation);
    auto commit = run_git(
        path_, {"commit-tree", "-p", *head, "-m", "publish", "-m", trailer, *head + "^{tree}"});
    if (!commit.has_value()) break;
    if (run_git(path_, {"update-ref", "refs/heads/main", *commit, *head}).has_value()) {
      return acknowledged(*commit);
    }
  }
  EffectResult result;
  result.ended.kind = EffectKind::rejected_retryable;
  result.ended.reason = "lost every race";
  return result;
}

Published Pipeline::Impl::publish(const EffectRequest& request, const std::string& document,
                                  Lie lie, bool force) {
  // An empty change set fires an event that tells the sync layer to do nothing, so none is sent.
  switch (lie) {
    case Lie::swallowed_race:
      // The rejected commit exists in a working copy only; its id is all that comes back.
      return {acknowledged(sha256(to_string(request.operation)).hex().substr(0, 40)), 0};
    case Lie::self_agreeing_noop:
      return {acknowledged(git_->version().has_value() ? git_->version().value() : ""), 0};
    case Lie::empty_write:
      return {empty_commit(request), 0};
    case Lie::partial_landing:
    case Lie::truncated:
    case Lie::none:
    case Lie::clever_dedup:
    case Lie::stale_replica:
      break;
  }
  EffectRequest carried = request;
  if (lie == Lie::partial_landing || lie == Lie::truncated) {
    carried.intent = distorted(*request.intent, lie);
  }
  Published published{git_->perform(carried), 0};
  if (published.result.ended.kind == EffectKind::acknowledged) {
    published.event = announce({.number = 0,
                                .document = document,
                                .intent = request.intent,
                                .version = published.result.ended.version,
                                .lie = lie,
                                .force = force});
  }
  return published;
}

void Pipeline::Impl::sync() {
  while (true) {
    ChangeEvent event;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !events_.empty(); });
      if (stopping_) return;
      event = std::move(events_.front());
      events_.pop_front();
    }
    take_up(event);
    {
      const std::scoped_lock lock(mutex_);
      done_ = event.number;
    }
    worked_off_.notify_all();
  }
}

void Pipeline::Impl::take_up(const ChangeEvent& event) {
  ReadRequest request{.intent = event.intent, .artifacts = {}};
  for (std::uint32_t i = 0; i < event.intent->artifacts.size(); ++i) request.artifacts.push_back(i);
  const std::vector<RawRead> reads = git_->read(request);
  if (reads.empty() || reads.front().seen == Seen::unreadable) return;
  const Digest text = sha256(reads.front().content);
  const auto before = synced_.find(event.document);
  const bool same_text = before != synced_.end() && before->second == text;
  // Sane, until the change lives in a sibling of the artifact that is hashed.
  const bool skipped = event.lie == Lie::clever_dedup && same_text && !event.force;
  const bool lagging = event.lie == Lie::stale_replica && !event.force;
  synced_[event.document] = text;
  Serving::Unit unit;
  for (std::size_t i = 0; i < reads.size(); ++i) {
    std::optional<std::string>& content = unit[event.intent->artifacts.at(i).name];
    if (reads.at(i).seen == Seen::found) content = reads.at(i).content;
  }
  if (skipped) {
    serving_->move_version(unit, event.version);
  } else if (lagging) {
    serving_->put_lagging(unit, event.version);
  } else {
    serving_->put(unit, event.version);
  }
}

void Pipeline::Impl::wait_for(std::uint64_t event) {
  std::unique_lock lock(mutex_);
  worked_off_.wait(lock, [&] { return done_ >= event || stopping_; });
}

Pipeline::Pipeline(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Pipeline::~Pipeline() = default;

Result<std::unique_ptr<Pipeline>> Pipeline::open(const std::string& directory) {
  auto impl = std::make_unique<Impl>();
  TRUED_TRY_VOID(impl->open(directory));
  return std::unique_ptr<Pipeline>(new Pipeline(std::move(impl)));
}

Published Pipeline::publish(const EffectRequest& request, const std::string& document, Lie lie,
                            bool force) {
  return impl_->publish(request, document, lie, force);
}
void Pipeline::wait_for(std::uint64_t event) { impl_->wait_for(event); }
std::optional<std::string> Pipeline::served(const std::string& path) const {
  return impl_->serving().served(path);
}
std::string Pipeline::serving_url() const {
  return "http://127.0.0.1:" + std::to_string(impl_->serving().port()) + "/${artifact.path}";
}
GitConnector& Pipeline::repository() { return impl_->repository(); }

}  // namespace trued::lab
