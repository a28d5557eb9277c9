#include "target/git/git_connector.h"

#include <thread>

#include <gtest/gtest.h>

#include "target/git/git_world_test.h"
#include "target/intents_test.h"

namespace trued {
namespace {

namespace fs = std::filesystem;

class GitConnectorTest : public testing::Test {
 protected:
  void SetUp() override { open({}); }
  void open(GitOptions options) {
    options.repository = repository_.path().string();
    auto opened = GitConnector::open(std::move(options));
    ASSERT_TRUE(opened.has_value()) << opened.error().message;
    store_ = std::move(*opened);
  }
  EffectEnded perform(const EffectRequest& request) { return store_->perform(request).ended; }
  EffectEnded write(std::vector<ArtifactIntent> artifacts) {
    return perform(effect_of(std::move(artifacts)));
  }
  RawRead read(const std::string& name) {
    const EffectRequest request = effect_of({put(name, "")});
    return store_->read({.intent = request.intent, .artifacts = {0}}).at(0);
  }
  [[nodiscard]] History history(const EffectRequest& request, const std::string& reported) {
    return store_->history({.operation = request.operation,
                            .intent = request.intent,
                            .since = request.since,
                            .reported = reported});
  }

  TemporaryDirectory directory_;
  GitRepository repository_{directory_.path() / "repository"};
  std::unique_ptr<GitConnector> store_;
};

TEST_F(GitConnectorTest, V1_what_cannot_be_opened_is_told_at_once) {
  const auto code = [&](GitOptions options) {
    const auto opened = GitConnector::open(std::move(options));
    EXPECT_FALSE(opened.has_value());
    return opened.has_value() ? ErrorCode::internal : opened.error().code;
  };
  const std::string good = repository_.path().string();
  EXPECT_EQ(code({.repository = (directory_.path() / "none").string()}), ErrorCode::not_found);
  EXPECT_EQ(code({.repository = directory_.path().string()}), ErrorCode::not_found);
  EXPECT_EQ(code({.repository = good, .branch = "a..b"}), ErrorCode::invalid_argument);
  EXPECT_EQ(code({.repository = good, .branch = "main", .author_name = "<>"}),
            ErrorCode::invalid_argument);
  for (const char* url : {"ssh://host/x", "git://host/x", "file:///x", "ext::sh -c x://",
                          "http://user:secret@host/x", "http:///x", "https://host/no-state"}) {
    EXPECT_EQ(code({.repository = url}), ErrorCode::invalid_argument) << url;
  }
}

TEST_F(GitConnectorTest, V2_the_commit_carries_the_operation) {
  EffectRequest request = effect_of({put("a", "1")});
  auto intent = std::make_shared<Intent>(*request.intent);
  intent->message = "Title\n\nBody\n\nReviewed-by: Someone <s@example.org>";
  request.intent = intent;
  request.attempt = AttemptNo{3};
  const EffectEnded ended = perform(request);
  ASSERT_EQ(ended.kind, EffectKind::acknowledged) << ended.reason;
  EXPECT_EQ(ended.version, repository_.head());
  EXPECT_EQ(repository_.git({"log", "-1", "--format=%an <%ae>|%cn|%s", "main"}),
            "Trued <trued@localhost>|Trued|Title");
  EXPECT_EQ(repository_.git({"log", "-1", "main",
                             "--format=%(trailers:key=Trued-Operation,valueonly,separator=%x2C)"}),
            to_string(request.operation));
  EXPECT_EQ(repository_.git({"log", "-1", "main",
                             "--format=%(trailers:key=Trued-Attempt,valueonly,separator=%x2C)"}),
            "3");
  EXPECT_EQ(repository_.git({"fsck", "--strict"}), "");
}

TEST_F(GitConnectorTest, V4_nothing_to_do_makes_no_commit) {
  const EffectEnded unborn = write({removal("none")});
  EXPECT_EQ(unborn.kind, EffectKind::acknowledged);
  EXPECT_FALSE(unborn.changed);
  EXPECT_EQ(repository_.head(), "");
  const std::string head = repository_.commit("a", "1");
  const EffectEnded ended = write({put("a", "1"), removal("none")});
  EXPECT_EQ(ended.kind, EffectKind::acknowledged);
  EXPECT_FALSE(ended.changed);
  EXPECT_EQ(ended.version, head);
  EXPECT_EQ(repository_.head(), head);
}

TEST_F(GitConnectorTest, V6_modes_and_siblings_stay) {
  repository_.commit("bin/run.sh", "old", "m", "100755");
  repository_.commit("bin/other", "beside");
  repository_.commit("link", "bin/other", "m", "120000");
  EXPECT_EQ(write({put("bin/run.sh", "new"), put("bin/plain", "x")}).kind,
            EffectKind::acknowledged);
  EXPECT_EQ(repository_.run({"ls-tree", "-r", "main", "--format=%(objectmode) %(path)"}).out,
            "100644 bin/other\n100644 bin/plain\n100755 bin/run.sh\n120000 link\n");
  EXPECT_EQ(repository_.look("bin/run.sh"), "new");
  EXPECT_EQ(repository_.look("bin/other"), "beside");
}

TEST_F(GitConnectorTest, V6_what_is_in_the_way_is_a_final_rejection) {
  repository_.commit("file", "x");
  repository_.commit("dir/inner", "x");
  const std::string head = repository_.commit("link", "dir", "m", "120000");
  const auto refused = [&](std::vector<ArtifactIntent> artifacts, const std::string& why) {
    const EffectEnded ended = write(std::move(artifacts));
    EXPECT_EQ(ended.kind, EffectKind::rejected_final) << why;
    EXPECT_NE(ended.reason.find(why), std::string::npos) << ended.reason;
  };
  refused({put("other", "y"), put("file/below", "x")}, "'file' is no directory");
  refused({put("dir", "x")}, "'dir' is a directory");
  refused({removal("dir")}, "'dir' is a directory");
  refused({put("link", "x")}, "'link' is a symbolic link");
  refused({put("link/x", "x")}, "'link' is no directory");
  refused({put("p", "x"), put("p/q", "x")}, "'p' cannot be a file and a directory");
  EXPECT_EQ(repository_.head(), head);
  EXPECT_EQ(read("dir").seen, Seen::unreadable);
  EXPECT_EQ(read("link").seen, Seen::unreadable);
  EXPECT_EQ(read("file/below").seen, Seen::absent);
}

TEST_F(GitConnectorTest, V6_a_file_makes_room_for_a_directory_and_the_reverse) {
  repository_.commit("x", "file");
  EXPECT_EQ(write({removal("x"), put("x/y", "below")}).kind, EffectKind::acknowledged);
  EXPECT_EQ(repository_.look("x/y"), "below");
  EXPECT_EQ(write({removal("x/y"), put("x", "file again")}).kind, EffectKind::acknowledged);
  EXPECT_EQ(repository_.look("x"), "file again");
}

// A directory is the absence of a file only for whoever puts something into it.
TEST_F(GitConnectorTest, V3_a_directory_alone_is_no_absence) {
  repository_.commit("x/y", "1");
  const EffectRequest request = effect_of({removal("x")});
  const auto reads = store_->read({.intent = request.intent, .artifacts = {0}});
  EXPECT_EQ(reads.at(0).seen, Seen::unreadable);
  EXPECT_EQ(perform(request).kind, EffectKind::rejected_final);
}

TEST_F(GitConnectorTest, V6_an_unborn_base_is_forty_zeros) {
  EffectRequest request = effect_of({put("a", "1")});
  auto intent = std::make_shared<Intent>(*request.intent);
  intent->base = *store_->version();
  request.intent = intent;
  EXPECT_EQ(perform(request).kind, EffectKind::acknowledged);
  repository_.commit("a", "theirs");
  request.operation = new_operation();
  const EffectEnded stale = perform(request);
  EXPECT_EQ(stale.kind, EffectKind::rejected_final);
  EXPECT_TRUE(stale.reason.starts_with("stale-state: ")) << stale.reason;
}

TEST_F(GitConnectorTest, V1_the_last_file_can_go) {
  repository_.commit("d/only", "x");
  EXPECT_TRUE(write({removal("d/only")}).changed);
  EXPECT_EQ(repository_.run({"ls-tree", "-r", "main"}).out, "");
  EXPECT_EQ(read("d/only").seen, Seen::absent);
  EXPECT_EQ(repository_.git({"fsck", "--strict"}), "");
}

TEST_F(GitConnectorTest, V6_git_directories_are_refused) {
  for (const char* name :
       {".git/hooks/pre-receive", "a/.GIT/config", "GIT~1/x", ".git /x", ".g\u200cit/x"}) {
    EXPECT_NE(store_->check_name(name), "") << name;
    EXPECT_EQ(write({put(name, "x")}).kind, EffectKind::rejected_final) << name;
  }
  EXPECT_EQ(store_->check_name(".gitignore"), "");
  EXPECT_EQ(repository_.head(), "");
}

TEST_F(GitConnectorTest, V1_packed_repositories_are_read_freshly) {
  write({put("a", "1")});
  repository_.git({"gc", "--quiet"});
  EXPECT_EQ(read("a").content, "1");
  EXPECT_TRUE(write({put("a", "2")}).changed);
  EXPECT_EQ(repository_.look("a"), "2");
  repository_.git({"pack-refs", "--all"});
  EXPECT_EQ(read("a").content, "2");
  repository_.commit("a", "3");
  EXPECT_EQ(read("a").content, "3");
}

TEST_F(GitConnectorTest, V3_a_missing_object_is_unreadable_not_absent) {
  write({put("d/a", "the content")});
  const std::string tree = repository_.git({"rev-parse", "main:d"});
  fs::remove(repository_.path() / "objects" / tree.substr(0, 2) / tree.substr(2));
  EXPECT_EQ(read("d/a").seen, Seen::unreadable);
  EXPECT_EQ(read("e/a").seen, Seen::absent);
}

TEST_F(GitConnectorTest, V3_a_blob_over_the_bound_is_unreadable) {
  open({.repository = {}, .read_bytes_max = 4});
  repository_.commit("four", "1234");
  repository_.commit("five", "12345");
  EXPECT_EQ(read("four").seen, Seen::found);
  EXPECT_EQ(read("five").seen, Seen::unreadable);
}

TEST_F(GitConnectorTest, V3_an_unborn_branch_is_absence) {
  open({.repository = {}, .branch = "other"});
  EXPECT_EQ(read("a").seen, Seen::absent);
  EXPECT_EQ(*store_->version(), std::string(40, '0'));
  const EffectEnded ended = write({put("a", "2")});
  EXPECT_EQ(ended.kind, EffectKind::acknowledged) << ended.reason;
  EXPECT_EQ(repository_.git({"rev-list", "--count", "other"}), "1");
  EXPECT_EQ(repository_.head(), "");
  // One that was there and was taken away is absent, not gone wrong.
  repository_.git({"update-ref", "-d", "refs/heads/other"});
  EXPECT_EQ(read("a").seen, Seen::absent);
}

TEST_F(GitConnectorTest, V6_a_branch_that_is_not_there_beside_others_is_refused) {
  repository_.commit("a", "1");
  repository_.git({"branch", "draft", "main"});
  const auto opened =
      GitConnector::open({.repository = repository_.path().string(), .branch = "mian"});
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, ErrorCode::invalid_argument);
  EXPECT_NE(opened.error().message.find("no branch 'mian'; there are: 'draft', 'main'"),
            std::string::npos)
      << opened.error().message;
}

TEST_F(GitConnectorTest, V6_without_a_branch_the_one_that_HEAD_names_is_meant) {
  repository_.commit("a", "1");
  repository_.git({"branch", "-m", "main", "master"});
  repository_.git({"symbolic-ref", "HEAD", "refs/heads/master"});
  open({});
  EXPECT_EQ(read("a").content, "1");
  EXPECT_EQ(write({put("a", "2")}).kind, EffectKind::acknowledged);
  EXPECT_EQ(repository_.git({"show", "master:a"}), "2");
  EXPECT_EQ(repository_.head(), "");
  // A HEAD that names nothing there is no reason to begin a second history.
  repository_.git({"symbolic-ref", "HEAD", "refs/heads/main"});
  const auto opened = GitConnector::open({.repository = repository_.path().string()});
  ASSERT_FALSE(opened.has_value());
  EXPECT_NE(opened.error().message.find("HEAD names; there are: 'master'"), std::string::npos)
      << opened.error().message;
}

TEST_F(GitConnectorTest, V6_a_checked_out_branch_is_refused) {
  const GitRepository tree(directory_.path() / "tree", false);
  const auto refused = [&](const GitRepository& repository, const std::string& branch) {
    const auto opened =
        GitConnector::open({.repository = repository.path().string(), .branch = branch});
    if (opened.has_value()) return false;
    EXPECT_EQ(opened.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(opened.error().message.find("receive.denyCurrentBranch"), std::string::npos);
    return true;
  };
  EXPECT_TRUE(refused(tree, "main"));  // unborn
  EXPECT_TRUE(refused(tree, ""));
  tree.commit("a", "1");
  EXPECT_TRUE(refused(tree, "main"));
  tree.git({"branch", "docs", "main"});
  EXPECT_FALSE(refused(tree, "docs"));
  // In a working tree that was added beside a bare repository.
  repository_.commit("a", "1");
  repository_.git({"branch", "docs", "main"});
  repository_.git({"worktree", "add", "-q", (directory_.path() / "added").string(), "docs"});
  EXPECT_TRUE(refused(repository_, "docs"));
  EXPECT_FALSE(refused(repository_, "main"));
  // And one that is checked out later is left alone from then on.
  open({.repository = {}, .branch = "main"});
  repository_.git({"worktree", "add", "-q", (directory_.path() / "later").string(), "main"});
  const std::string head = repository_.head();
  const EffectEnded ended = write({put("a", "2")});
  EXPECT_EQ(ended.kind, EffectKind::rejected_final);
  EXPECT_NE(ended.reason.find("checked out"), std::string::npos) << ended.reason;
  EXPECT_EQ(repository_.head(), head);
}

TEST_F(GitConnectorTest, V2_the_notice_names_hooks) {
  EXPECT_EQ(store_->notice(), "");
  repository_.hook("pre-receive", "exit 1");
  EXPECT_NE(store_->notice().find("'pre-receive'"), std::string::npos);
  // It does not run: a local branch is moved without a push.
  EXPECT_EQ(write({put("a", "1")}).kind, EffectKind::acknowledged);
}

TEST_F(GitConnectorTest, V2_a_lock_left_behind_is_a_retryable_rejection) {
  repository_.commit("a", "1");
  spill(repository_.path() / "refs/heads/main.lock", "");
  const EffectEnded ended = write({put("a", "2")});
  EXPECT_EQ(ended.kind, EffectKind::rejected_retryable);
  EXPECT_NE(ended.reason.find("lock"), std::string::npos) << ended.reason;
  EXPECT_EQ(repository_.look("a"), "1");
}

// ---- history of more than one line
// ---------------------------------------------------------------

TEST_F(GitConnectorTest, V6_a_rewritten_branch_no_longer_has_ours) {
  const std::string since = repository_.commit("a", "0");
  EffectRequest request = effect_of({put("a", "1")});
  request.since = since;
  const EffectEnded ended = perform(request);
  repository_.git({"update-ref", "refs/heads/main", since});
  repository_.commit("b", "x");
  const History seen = history(request, ended.version);
  EXPECT_TRUE(seen.known);
  EXPECT_FALSE(seen.ours_present);
  EXPECT_FALSE(seen.reported_present);
  EXPECT_FALSE(seen.artifacts.at(0).landed);
  // Nothing of ours is there, so writing again overwrites nobody.
  request.attempt = AttemptNo{2};
  EXPECT_TRUE(perform(request).changed);
  EXPECT_EQ(repository_.look("a"), "1");
  EXPECT_EQ(repository_.look("b"), "x");
}

TEST_F(GitConnectorTest, V6_a_merge_that_drops_ours_is_named) {
  const std::string since = repository_.commit("a", "0");
  EffectRequest request = effect_of({put("a", "ours")});
  request.since = since;
  const EffectEnded ended = perform(request);
  // Somebody merges and keeps their own side.
  const std::string theirs_tree = repository_.git({"rev-parse", since + "^{tree}"});
  const std::string merge = repository_.git(
      {"commit-tree", theirs_tree, "-p", since, "-p", ended.version, "-m", "merge"});
  repository_.git({"update-ref", "refs/heads/main", merge});
  const History seen = history(request, ended.version);
  EXPECT_TRUE(seen.ours_present);
  EXPECT_TRUE(seen.artifacts.at(0).landed);
  EXPECT_EQ(seen.artifacts.at(0).replaced_by, merge.substr(0, 10) + " outside writer");
  request.attempt = AttemptNo{2};
  EXPECT_FALSE(perform(request).changed);
}

TEST_F(GitConnectorTest, V6_replaced_and_put_back_is_not_replaced) {
  EffectRequest request = effect_of({put("a", "ours")});
  const EffectEnded ended = perform(request);
  repository_.commit("a", "theirs");
  repository_.commit("a", "ours");
  const History seen = history(request, ended.version);
  EXPECT_TRUE(seen.artifacts.at(0).landed);
  EXPECT_EQ(seen.artifacts.at(0).replaced_by, "");
}

TEST_F(GitConnectorTest, V2_a_commit_of_ours_that_holds_nothing_did_not_land) {
  const std::string since = repository_.commit("a", "0");
  EffectRequest request = effect_of({put("a", "ours"), put("b", "ours too")});
  request.since = since;
  repository_.commit("b", "ours too",
                     "partial\n\nTrued-Operation: " + to_string(request.operation));
  const History seen = history(request, repository_.head());
  EXPECT_TRUE(seen.ours_present);
  EXPECT_EQ(seen.our_version, repository_.head());
  EXPECT_FALSE(seen.artifacts.at(0).landed);
  EXPECT_TRUE(seen.artifacts.at(1).landed);
}

TEST_F(GitConnectorTest, V7_the_walk_is_bounded_and_says_so) {
  open({.repository = {}, .history_commits_max = 3});
  EffectRequest request = effect_of({put("a", "ours")});
  const EffectEnded ended = perform(request);
  for (int i = 0; i < 2; ++i) repository_.commit("b", std::to_string(i));
  EXPECT_TRUE(history(request, ended.version).known);
  for (int i = 0; i < 2; ++i) repository_.commit("a", std::to_string(i));
  EXPECT_FALSE(history(request, {}).known);
  request.attempt = AttemptNo{2};
  EXPECT_EQ(perform(request).kind, EffectKind::unknown);
  EXPECT_EQ(repository_.look("a"), "1");
}

// Trued and an outside committer on one path: every write of either is in the history, and ours
// never goes over theirs a second time.
TEST_F(GitConnectorTest, V6_a_race_with_an_outside_committer_has_no_ping_pong) {
  repository_.commit("page", "start");
  constexpr int kRounds = 12;
  std::atomic<bool> done{false};
  int outside = 0;
  std::thread committer([&] {
    while (!done && outside < 200) {
      const std::string old = repository_.head();
      const std::string tree =
          repository_.git({"mktree"}, "100644 blob " +
                                          repository_.git({"hash-object", "-w", "--stdin"},
                                                          "theirs " + std::to_string(outside)) +
                                          "\tpage\n");
      const std::string made = repository_.git({"commit-tree", tree, "-p", old, "-m", "theirs"});
      if (repository_.run({"update-ref", "refs/heads/main", made, old}).status == 0) ++outside;
    }
  });
  int landed = 0;
  for (int i = 0; i < kRounds; ++i) {
    EffectRequest request = effect_of({put("page", "ours " + std::to_string(i))});
    request.since = *store_->version();
    const EffectEnded first = perform(request);
    if (first.kind == EffectKind::rejected_retryable) continue;
    ASSERT_EQ(first.kind, EffectKind::acknowledged) << first.reason;
    ++landed;
    request.attempt = AttemptNo{2};
    const EffectEnded again = perform(request);
    EXPECT_EQ(again.kind, EffectKind::acknowledged) << again.reason;
    EXPECT_FALSE(again.changed);
    const History seen = history(request, first.version);
    EXPECT_TRUE(seen.ours_present);
    EXPECT_TRUE(seen.artifacts.at(0).landed);
    if (read("page").content != "ours " + std::to_string(i)) {
      EXPECT_NE(history(request, first.version).artifacts.at(0).replaced_by, "");
    }
  }
  done = true;
  committer.join();
  EXPECT_GT(landed, 0);
  EXPECT_EQ(repository_.git({"rev-list", "--count", "main"}), std::to_string(1 + landed + outside));
  EXPECT_EQ(repository_.git({"fsck", "--strict", "--no-dangling"}), "");
}

}  // namespace
}  // namespace trued
