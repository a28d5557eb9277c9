// What a commit says when the server, the way to it or another node gets between.
#include <atomic>
#include <map>
#include <thread>

#include "base/random.h"
#include "ledger/postgres/batch_statement.h"
#include "ledger/postgres/durability.h"
#include "ledger/postgres/link.h"
#include "ledger/postgres/postgres_test_support.h"
#include "ledger/postgres/rows.h"
#include "pg/proxy_test.h"

namespace trued::test {
namespace {

constexpr Duration kShort{800};

Batch batch_of(Lives& lives, const std::string& key) {
  std::vector<Event> events;
  const Operation operation = lives.accept(key, events);
  return {{Lives::change(operation, events, true)}, kStart};
}

bool is_there(Ledger& ledger, const std::string& key) {
  const auto known = ledger.load(std::vector<Identity>{{"default", "write", key}});
  EXPECT_TRUE(known.has_value()) << known.error().message;
  return known.has_value() && known->front().operation.has_value();
}

CommitResult settle(Ledger& ledger) {
  CommitResult result;
  for (int tries = 0; tries < 400; ++tries) {
    result = ledger.settle_unknown();
    if (result.outcome != CommitOutcome::unknown) return result;
    pg::pause(25);
  }
  return result;
}

TEST(PostgresFencing, T1_what_an_overtaken_node_decides_never_gets_into_the_ledger) {
  const Area area;
  Lives lives;
  const auto first = area.open();
  lives.put(*first, "before");
  const auto second = area.open(area.seize());
  const CommitResult late = first->commit(batch_of(lives, "late"));
  EXPECT_EQ(late.outcome, CommitOutcome::fenced) << late.message;
  EXPECT_FALSE(is_there(*second, "late"));
  lives.put(*second, "after");
  EXPECT_EQ(first->commit(batch_of(lives, "later")).outcome, CommitOutcome::fenced);
  EXPECT_EQ(first->retire(kStart + Duration{60'000}, 10).value(), 0U);
  EXPECT_EQ(area.sql("SELECT count(*) FROM @operation"), "2");
  EXPECT_EQ(area.sql("SELECT count(*) FROM @batch"), "2");
}

TEST(PostgresFencing, T1_it_is_overtaken_from_the_moment_of_the_claim) {
  const Area area;
  Lives lives;
  const auto first = area.open();
  lives.put(*first, "before");
  const Claim next = area.seize();  // which has looked at nothing yet
  EXPECT_EQ(first->commit(batch_of(lives, "late")).outcome, CommitOutcome::fenced);
  EXPECT_EQ(area.sql("SELECT count(*) FROM @operation"), "1");
  lives.put(*area.open(next), "after");
}

TEST(PostgresFencing, T1_a_claim_that_does_not_hold_opens_nothing) {
  const Area area;
  const Claim old = area.seize();
  const Claim current = area.seize();
  const auto refused = PostgresLedger::open({.place = area.place(), .claim = old});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::conflict);
  // The same number in other hands, as after a failover that lost a claim.
  const auto twin = PostgresLedger::open(
      {.place = area.place(), .claim = {.epoch = current.epoch, .holder = old.holder}});
  EXPECT_FALSE(twin.has_value());
}

TEST(PostgresFencing, T1_overtaken_while_in_doubt_it_says_what_became_of_the_batch) {
  for (const bool arrives : {true, false}) {
    const Area area;
    Lives lives;
    pg::Proxy proxy(server().port());
    const Claim claim = area.seize();
    const auto first = area.open(claim, proxy.port(), kShort);
    proxy.cut(arrives ? pg::Cut::hang_after : pg::Cut::drop_before, claim.holder);
    EXPECT_EQ(first->commit(batch_of(lives, "doubt")).outcome, CommitOutcome::unknown);
    const auto second = area.open(area.seize());
    lives.put(*second, "more");
    proxy.cut(pg::Cut::none);
    EXPECT_EQ(settle(*first).outcome, arrives ? CommitOutcome::committed : CommitOutcome::fenced);
    EXPECT_EQ(is_there(*second, "doubt"), arrives);
    EXPECT_EQ(first->commit(batch_of(lives, "late")).outcome, CommitOutcome::fenced);
  }
}

TEST(PostgresFaults, T6_an_answer_that_never_comes_is_unknown_and_settled_by_reading) {
  for (const pg::Cut how : {pg::Cut::drop_before, pg::Cut::drop_after, pg::Cut::hang_after,
                            pg::Cut::garbage_after, pg::Cut::hold}) {
    const bool arrives = how != pg::Cut::drop_before && how != pg::Cut::hold;
    const Area area;
    Lives lives;
    pg::Proxy proxy(server().port());
    const Claim claim = area.seize();
    const auto ledger = area.open(claim, proxy.port(), kShort);
    lives.put(*ledger, "before");
    proxy.cut(how, claim.holder);
    const CommitResult result = ledger->commit(batch_of(lives, "doubt"));
    EXPECT_EQ(result.outcome, CommitOutcome::unknown) << result.message;
    proxy.cut(pg::Cut::refuse);
    EXPECT_EQ(ledger->settle_unknown().outcome, CommitOutcome::unknown);
    proxy.cut(pg::Cut::none);
    EXPECT_EQ(settle(*ledger).outcome,
              arrives ? CommitOutcome::committed : CommitOutcome::rolled_back)
        << static_cast<int>(how);
    EXPECT_EQ(is_there(*ledger, "doubt"), arrives);
    lives.put(*ledger, "after");
  }
}

TEST(PostgresFaults, T6_what_was_sent_before_a_doubt_was_settled_does_nothing_afterwards) {
  const Area area;
  Lives lives;
  const Claim claim = area.seize();
  pg::Proxy proxy(server().port());
  const auto ledger = area.open(claim, proxy.port(), kShort);
  const auto site = postgres::Site::parse(area.place()).value();
  postgres::Link late(site, "late", Duration{5'000});
  ASSERT_TRUE(late.connect().has_value());
  // The very statement that the ledger sends next, still on its way.
  const auto rows = late.ask("SELECT batch, sequence, operation, hash, settled FROM @head");
  postgres::Fields row(rows->values.front());
  const Ends ends = postgres::read_ends(row).value();
  const auto shown = late.ask(postgres::kReadTerms);
  postgres::Fields terms(shown->values.front());
  const postgres::Condition then{.epoch = claim.epoch,
                                 .holder = claim.holder,
                                 .settled = row.number(),
                                 .terms = postgres::read_terms(terms)->text};
  const Batch batch = batch_of(lives, "ghost");
  postgres::BatchStatement ghost(ends, batch.at);
  ghost.add(batch.changes.front(), {.no = ghost.next_number()});
  proxy.cut(pg::Cut::drop_before, claim.holder);
  ASSERT_EQ(ledger->commit(batch).outcome, CommitOutcome::unknown);
  proxy.cut(pg::Cut::none);
  ASSERT_EQ(settle(*ledger).outcome, CommitOutcome::rolled_back);
  const auto arrived = late.ask(postgres::kCommitBatch, ghost.finish(then));
  ASSERT_TRUE(arrived.has_value()) << arrived.error().error.message;
  EXPECT_EQ(arrived->values.front().front(), "0");
  EXPECT_EQ(arrived->values.front().back(), "t") << "it is the head that is another";
  EXPECT_FALSE(is_there(*ledger, "ghost"));
  EXPECT_EQ(area.sql("SELECT count(*) FROM @batch"), "0");
  lives.put(*ledger, "after");
}

TEST(PostgresFaults, T6_a_commit_under_way_is_waited_for_before_anything_is_said) {
  const Area area;
  Lives lives;
  const auto ledger = area.open(area.seize(), 0, kShort);
  pg::Session blocker = server().session();
  pg::PostgresServer::value(blocker, "BEGIN; SELECT 1 FROM " + area.name() + ".head FOR UPDATE");
  EXPECT_EQ(ledger->commit(batch_of(lives, "waits")).outcome, CommitOutcome::unknown);
  // The server has not noticed yet that nobody listens.
  EXPECT_EQ(ledger->settle_unknown().outcome, CommitOutcome::unknown);
  pg::PostgresServer::value(blocker, "COMMIT");
  const CommitResult settled = settle(*ledger);
  EXPECT_EQ(is_there(*ledger, "waits"), settled.outcome == CommitOutcome::committed)
      << settled.message;
  lives.put(*ledger, "after");
}

TEST(PostgresFaults, T6_a_backend_that_is_ended_in_the_middle_leaves_nothing_or_all) {
  const Area area;
  Lives lives;
  const auto ledger = area.open();
  pg::Session blocker = server().session();
  pg::PostgresServer::value(blocker, "BEGIN; SELECT 1 FROM " + area.name() + ".head FOR UPDATE");
  std::thread ender([&] {
    EXPECT_TRUE(
        server().wait_for("EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock')"));
    server().sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'");
  });
  const CommitResult result = ledger->commit(batch_of(lives, "ended"));
  ender.join();
  EXPECT_EQ(result.outcome, CommitOutcome::unknown);
  pg::PostgresServer::value(blocker, "COMMIT");
  EXPECT_EQ(settle(*ledger).outcome, CommitOutcome::rolled_back);
  EXPECT_FALSE(is_there(*ledger, "ended"));
  lives.put(*ledger, "after");
}

TEST(PostgresFaults, T6_a_cancelled_statement_is_known_to_have_done_nothing) {
  const Area area;
  Lives lives;
  const auto ledger = area.open();
  pg::Session blocker = server().session();
  pg::PostgresServer::value(blocker, "BEGIN; SELECT 1 FROM " + area.name() + ".head FOR UPDATE");
  std::thread ender([&] {
    EXPECT_TRUE(
        server().wait_for("EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock')"));
    server().sql(
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'");
  });
  EXPECT_EQ(ledger->commit(batch_of(lives, "cancelled")).outcome, CommitOutcome::rolled_back);
  ender.join();
  pg::PostgresServer::value(blocker, "COMMIT");
  lives.put(*ledger, "cancelled");
}

TEST(PostgresFaults, T6_a_retirement_without_an_answer_does_not_lead_astray) {
  for (const pg::Cut how : {pg::Cut::drop_before, pg::Cut::drop_after}) {
    const Area area;
    Lives lives;
    pg::Proxy proxy(server().port());
    const auto ledger = area.open(area.seize(), proxy.port(), kShort);
    Lives::settle(*ledger, lives.put(*ledger, "old"), State::confirmed);
    proxy.cut(how, "COMMIT");
    EXPECT_FALSE(ledger->retire(kStart + Duration{60'000}, 10).has_value());
    proxy.cut(pg::Cut::none);
    lives.put(*ledger, "new");
    EXPECT_EQ(is_there(*ledger, "old"), how == pg::Cut::drop_before);
    EXPECT_EQ(ledger->retire(kStart + Duration{60'000}, 10).value(),
              how == pg::Cut::drop_before ? 1U : 0U);
    lives.put(*ledger, "newer");
  }
}

TEST(PostgresFaults, T6_a_wait_for_standbys_that_was_cut_is_no_commit) {
  pg::PostgresServer alone;
  const Area area(alone);
  Lives lives;
  const auto ledger = area.open(area.seize(), 0, Duration{1'000});
  lives.put(*ledger, "before");
  const auto wait_for_standbys = [&](const char* names) {
    alone.sql("ALTER SYSTEM SET synchronous_standby_names = '" + std::string(names) + "'");
    alone.sql("SELECT pg_reload_conf()");
    EXPECT_TRUE(alone.wait_for("current_setting('synchronous_standby_names') = '" +
                               std::string(names) + "'"));
  };
  wait_for_standbys("away");
  const auto cutting_the_wait = [&](const std::function<CommitResult()>& call) {
    std::thread canceller([&] {
      EXPECT_TRUE(
          alone.wait_for("EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep')"));
      alone.sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
    });
    const CommitResult result = call();
    canceller.join();
    return result;
  };
  const CommitResult result =
      cutting_the_wait([&] { return ledger->commit(batch_of(lives, "alone")); });
  EXPECT_EQ(result.outcome, CommitOutcome::unknown);
  EXPECT_NE(result.message.find("standbys"), std::string::npos) << result.message;
  EXPECT_EQ(area.sql("SELECT count(*) FROM @batch"), "2") << "the primary has it all the same";
  EXPECT_EQ(cutting_the_wait([&] { return ledger->settle_unknown(); }).outcome,
            CommitOutcome::unknown)
      << "nobody has it besides";
  EXPECT_EQ(ledger->settle_unknown().outcome, CommitOutcome::unknown) << "nor later";
  EXPECT_EQ(ledger->durability(), "standby");
  wait_for_standbys("");
  EXPECT_EQ(settle(*ledger).outcome, CommitOutcome::committed);
  lives.put(*ledger, "after");
}

// Commits one batch after the other until it is told to stop, and writes down what was said.
class Writes {
 public:
  explicit Writes(Ledger& ledger) : ledger_(ledger), thread_([this] { run(); }) {}
  ~Writes() { end(); }
  void end() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  [[nodiscard]] const std::map<std::string, CommitOutcome>& said() const { return said_; }
  [[nodiscard]] int committed() const { return committed_; }

 private:
  void run() {
    Lives lives;
    for (int n = 0; !stop_; ++n) {
      const std::string key = "k" + std::to_string(n);
      CommitResult result = ledger_.commit(batch_of(lives, key));
      if (result.outcome == CommitOutcome::unknown) result = settle(ledger_);
      said_[key] = result.outcome;
      if (result.outcome == CommitOutcome::committed) {
        ++committed_;
      } else {
        pg::pause(5);
      }
    }
  }

  Ledger& ledger_;
  std::atomic<bool> stop_{false};
  std::atomic<int> committed_{0};
  std::map<std::string, CommitOutcome> said_;  ///< the thread's, until end()
  std::thread thread_;
};

TEST(PostgresFaults, T3_what_was_committed_is_there_however_often_the_server_is_killed) {
  pg::PostgresServer fragile;
  const Area area(fragile);
  const auto ledger = area.open(area.seize(), 0, Duration{5'000});
  SeededRandom chance(20'261'121);
  Writes writes(*ledger);
  for (int round = 0; round < 20; ++round) {
    const int before = writes.committed();
    for (int tries = 0; tries < 2'000 && writes.committed() < before + 3; ++tries) pg::pause(5);
    pg::pause(static_cast<int>(chance.next() % 20));
    if (round % 4 == 3) {
      fragile.stop_at_once();
    } else {
      fragile.crash();
    }
    fragile.start();
  }
  writes.end();
  std::map<CommitOutcome, int> counts;
  for (const auto& [key, outcome] : writes.said()) {
    ++counts[outcome];
    EXPECT_EQ(is_there(*ledger, key), outcome == CommitOutcome::committed) << key;
  }
  EXPECT_GE(counts[CommitOutcome::committed], 60);
  EXPECT_EQ(counts[CommitOutcome::fenced], 0);
  EXPECT_EQ(area.sql("SELECT count(*) FROM @batch"),
            std::to_string(counts[CommitOutcome::committed]));
}

TEST(PostgresFaults, a_password_is_in_no_message) {
  const std::string secret = "s3cret-word";
  const std::string host = "127.0.0.1:" + std::to_string(pg::PostgresServer::free_port());
  const PostgresPlace place{.url = "postgresql://app:" + secret + "@" + host + "/app"};
  const auto refused = PostgresTenure::open(place, {});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().message.find(secret), std::string::npos) << refused.error().message;
  EXPECT_NE(refused.error().message.find(host), std::string::npos) << refused.error().message;
}

TEST(PostgresSchema, T13_a_newer_schema_is_refused_and_one_that_only_adds_is_not) {
  const Area area;
  const Claim claim = area.seize();
  area.sql("UPDATE @head SET version = 7");
  EXPECT_NE(area.open(claim), nullptr);
  const auto stands_by = PostgresTenure::open(area.place(), {});
  EXPECT_TRUE(stands_by.has_value()) << "who stands by brings forward what is missing, not back";
  EXPECT_FALSE(audit_postgres(area.place(), {}).value().first.has_value());
  EXPECT_EQ(area.sql("SELECT version FROM @head"), "7");
  area.sql("UPDATE @head SET oldest = 7");
  const auto refused = PostgresLedger::open({.place = area.place(), .claim = claim});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::unsupported);
  EXPECT_NE(refused.error().message.find("version 7"), std::string::npos);
  EXPECT_FALSE(PostgresTenure::open(area.place(), {}).has_value());
}

TEST(PostgresSchema, many_that_create_it_at_once_create_it_once) {
  const Area area;
  std::atomic<int> opened{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&] {
      const auto tenure = PostgresTenure::open(area.place(), {});
      EXPECT_TRUE(tenure.has_value()) << tenure.error().message;
      if (tenure.has_value()) ++opened;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(opened.load(), 6);
}

}  // namespace
}  // namespace trued::test
