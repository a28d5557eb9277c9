#include "target/file/file_connector.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "target/target_conformance.h"

namespace trued {
namespace {

namespace fs = std::filesystem;

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = (fs::temp_directory_path() / "trued-file-XXXXXX").string();
    if (::mkdtemp(pattern.data()) != nullptr) path_ = pattern;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

std::optional<std::string> slurp(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

void spill(const fs::path& path, const std::string& content) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << content;
}

std::vector<std::string> files_below(const fs::path& root) {
  std::vector<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (!entry.is_directory()) names.push_back(fs::relative(entry.path(), root).string());
  }
  std::ranges::sort(names);
  return names;
}

class FileWorld final : public World {
 public:
  FileWorld() {
    fs::create_directory(root());
    auto opened = FileConnector::open({.directory = root().string()});
    EXPECT_TRUE(opened.has_value());
    connector_ = std::move(*opened);
  }
  Connector& connector() override { return *connector_; }
  void put_outside(const std::string& name, std::optional<std::string> content) override {
    if (content) {
      spill(root() / name, *content);
    } else {
      fs::remove(root() / name);
    }
  }
  std::optional<std::string> look(const std::string& name) override { return slurp(root() / name); }
  void break_reads() override { fs::rename(root(), directory_.path() / "moved-away"); }
  [[nodiscard]] fs::path root() const { return directory_.path() / "root"; }

 private:
  TemporaryDirectory directory_;
  std::unique_ptr<FileConnector> connector_;
};

INSTANTIATE_TEST_SUITE_P(File, TargetConformance,
                         testing::Values(ConformanceCase{
                             "file", [] { return std::make_unique<FileWorld>(); }}),
                         conformance_name);

class FileConnectorTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directory(root());
    open();
  }
  void open(std::function<void(const std::string&)> before_change = {},
            std::uint64_t read_bytes_max = 1U << 20U) {
    auto opened = FileConnector::open({.directory = root().string(),
                                       .read_bytes_max = read_bytes_max,
                                       .before_change = std::move(before_change)});
    ASSERT_TRUE(opened.has_value()) << opened.error().message;
    store_ = std::move(*opened);
  }
  [[nodiscard]] fs::path root() const { return directory_.path() / "root"; }
  [[nodiscard]] fs::path outside() const { return directory_.path() / "outside"; }
  EffectEnded write(std::vector<ArtifactIntent> artifacts) {
    return store_->perform(effect_of(std::move(artifacts))).ended;
  }
  RawRead read(const std::string& name) {
    const EffectRequest request = effect_of({put(name, "")});
    return store_->read({.intent = request.intent, .artifacts = {0}}).at(0);
  }

  TemporaryDirectory directory_;
  std::unique_ptr<FileConnector> store_;
};

TEST_F(FileConnectorTest, V1_the_directory_must_be_there) {
  const auto missing = FileConnector::open({.directory = (directory_.path() / "none").string()});
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().code, ErrorCode::not_found);
  spill(directory_.path() / "file", "x");
  const auto file = FileConnector::open({.directory = (directory_.path() / "file").string()});
  ASSERT_FALSE(file.has_value());
  EXPECT_EQ(file.error().code, ErrorCode::invalid_argument);
}

TEST_F(FileConnectorTest, V6_symbolic_links_are_never_followed) {
  spill(outside() / "secret", "untouched");
  fs::create_directory_symlink(outside(), root() / "dir");
  fs::create_symlink(outside() / "secret", root() / "link");
  fs::create_symlink("nowhere", root() / "dangling");
  for (const char* name : {"dir/secret", "dir/new", "dir/deep/new", "link", "dangling"}) {
    const EffectEnded put_ended = write({put(name, "evil")});
    EXPECT_EQ(put_ended.kind, EffectKind::rejected_final) << name << ": " << put_ended.reason;
    const EffectEnded removed = write({removal(name)});
    EXPECT_EQ(removed.kind, EffectKind::rejected_final) << name << ": " << removed.reason;
    EXPECT_EQ(read(name).seen, Seen::unreadable) << name;
  }
  EXPECT_EQ(slurp(outside() / "secret"), "untouched");
  EXPECT_EQ(files_below(outside()), std::vector<std::string>{"secret"});
  EXPECT_TRUE(fs::is_symlink(root() / "link"));
}

TEST_F(FileConnectorTest, V6_a_hard_link_is_replaced_not_written_through) {
  spill(outside() / "secret", "untouched");
  fs::create_hard_link(outside() / "secret", root() / "shared");
  EXPECT_EQ(write({put("shared", "ours")}).kind, EffectKind::acknowledged);
  EXPECT_EQ(slurp(root() / "shared"), "ours");
  EXPECT_EQ(slurp(outside() / "secret"), "untouched");
}

TEST_F(FileConnectorTest, V6_only_regular_files_are_touched) {
  fs::create_directory(root() / "dir");
  ASSERT_EQ(::mkfifo((root() / "fifo").c_str(), 0600), 0);
  for (const char* name : {"dir", "fifo"}) {
    EXPECT_EQ(write({put(name, "x")}).kind, EffectKind::rejected_final) << name;
    EXPECT_EQ(write({removal(name)}).kind, EffectKind::rejected_final) << name;
    EXPECT_EQ(read(name).seen, Seen::unreadable) << name;
  }
  spill(root() / "file", "x");
  EXPECT_EQ(write({put("file/below", "x")}).kind, EffectKind::rejected_final);
  EXPECT_EQ(write({put("p", "x"), put("p/q", "y")}).kind, EffectKind::rejected_final);
  EXPECT_FALSE(fs::exists(root() / "p"));
}

TEST_F(FileConnectorTest, V6_names_of_git_and_of_temporaries_are_refused) {
  for (const char* name : {".git/hooks/post-update", "sub/.GIT/config", "git~1/config",
                           ".git./config", ".trued-x", "a/.trued-0-0-0-0-1.tmp"}) {
    EXPECT_NE(store_->check_name(name), "") << name;
    EXPECT_EQ(write({put(name, "x")}).kind, EffectKind::rejected_final) << name;
  }
  EXPECT_NE(store_->check_name(std::string(256, 'a')), "");
  EXPECT_EQ(store_->check_name(".github/workflows/ci.yml"), "");
  EXPECT_TRUE(files_below(root()).empty());
}

TEST_F(FileConnectorTest, V1_mode_of_the_file_before_is_kept) {
  spill(root() / "run.sh", "old");
  fs::permissions(root() / "run.sh", fs::perms(0755));
  EXPECT_EQ(write({put("run.sh", "new"), put("plain", "x")}).kind, EffectKind::acknowledged);
  EXPECT_EQ(fs::status(root() / "run.sh").permissions(), fs::perms(0755));
  EXPECT_EQ(fs::status(root() / "plain").permissions(), fs::perms(0644));
}

TEST_F(FileConnectorTest, V3_a_file_over_the_bound_is_unreadable) {
  open({}, 10);
  spill(root() / "ten", "0123456789");
  spill(root() / "eleven", "0123456789a");
  EXPECT_EQ(read("ten").seen, Seen::found);
  const RawRead big = read("eleven");
  EXPECT_EQ(big.seen, Seen::unreadable);
  EXPECT_NE(big.detail.find("larger than 10 bytes"), std::string::npos);
}

TEST_F(FileConnectorTest, V6_base_is_refused) {
  auto intent = std::make_shared<Intent>(*effect_of({put("a", "1")}).intent);
  intent->base = "1";
  EffectRequest request = effect_of({});
  request.intent = intent;
  const auto ended = store_->perform(request).ended;
  EXPECT_EQ(ended.kind, EffectKind::rejected_final);
  EXPECT_NE(ended.reason.find("base"), std::string::npos);
}

TEST_F(FileConnectorTest, T1_a_failure_before_the_first_rename_is_a_rejection) {
  spill(root() / "b", "file");
  const EffectEnded ended = write({put("a", "1"), put("b/c", "2")});
  EXPECT_EQ(ended.kind, EffectKind::rejected_final);
  EXPECT_NE(ended.reason.find("Not a directory"), std::string::npos) << ended.reason;
  EXPECT_EQ(files_below(root()), std::vector<std::string>{"b"});
}

TEST_F(FileConnectorTest, T1_a_failure_at_the_first_rename_is_a_rejection) {
  open([this](const std::string& name) { fs::create_directory(root() / name); });
  const EffectEnded ended = write({put("a", "1"), put("b", "2")});
  EXPECT_EQ(ended.kind, EffectKind::rejected_final) << ended.reason;
  EXPECT_TRUE(files_below(root()).empty());
}

TEST_F(FileConnectorTest, T1_a_failure_after_the_first_rename_is_unknown) {
  open([this](const std::string& name) {
    if (name == "b") fs::create_directory(root() / "b");
  });
  const EffectEnded ended = write({put("a", "1"), put("b", "2"), put("c", "3")});
  EXPECT_EQ(ended.kind, EffectKind::unknown);
  EXPECT_NE(ended.reason.find("'b'"), std::string::npos) << ended.reason;
  EXPECT_EQ(files_below(root()), std::vector<std::string>{"a"});
}

TEST_F(FileConnectorTest, T1_every_temporary_is_complete_before_the_first_rename) {
  std::vector<std::string> at_first;
  open([&](const std::string& name) {
    if (name == "a") at_first = files_below(root());
  });
  EXPECT_EQ(write({put("a", "1"), put("d/b", "2")}).kind, EffectKind::acknowledged);
  ASSERT_EQ(at_first.size(), 2U);
  EXPECT_TRUE(at_first[0].starts_with(".trued-"));
  EXPECT_TRUE(at_first[1].starts_with("d/.trued-"));
  EXPECT_EQ(files_below(root()), (std::vector<std::string>{"a", "d/b"}));
}

TEST_F(FileConnectorTest, V6_unchanged_content_is_not_rewritten) {
  EXPECT_TRUE(write({put("a", "1")}).changed);
  const auto stamp = fs::last_write_time(root() / "a");
  const EffectEnded again = write({put("a", "1"), put("b", "2")});
  EXPECT_TRUE(again.changed);
  EXPECT_EQ(fs::last_write_time(root() / "a"), stamp);
  EXPECT_FALSE(write({put("a", "1"), put("b", "2")}).changed);
}

// A file that goes so that a directory can come: nothing new is missing when the old one goes.
TEST_F(FileConnectorTest, T1_a_file_makes_room_only_when_what_comes_is_complete) {
  spill(root() / "d/x", "file");
  std::vector<std::string> at_removal;
  open([&](const std::string& name) {
    if (name == "d/x") at_removal = files_below(root());
  });
  const EffectEnded ended = write({put("d/x/y/z", "1"), removal("d/x")});
  EXPECT_EQ(ended.kind, EffectKind::acknowledged) << ended.reason;
  ASSERT_EQ(at_removal.size(), 2U);
  EXPECT_TRUE(at_removal[0].starts_with("d/.trued-"));
  EXPECT_EQ(at_removal[1], "d/x");
  EXPECT_EQ(slurp(root() / "d/x/y/z"), "1");
  EXPECT_EQ(files_below(root()), std::vector<std::string>{"d/x/y/z"});
}

TEST_F(FileConnectorTest, T1_a_failure_before_the_file_went_leaves_it) {
  spill(root() / "x", "file");
  spill(root() / "b", "file");
  const EffectEnded ended = write({removal("x"), put("x/y", "1"), put("b/c", "2")});
  EXPECT_EQ(ended.kind, EffectKind::rejected_final) << ended.reason;
  EXPECT_EQ(files_below(root()), (std::vector<std::string>{"b", "x"}));
  EXPECT_EQ(slurp(root() / "x"), "file");
}

TEST_F(FileConnectorTest, V3_a_directory_alone_is_no_absence) {
  spill(root() / "x/y", "1");
  const EffectRequest request = effect_of({removal("x")});
  const auto reads = store_->read({.intent = request.intent, .artifacts = {0}});
  EXPECT_EQ(reads.at(0).seen, Seen::unreadable);
  EXPECT_EQ(store_->perform(request).ended.kind, EffectKind::rejected_final);
}

// What a killed writer renamed and did not sync would be gone after a power cut.
class FileSyncTest : public FileConnectorTest {
 protected:
  // Opens with a sync that notes what it is called for, and fails for `failing`.
  void open_watched(const fs::path& failing = {}) {
    auto opened =
        FileConnector::open({.directory = root().string(), .sync = [this, failing](int fd) {
                               const auto path =
                                   fs::read_symlink("/proc/self/fd/" + std::to_string(fd));
                               synced_.push_back(fs::relative(path, root()).string());
                               if (path != failing) return 0;
                               errno = EIO;
                               return -1;
                             }});
    ASSERT_TRUE(opened.has_value()) << opened.error().message;
    store_ = std::move(*opened);
  }
  std::vector<std::string> synced_;
};

TEST_F(FileSyncTest, V1_what_is_read_back_is_on_disk) {
  spill(root() / "a/b/c", "1");
  spill(root() / "a/b/d", "2");
  open_watched();
  const EffectRequest request =
      effect_of({put("a/b/c", ""), put("a/b/d", ""), removal("a/none"), removal("no/such/dir")});
  const auto reads = store_->read({.intent = request.intent, .artifacts = {0, 1, 2, 3}});
  EXPECT_EQ(reads.at(1).seen, Seen::found);
  EXPECT_EQ(reads.at(3).seen, Seen::absent);
  // Each directory once, and after the files in it.
  EXPECT_EQ(synced_, (std::vector<std::string>{"a/b/c", "a/b/d", ".", "a", "a/b"}));
}

TEST_F(FileSyncTest, V3_what_cannot_be_synced_is_unreadable) {
  spill(root() / "a/b", "1");
  for (const char* failing : {"a/b", "a", ""}) {
    open_watched(*failing == 0 ? root() : root() / failing);
    const RawRead found = read("a/b");
    EXPECT_EQ(found.seen, Seen::unreadable) << failing;
    EXPECT_NE(found.detail.find("cannot sync"), std::string::npos) << found.detail;
    EXPECT_NE(found.detail.find("may not be on disk"), std::string::npos) << found.detail;
    EXPECT_EQ(read("a/none").seen, std::string(failing) == "a/b" ? Seen::absent : Seen::unreadable);
  }
}

// The kernel reports a failed write once, and the next sync is fine though nothing was written.
TEST_F(FileSyncTest, V3_a_later_sync_does_not_make_up_for_one_that_failed) {
  spill(root() / "a", "1");
  fs::path failing = root() / "a";
  auto opened =
      FileConnector::open({.directory = root().string(), .sync = [&](int fd) {
                             if (fs::read_symlink("/proc/self/fd/" + std::to_string(fd)) != failing)
                               return 0;
                             errno = EIO;
                             return -1;
                           }});
  ASSERT_TRUE(opened.has_value());
  store_ = std::move(*opened);
  EXPECT_EQ(read("a").seen, Seen::unreadable);
  failing.clear();
  const RawRead again = read("a");
  EXPECT_EQ(again.seen, Seen::unreadable);
  EXPECT_NE(again.detail.find("written anew"), std::string::npos) << again.detail;
  // Equal content is written anew too, and then it counts.
  const EffectEnded ended = write({put("a", "1")});
  EXPECT_TRUE(ended.changed) << ended.reason;
  EXPECT_EQ(read("a").content, "1");
}

TEST_F(FileConnectorTest, T1_temporaries_of_dead_processes_are_removed_and_no_others) {
  std::string own;
  open([&](const std::string&) { own = files_below(root()).at(0); });
  ASSERT_EQ(write({put("zz", "1")}).kind, EffectKind::acknowledged);
  // The parts: boot, namespace, process, start, counter.
  std::vector<std::string> parts;
  std::istringstream in(own);
  for (std::string part; std::getline(in, part, '-');) parts.push_back(part);
  ASSERT_EQ(parts.size(), 6U) << own;
  const std::string place = ".trued-" + parts[1] + "-" + parts[2] + "-";
  const std::string alive = place + parts[3] + "-" + parts[4] + "-99.tmp";
  const std::string reused = "sub/" + place + parts[3] + "-1-7.tmp";
  const std::string dead = "sub/" + place + "4194999-55-1.tmp";
  const std::string elsewhere = ".trued-000000000000-1-1-1-1.tmp";
  const std::string ancient = ".trued-000000000001-1-1-1-1.tmp";
  for (const std::string& name : {alive, reused, dead, elsewhere, ancient})
    spill(root() / name, "x");
  spill(root() / ".trued-something-else", "x");
  fs::last_write_time(root() / ancient,
                      fs::file_time_type::clock::now() - std::chrono::hours(24 * 3650));
  open();
  EXPECT_EQ(files_below(root()),
            (std::vector<std::string>{elsewhere, alive, ".trued-something-else", "zz"}));
}

// After a crash nobody knows what stood there; its date tells whether it was touched since.
TEST(File, T1_what_was_not_touched_since_the_operation_was_accepted_is_told) {
  const TemporaryDirectory directory;
  spill(directory.path() / "old.md", "old");
  auto opened = FileConnector::open({.directory = directory.path().string()});
  ASSERT_TRUE(opened.has_value());
  FileConnector& connector = **opened;
  auto intent = std::make_shared<Intent>();
  intent->artifacts.push_back({.name = "old.md", .id = {}, .content = "ours"});
  intent->artifacts.push_back({.name = "not-there.md", .id = {}, .content = "ours"});
  const WallTime now{
      std::chrono::duration_cast<Duration>(std::chrono::system_clock::now().time_since_epoch())};
  const auto ask = [&](WallTime since) {
    return connector.history(
        {.operation = {}, .intent = intent, .since = "", .reported = "", .untouched_since = since});
  };
  const History later = ask(now + Duration{5'000});
  EXPECT_TRUE(later.known);
  EXPECT_FALSE(later.ours_present);
  EXPECT_EQ(later.artifacts.size(), 2U);
  EXPECT_FALSE(ask(now - Duration{5'000}).known) << "somebody wrote it since";
  spill(directory.path() / "old.md", "ours");
  EXPECT_TRUE(ask(now - Duration{5'000}).known) << "what was meant is no stranger";
  EXPECT_FALSE(
      connector.history({.operation = {}, .intent = intent, .since = "", .reported = ""}).known);
}

}  // namespace
}  // namespace trued
