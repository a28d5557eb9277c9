// The git connector over HTTP, against `git http-backend`.
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "target/git/git_connector.h"
#include "target/git/git_server_test.h"
#include "target/git/git_world_test.h"
#include "target/intents_test.h"
#include "target/outcome.h"

namespace trued {
namespace {

namespace fs = std::filesystem;

class GitHttpTest : public testing::Test {
 protected:
  void serve(std::vector<std::string> options = {}) {
    server_ = std::make_unique<GitServer>(directory_.path() / "root", std::move(options));
  }
  std::unique_ptr<GitConnector> open(const std::string& fault, GitOptions options = {}) {
    if (!server_) serve();
    options.repository = server_->url("repository.git", fault);
    options.state_directory = (directory_.path() / "state").string();
    auto opened = GitConnector::open(std::move(options));
    EXPECT_TRUE(opened.has_value());
    return std::move(*opened);
  }
  static EffectEnded write(GitConnector& store, std::vector<ArtifactIntent> artifacts) {
    return store.perform(effect_of(std::move(artifacts))).ended;
  }
  static RawRead read(GitConnector& store, const std::string& name,
                      Duration timeout = Duration{10'000}) {
    const EffectRequest request = effect_of({put(name, "")});
    return store.read({.intent = request.intent, .artifacts = {0}, .timeout = timeout}).at(0);
  }

  TemporaryDirectory directory_;
  GitRepository repository_{directory_.path() / "root/repository.git"};
  std::unique_ptr<GitServer> server_;
};

TEST_F(GitHttpTest, V2_a_declined_push_is_a_final_rejection_with_the_hooks_words) {
  const std::string head = repository_.commit("a", "1");
  repository_.hook("pre-receive", "echo 'only on Tuesdays' >&2; exit 1");
  const auto store = open("");
  const EffectEnded ended = write(*store, {put("a", "2")});
  EXPECT_EQ(ended.kind, EffectKind::rejected_final);
  EXPECT_NE(ended.reason.find("pre-receive hook declined"), std::string::npos) << ended.reason;
  EXPECT_NE(ended.reason.find("only on Tuesdays"), std::string::npos) << ended.reason;
  EXPECT_EQ(repository_.head(), head);
}

TEST_F(GitHttpTest, V2_an_update_hook_declines_one_branch) {
  repository_.hook("update", "test \"$1\" != refs/heads/main");
  EXPECT_EQ(write(*open(""), {put("a", "1")}).kind, EffectKind::rejected_final);
  EXPECT_EQ(write(*open("", {.repository = {}, .branch = "free"}), {put("a", "1")}).kind,
            EffectKind::acknowledged);
}

// Somebody pushes between our fetch and our push: the remote tells the new head to the pusher.
TEST_F(GitHttpTest, V6_a_race_before_the_push_is_rebuilt) {
  repository_.commit("a", "1");
  const std::string theirs = repository_.commit("b", "theirs");
  repository_.git({"update-ref", "refs/heads/main", theirs + "^"});
  const auto store = open("");
  EXPECT_EQ(read(*store, "a").content, "1");
  const auto script = directory_.path() / "root/before-push";
  spill(script, "#!/bin/sh\ngit --git-dir=" + repository_.path().string() +
                    " update-ref refs/heads/main " + theirs + "\n");
  fs::permissions(script, fs::perms(0755));
  const EffectEnded ended = write(*store, {put("a", "ours")});
  EXPECT_EQ(ended.kind, EffectKind::acknowledged) << ended.reason;
  EXPECT_FALSE(fs::exists(script));
  EXPECT_EQ(repository_.look("a"), "ours");
  EXPECT_EQ(repository_.look("b"), "theirs");
  EXPECT_EQ(repository_.git({"rev-parse", "main^"}), theirs);
}

// A branch set back to an ancestor would pass for a fast-forward: ours must not bring back what was
// taken away.
TEST_F(GitHttpTest, V6_a_branch_set_back_is_a_race_too) {
  const std::string first = repository_.commit("a", "1");
  repository_.commit("secret", "withdrawn");
  const auto script = directory_.path() / "root/before-push";
  spill(script, "#!/bin/sh\ngit --git-dir=" + repository_.path().string() +
                    " update-ref refs/heads/main " + first + "\n");
  fs::permissions(script, fs::perms(0755));
  const EffectEnded ended = write(*open(""), {put("a", "ours")});
  EXPECT_EQ(ended.kind, EffectKind::acknowledged) << ended.reason;
  EXPECT_EQ(repository_.look("secret"), std::nullopt);
  EXPECT_EQ(repository_.git({"rev-parse", "main^"}), first);
}

// Somebody moves the branch while the remote handles our push.
TEST_F(GitHttpTest, V6_a_race_within_the_push_is_rebuilt) {
  repository_.commit("a", "1");
  const std::string theirs = repository_.commit("b", "theirs");
  repository_.git({"update-ref", "refs/heads/main", theirs + "^"});
  spill(repository_.path() / "race", theirs);
  repository_.hook("pre-receive",
                   "unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY\n"
                   "unset GIT_ALTERNATE_OBJECT_DIRECTORIES\n"
                   "if mv race raced 2>/dev/null; then\n"
                   "  git update-ref refs/heads/main $(cat raced)\nfi");
  const EffectEnded ended = write(*open(""), {put("a", "ours")});
  EXPECT_EQ(ended.kind, EffectKind::acknowledged) << ended.reason;
  EXPECT_TRUE(fs::exists(repository_.path() / "raced"));
  EXPECT_EQ(repository_.git({"rev-parse", "main^"}), theirs);
}

TEST_F(GitHttpTest, V7_a_race_lost_every_time_is_a_retryable_rejection) {
  repository_.commit("a", "1");
  repository_.hook("pre-receive",
                   "unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY\n"
                   "unset GIT_ALTERNATE_OBJECT_DIRECTORIES\n"
                   "export GIT_COMMITTER_NAME=x GIT_COMMITTER_EMAIL=x GIT_AUTHOR_NAME=x\n"
                   "export GIT_AUTHOR_EMAIL=x\n"
                   "c=$(git commit-tree -p main -m again main^{tree} </dev/null)\n"
                   "git update-ref refs/heads/main $c\n");
  const EffectEnded ended = write(*open(""), {put("a", "ours")});
  EXPECT_EQ(ended.kind, EffectKind::rejected_retryable);
  EXPECT_TRUE(ended.reason.starts_with("race: ")) << ended.reason;
  EXPECT_EQ(repository_.git({"rev-list", "--count", "main"}), "5");
  EXPECT_EQ(repository_.look("a"), "1");
}

TEST_F(GitHttpTest, T1_a_push_cut_off_after_it_landed_is_unknown_and_found_again) {
  repository_.commit("a", "1");
  EffectRequest request = effect_of({put("a", "ours")});
  request.since = repository_.head();
  const EffectEnded ended = open("drop-after")->perform(request).ended;
  EXPECT_EQ(ended.kind, EffectKind::unknown) << ended.reason;
  EXPECT_EQ(repository_.look("a"), "ours");
  const auto store = open("");
  const History seen = store->history({.operation = request.operation,
                                       .intent = request.intent,
                                       .since = request.since,
                                       .reported = {}});
  EXPECT_TRUE(seen.ours_present);
  EXPECT_TRUE(seen.artifacts.at(0).landed);
  request.attempt = AttemptNo{2};
  const EffectEnded again = store->perform(request).ended;
  EXPECT_EQ(again.kind, EffectKind::acknowledged) << again.reason;
  EXPECT_FALSE(again.changed);
}

TEST_F(GitHttpTest, T1_how_a_push_broke_decides_what_is_known) {
  const std::string head = repository_.commit("a", "1");
  const auto kind = [&](const std::string& fault) {
    const EffectEnded ended = write(*open(fault), {put("a", fault)});
    EXPECT_FALSE(ended.reason.empty());
    return ended.kind;
  };
  EXPECT_EQ(kind("drop-before"), EffectKind::unknown);
  EXPECT_EQ(kind("push-503"), EffectKind::unknown);
  EXPECT_EQ(kind("push-403"), EffectKind::rejected_final);
  EXPECT_EQ(kind("push-413"), EffectKind::rejected_final);
  EXPECT_EQ(kind("push-429"), EffectKind::rejected_retryable);
  EXPECT_EQ(kind("push-200"), EffectKind::unknown);
  EXPECT_EQ(kind("all-503"), EffectKind::rejected_retryable);
  EXPECT_EQ(kind("all-404"), EffectKind::rejected_final);
  EXPECT_EQ(kind("all-302"), EffectKind::rejected_final);
  EXPECT_EQ(kind("all-200"), EffectKind::rejected_final);
  EXPECT_EQ(repository_.head(), head);
  EXPECT_EQ(kind("no-status"), EffectKind::unknown);
}

TEST_F(GitHttpTest, T1_a_remote_that_is_down_was_sent_nothing) {
  repository_.commit("a", "1");
  const auto store = open("");
  server_->stop();
  const EffectEnded ended = write(*store, {put("a", "2")});
  EXPECT_EQ(ended.kind, EffectKind::not_sent) << ended.reason;
  EXPECT_EQ(read(*store, "a").seen, Seen::unreadable);
  const auto version = store->version();
  ASSERT_FALSE(version.has_value());
  EXPECT_EQ(version.error().happened, Happened::no);
  EXPECT_FALSE(store
                   ->history({.operation = new_operation(),
                              .intent = effect_of({put("a", "2")}).intent,
                              .since = {},
                              .reported = {}})
                   .known);
}

TEST_F(GitHttpTest, V7_nothing_waits_past_its_timeout) {
  repository_.commit("a", "1");
  Stopwatch watch;
  EffectRequest request = effect_of({put("a", "2")});
  request.timeout = Duration{600};
  EXPECT_EQ(open("hang")->perform(request).ended.kind, EffectKind::unknown);
  EXPECT_EQ(open("hang-fetch")->perform(request).ended.kind, EffectKind::rejected_retryable);
  EXPECT_EQ(read(*open("hang-fetch"), "a", Duration{300}).seen, Seen::unreadable);
  EXPECT_LT(watch.elapsed(), Duration{8'000});
}

TEST_F(GitHttpTest, V1_credentials_are_sent) {
  repository_.commit("a", "1");
  serve({"--user", "ann", "--password", "se:cret"});
  const auto stranger = open("");
  EXPECT_EQ(read(*stranger, "a").seen, Seen::unreadable);
  const EffectEnded refused = write(*stranger, {put("a", "2")});
  EXPECT_EQ(refused.kind, EffectKind::rejected_final);
  EXPECT_NE(refused.reason.find("401"), std::string::npos) << refused.reason;
  const auto ann = open("", {.repository = {}, .username = "ann", .password = "se:cret"});
  EXPECT_EQ(write(*ann, {put("a", "2")}).kind, EffectKind::acknowledged);
  serve({"--token", "t0ken"});
  const auto bearer = open("", {.repository = {}, .bearer_token = "t0ken"});
  EXPECT_EQ(read(*bearer, "a").content, "2");
}

TEST_F(GitHttpTest, V1_the_private_repository_can_be_deleted) {
  repository_.commit("a", "1");
  const auto store = open("");
  EXPECT_EQ(read(*store, "a").content, "1");
  fs::remove_all(directory_.path() / "state/git");
  EXPECT_EQ(read(*store, "a").content, "1");
  EXPECT_EQ(write(*store, {put("a", "2")}).kind, EffectKind::acknowledged);
  EXPECT_EQ(repository_.look("a"), "2");
}

TEST_F(GitHttpTest, V6_without_a_branch_the_one_that_HEAD_names_is_meant) {
  repository_.commit("a", "1");
  repository_.git({"branch", "-m", "main", "master"});
  repository_.git({"symbolic-ref", "HEAD", "refs/heads/master"});
  const auto store = open("");
  EXPECT_EQ(read(*store, "a").content, "1");
  EXPECT_EQ(write(*store, {put("a", "2")}).kind, EffectKind::acknowledged);
  EXPECT_EQ(repository_.git({"show", "master:a"}), "2");
  EXPECT_EQ(repository_.head(), "");
}

TEST_F(GitHttpTest, V6_a_branch_that_is_not_there_beside_others_is_refused_until_it_is) {
  repository_.commit("a", "1");
  const auto store = open("", {.repository = {}, .branch = "docs"});
  const EffectEnded ended = write(*store, {put("a", "2")});
  EXPECT_EQ(ended.kind, EffectKind::rejected_final);
  EXPECT_NE(ended.reason.find("no branch 'docs'; there are: 'main'"), std::string::npos)
      << ended.reason;
  EXPECT_EQ(read(*store, "a").seen, Seen::unreadable);
  repository_.git({"branch", "docs", "main"});
  EXPECT_EQ(write(*store, {put("a", "2")}).kind, EffectKind::acknowledged);
  EXPECT_EQ(repository_.git({"show", "docs:a"}), "2");
  // Later its removal is absence.
  repository_.git({"update-ref", "-d", "refs/heads/docs"});
  EXPECT_EQ(read(*store, "a").seen, Seen::absent);
}

TEST_F(GitHttpTest, V3_an_unborn_branch_is_absence_and_can_be_born) {
  const auto store = open("", {.repository = {}, .branch = "docs/next"});
  EXPECT_EQ(read(*store, "a").seen, Seen::absent);
  EXPECT_EQ(write(*store, {put("a", "2")}).kind, EffectKind::acknowledged);
  EXPECT_EQ(repository_.git({"rev-list", "--count", "docs/next"}), "1");
  EXPECT_EQ(read(*store, "a").content, "2");
}

}  // namespace
}  // namespace trued
