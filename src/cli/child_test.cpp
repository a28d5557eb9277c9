#include "cli/child.h"

#include <chrono>
#include <future>
#include <signal.h>
#include <sys/resource.h>

#include <gtest/gtest.h>

#include "base/sanitized.h"
#include "cli/exec_target.h"

namespace trued::cli {
namespace {

constexpr Duration kLong{60'000};

ChildEnd run(Children& children, std::vector<std::string> argv, Duration timeout = kLong) {
  return children.run({.argv = std::move(argv),
                       .added = {"TRUED_KEY=inner"},
                       .directory = {},
                       .timeout = timeout,
                       .output = ChildOptions::Output::none,
                       .front = true});
}

EffectEnded ended_by(ExecConnector& connector, std::vector<std::string> argv) {
  Intent intent;
  intent.artifacts.push_back(
      {.name = "command",
       .absent = false,
       .id = {},
       .content = encode_command({.argv = std::move(argv), .verify = "", .terms = {}})});
  EffectRequest request;
  request.intent = std::make_shared<const Intent>(std::move(intent));
  request.timeout = kLong;
  return connector.perform(request).ended;
}

EffectKind effect_of(Children& children, std::vector<std::string> argv) {
  ExecConnector connector(children, false, ChildOptions::Output::none);
  return ended_by(connector, std::move(argv)).kind;
}

TEST(Exec, T1_only_a_failed_exec_means_that_it_never_ran) {
  Children children;
  EXPECT_EQ(effect_of(children, {"sh", "-c", "exit 127"}), EffectKind::unknown);
  EXPECT_EQ(effect_of(children, {"sh", "-c", "exit 126"}), EffectKind::unknown);
  EXPECT_EQ(effect_of(children, {"sh", "-c", "exit 75"}), EffectKind::rejected_retryable);
  EXPECT_EQ(effect_of(children, {"true"}), EffectKind::acknowledged);
  EXPECT_EQ(effect_of(children, {"no-such-command-anywhere"}), EffectKind::rejected_final);
  EXPECT_EQ(effect_of(children, {"/"}), EffectKind::rejected_final);
}

TEST(Exec, what_could_not_be_executed_is_named) {
  Children children;
  const ChildEnd end = run(children, {"no-such-command-anywhere"});
  EXPECT_EQ(end.how, ChildEnd::How::never_ran);
  EXPECT_EQ(describe(end), "cannot run 'no-such-command-anywhere': No such file or directory");
  EXPECT_FALSE(children.running());
}

TEST(Exec, without_descriptors_nothing_is_begun_unbounded) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer needs descriptors itself";
  Children children;
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  // From too few for the pipes up to just enough: it runs bounded, or it never ran.
  for (rlim_t limit = 3; limit < 12; ++limit) {
    const rlimit tight{.rlim_cur = limit, .rlim_max = before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
    const ChildEnd end = run(children, {"true"});
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    const bool ran = end.how == ChildEnd::How::exited && end.number == 0;
    EXPECT_TRUE(ran || (end.how == ChildEnd::How::never_ran && end.passing)) << describe(end);
  }
}

TEST(Exec, V7_what_cannot_be_begun_is_given_up_after_a_few_tries_and_says_why) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer needs descriptors itself";
  Children children;
  ExecConnector connector(children, false, ChildOptions::Output::none);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{.rlim_cur = 3, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  std::vector<EffectEnded> ends;
  for (std::uint32_t i = 0; i < ExecConnector::kNotBegunMax; ++i) {
    ends.push_back(ended_by(connector, {"true"}));
  }
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  const EffectEnded last = ends.back();
  ends.pop_back();
  for (const EffectEnded& end : ends) EXPECT_EQ(end.kind, EffectKind::not_sent) << end.reason;
  EXPECT_EQ(last.kind, EffectKind::rejected_final);
  EXPECT_EQ(last.reason,
            "it could not be begun in 8 tries: no pipe to 'true': Too many open files");
}

TEST(Exec, V7_an_interruption_is_no_failure_to_begin) {
  Children children;
  ExecConnector connector(children, false, ChildOptions::Output::none);
  children.pass_on(SIGTERM);
  EXPECT_FALSE(children.turned_away());
  for (std::uint32_t i = 0; i < 2 * ExecConnector::kNotBegunMax; ++i) {
    EXPECT_EQ(ended_by(connector, {"true"}).kind, EffectKind::not_sent);
  }
  EXPECT_TRUE(children.turned_away());
}

TEST(Exec, T1_a_command_whose_end_cannot_be_learnt_is_not_called_done) {
  Children children;
  ::signal(SIGCHLD, SIG_IGN);  // the kernel keeps no status then
  const ChildEnd end = run(children, {"sh", "-c", "exit 9"});
  ::signal(SIGCHLD, SIG_DFL);
  EXPECT_EQ(end.how, ChildEnd::How::lost);
}

TEST(Exec, a_command_runs_in_its_directory_or_not_at_all) {
  Children children;
  ChildOptions options{.argv = {"sh", "-c", "test \"$PWD\" = / && test \"$(pwd)\" = /"},
                       .added = {},
                       .directory = "/",
                       .timeout = kLong,
                       .output = ChildOptions::Output::none,
                       .front = false};
  EXPECT_EQ(children.run(options).number, 0);
  options.directory = "/no-such-directory";
  const ChildEnd end = children.run(options);
  EXPECT_EQ(end.how, ChildEnd::How::never_ran);
  EXPECT_EQ(describe(end), "cannot run 'sh' in '/no-such-directory': No such file or directory");
  EXPECT_FALSE(end.passing);
}

TEST(Exec, T2_a_command_is_recorded_byte_for_byte) {
  ExecCommand command{
      .argv = {"rm", "caf\xe9", "na\xc3\xafve", ""},
      .verify = "test ! -e caf\xe9",
      .terms = ExecTerms{.attempts = 3, .timeout = Duration{5'000}, .directory = "/srv/\xff"}};
  const auto read = recorded_command(exec_submission("k", command).intent_json);
  ASSERT_TRUE(read.has_value());
  EXPECT_TRUE(same_work(*read, command));
  EXPECT_EQ(read->terms, command.terms);
  command.terms.reset();
  EXPECT_EQ(decode_command(encode_command(command))->terms, std::nullopt);
  // As it was before terms were recorded, so that what is in a ledger keeps its fingerprint.
  EXPECT_EQ(encode_command({.argv = {"a", "b"}, .verify = "c", .terms = {}}),
            R"({"argv":["a","b"],"verify":"c"})");
}

TEST(Exec, what_outlives_its_time_is_killed_with_its_group) {
  Children children;
  const auto begin = std::chrono::steady_clock::now();
  const ChildEnd end = run(children, {"sh", "-c", "sleep 60; true"}, Duration{200});
  EXPECT_EQ(end.how, ChildEnd::How::timed_out);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
}

TEST(Exec, what_is_added_takes_the_place_of_what_is_inherited) {
  ::setenv("TRUED_KEY", "outer", 1);
  Children children;
  EXPECT_EQ(run(children, {"sh", "-c", "test \"$TRUED_KEY\" = inner"}).number, 0);
}

TEST(Exec, a_signal_reaches_the_child_and_nothing_is_begun_after_it) {
  Children children;
  auto end = std::async(std::launch::async, [&] { return run(children, {"sleep", "60"}); });
  while (!children.running()) end.wait_for(std::chrono::milliseconds(5));
  children.pass_on(SIGTERM);
  const ChildEnd ended = end.get();
  EXPECT_EQ(ended.how, ChildEnd::How::killed);
  EXPECT_EQ(ended.number, SIGTERM);
  const ChildEnd second = run(children, {"true"});
  EXPECT_EQ(second.how, ChildEnd::How::never_ran);
  EXPECT_TRUE(second.passing);
}

}  // namespace
}  // namespace trued::cli
