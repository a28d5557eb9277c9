#include "ledger/postgres/durability.h"

#include <gtest/gtest.h>

#include "ledger/postgres/postgres_test_support.h"

namespace trued::test {
namespace {

using postgres::durability_of;
using postgres::Terms;

Terms terms(const std::string& commit, const std::string& names, const std::string& fsync = "on",
            const std::string& pages = "on") {
  return {.fsync = fsync,
          .full_page_writes = pages,
          .synchronous_commit = commit,
          .synchronous_standby_names = names};
}

std::string level(const Terms& of) {
  return std::string(to_string(durability_of(of, std::nullopt).level));
}
std::string level(const std::string& commit, const std::string& names,
                  const std::string& fsync = "on", const std::string& pages = "on") {
  return level(terms(commit, names, fsync, pages));
}

Batch batch_of(Lives& lives, const std::string& key) {
  std::vector<Event> events;
  const Operation operation = lives.accept(key, events);
  return {{Lives::change(operation, events, true)}, kStart};
}

bool mentions(const std::vector<std::string>& texts, const std::string& word) {
  return std::ranges::any_of(texts, [&](const std::string& text) { return text.contains(word); });
}

TEST(PostgresDurability, C6_it_promises_what_the_settings_give_and_no_more) {
  EXPECT_EQ(level("on", ""), "fsync");
  EXPECT_EQ(level("on", "", "off"), "none");
  EXPECT_EQ(level("on", "ANY 1 (a, b)", "off"), "none");
  EXPECT_EQ(level("on", "", "on", "off"), "none");
  EXPECT_EQ(level("off", "ANY 1 (a, b)"), "none");
  EXPECT_EQ(level("local", "ANY 1 (a, b)"), "fsync");
  EXPECT_EQ(level("on", "a"), "standby");
  EXPECT_EQ(level("on", "*"), "standby");
  EXPECT_EQ(level("on", "FIRST 1 (a, b)"), "standby");
  EXPECT_EQ(level("on", "2 (a, b, c)"), "standby");
  EXPECT_EQ(level("on", "ANY 1 (a, b)"), "quorum");
  EXPECT_EQ(level("on", "  any  1(a,b) "), "quorum");
  EXPECT_EQ(level("remote_apply", "any 2 (a, \"b,c\", d)"), "quorum");
  EXPECT_EQ(level("remote_write", "ANY 1 (a, b)"), "standby");
  EXPECT_EQ(level("on", "ANY 1 (a, b, c)"), "standby") << "2 of 4 are no majority";
  EXPECT_EQ(level("on", "ANY 1 (*)"), "standby") << "of how many, nobody knows";
  EXPECT_EQ(level("on", "ANY 1 (\"*\")"), "standby") << "the server does not heed the quotes";
  EXPECT_EQ(level("on", "\"ANY 1 (a)\""), "standby") << "a name, as strange as it is";
  EXPECT_EQ(level(terms("", "", "", "")), "none") << "an engine that does not know them";
}

TEST(PostgresDurability, C6_it_says_when_those_that_are_waited_for_are_away) {
  const Standby a{.name = "a", .state = "streaming", .sync = "quorum"};
  const Standby b{.name = "B", .state = "catchup", .sync = "quorum"};
  const Standby other{.name = "other", .state = "streaming", .sync = "async"};
  auto now = durability_of(terms("on", "ANY 2 (a, b, c)"), std::vector{a, b, other});
  EXPECT_EQ(now.level, DurabilityLevel::quorum) << "what came back is there";
  EXPECT_TRUE(now.commits_wait);
  EXPECT_NE(now.sentence.find("only 1 stream now"), std::string::npos) << now.sentence;
  EXPECT_NE(now.sentence.find("not streaming: b, c"), std::string::npos) << now.sentence;
  EXPECT_EQ(now.standbys->size(), 3U);
  now = durability_of(terms("on", "ANY 1 (a, b)"), std::vector{a, b});
  EXPECT_FALSE(now.commits_wait);
  EXPECT_NE(now.sentence.find("not streaming: b"), std::string::npos) << now.sentence;
  now = durability_of(terms("on", "*"), std::vector<Standby>());
  EXPECT_TRUE(now.commits_wait);
}

TEST(PostgresDurability, C6_standbys_that_share_a_name_are_no_majority) {
  const Standby a{.name = "a", .state = "streaming", .sync = "quorum"};
  EXPECT_EQ(durability_of(terms("on", "ANY 1 (a, b)"), std::vector{a, a}).level,
            DurabilityLevel::quorum);
  const auto now = durability_of(terms("on", "ANY 1 (a, b)"), std::vector{a, a, a});
  EXPECT_EQ(now.level, DurabilityLevel::standby) << "2 of 4";
  EXPECT_NE(now.sentence.find("share"), std::string::npos) << now.sentence;
}

TEST(PostgresDurability, C6_what_cannot_be_seen_is_said) {
  auto now = durability_of(terms("on", "ANY 1 (a, b)"), std::nullopt);
  EXPECT_FALSE(now.standbys);
  EXPECT_FALSE(now.commits_wait) << "nobody knows";
  EXPECT_TRUE(mentions(now.unseen, "pg_monitor"));
  EXPECT_TRUE(mentions(now.unseen, "fsync"));
  now = durability_of(terms("on", ""), std::vector<Standby>());
  EXPECT_TRUE(now.unseen.empty()) << "nobody is waited for";
}

TEST(PostgresDurability, C6_it_is_read_from_the_server_and_read_again) {
  pg::PostgresServer one;
  const Area area(one);
  const auto ledger = area.open();
  EXPECT_EQ(ledger->durability(), "fsync");
  one.sql("ALTER SYSTEM SET synchronous_commit = off");
  one.sql("SELECT pg_reload_conf()");
  EXPECT_TRUE(one.wait_for("current_setting('synchronous_commit') = 'off'"));
  for (int tries = 0; tries < 400 && ledger->durability() != "none"; ++tries) pg::pause(10);
  EXPECT_EQ(ledger->durability(), "none");
}

/// A server whose settings are changed under a ledger that is open.
class PostgresPromise : public ::testing::Test {
 protected:
  void SetUp() override {
    ledger_ = area_.open();
    ledger_->on_durability([this](const Durability& now) {
      found_.push_back(now.level);
      return now.level >= floor_;
    });
    lives_.put(*ledger_, "before");
  }
  /// Until a new session sees it, and with it one that asks next.
  void set(const std::string& name, const std::string& value) {
    one_.sql("ALTER SYSTEM SET " + name + " = '" + value + "'");
    one_.sql("SELECT pg_reload_conf()");
    EXPECT_TRUE(one_.wait_for("current_setting('" + name + "') = '" + value + "'"));
  }
  /// The commit of a new operation; every session hears of a setting in its own time.
  CommitResult first_other_than_committed() {
    for (int tries = 0; tries < 500; ++tries) {
      Batch batch = batch_of(lives_, "try-" + std::to_string(++number_));
      CommitResult result = ledger_->commit(batch);
      if (result.outcome != CommitOutcome::committed) return result;
      pg::pause(10);
    }
    return {CommitOutcome::committed, "for ever"};
  }
  std::string written() const { return area_.sql("SELECT count(*) FROM @operation"); }

  pg::PostgresServer one_;
  Area area_{one_};
  Lives lives_;
  std::vector<DurabilityLevel> found_;
  DurabilityLevel floor_ = DurabilityLevel::fsync;
  std::unique_ptr<PostgresLedger> ledger_;
  int number_ = 0;
};

TEST_F(PostgresPromise, T6_the_first_commit_under_less_writes_nothing_and_the_next_one_does) {
  set("synchronous_commit", "off");
  const CommitResult refused = first_other_than_committed();
  EXPECT_EQ(refused.outcome, CommitOutcome::conflict);
  EXPECT_NE(refused.message.find("promise less"), std::string::npos) << refused.message;
  EXPECT_EQ(written(), std::to_string(number_)) << "all but the refused one";
  ASSERT_FALSE(found_.empty());
  EXPECT_EQ(found_.back(), DurabilityLevel::none);
  // What is told is what the ledger goes on with: who keeps to a floor has heard of it.
  lives_.put(*ledger_, "under-less");
  EXPECT_TRUE(area_.sql("SELECT count(*) FROM @batch") != "0");
}

TEST_F(PostgresPromise, T6_less_than_before_that_is_still_enough_refuses_nothing) {
  floor_ = DurabilityLevel::none;
  set("synchronous_commit", "off");
  for (int tries = 0; tries < 500 && found_.empty(); ++tries) {
    lives_.put(*ledger_, "again-" + std::to_string(tries));
    pg::pause(10);
  }
  ASSERT_FALSE(found_.empty());
  EXPECT_EQ(found_.back(), DurabilityLevel::none);
}

TEST_F(PostgresPromise, T6_more_than_before_is_no_reason_to_refuse) {
  set("synchronous_commit", "off");
  EXPECT_EQ(first_other_than_committed().outcome, CommitOutcome::conflict);
  set("synchronous_commit", "on");
  for (int tries = 0; tries < 500 && found_.back() != DurabilityLevel::fsync; ++tries) {
    lives_.put(*ledger_, "again-" + std::to_string(tries));
    pg::pause(10);
  }
  EXPECT_EQ(found_.back(), DurabilityLevel::fsync);
}

TEST_F(PostgresPromise, T6_what_the_role_is_set_to_counts_from_the_next_connection_on) {
  one_.sql("ALTER ROLE app SET synchronous_commit = off");
  lives_.put(*ledger_, "as-before");
  EXPECT_TRUE(found_.empty()) << "this connection still waits for the disk";
  // A new one of the same role, as who watches opens now and then.
  const auto other = PostgresLedger::open({.place = area_.place(), .claim = area_.seize()});
  ASSERT_TRUE(other.has_value());
  EXPECT_EQ((*other)->durability(), "none");
}

TEST_F(PostgresPromise, T6_a_failover_to_a_server_that_promises_less_is_noticed_by_the_commit) {
  // The connection ends, and the next one leads to a server that is set otherwise.
  one_.sql("ALTER ROLE app SET synchronous_commit = off");
  one_.sql(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = "
      "'trued'");
  CommitResult result = ledger_->commit(batch_of(lives_, "over"));
  while (result.outcome == CommitOutcome::unknown) result = ledger_->settle_unknown();
  if (result.outcome == CommitOutcome::rolled_back) {
    result = ledger_->commit(batch_of(lives_, "over"));
  }
  EXPECT_EQ(result.outcome, CommitOutcome::conflict);
  EXPECT_EQ(written(), "1") << "nothing beside the one before";
  ASSERT_FALSE(found_.empty());
  EXPECT_EQ(found_.back(), DurabilityLevel::none);
}

}  // namespace
}  // namespace trued::test
