// Real standbys of a real server. What they lag behind is decided by pausing their replay.
#include "ledger/postgres/replicas.h"

#include <condition_variable>
#include <future>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/clock.h"
#include "ledger/postgres/postgres_test_support.h"

namespace trued::test {
namespace {

using testing::HasSubstr;

pg::PostgresServer& standby(int which) {
  static pg::PostgresServer first(pg::StandbyOf{server()});
  static pg::PostgresServer second(pg::StandbyOf{server()});
  return which == 0 ? first : second;
}

std::chrono::nanoseconds now() { return SystemClock().monotonic(); }

/// Both standbys, a ledger, and reads from as many of them as wanted.
class ReplicasTest : public testing::Test {
 protected:
  ReplicasTest() {
    for (int i = 0; i < 2; ++i) standby(i).resume_replay();
  }
  ~ReplicasTest() override {
    for (int i = 0; i < 2; ++i) standby(i).resume_replay();
  }

  PostgresReplica replica(const std::string& name, int which) const {
    return {.name = name, .place = area.place(standby(which).port())};
  }
  std::unique_ptr<ReplicaReads> open(std::vector<PostgresReplica> replicas) {
    auto opened = open_postgres_replicas({.primary = area.place(),
                                          .replicas = std::move(replicas),
                                          .look_every = Duration{20},
                                          .notice = [this](const std::string& what, bool) {
                                            const std::scoped_lock lock(mutex);
                                            notices.push_back(what);
                                          }});
    EXPECT_TRUE(opened.has_value());
    return std::move(opened).value();
  }
  void commit(int batches) {
    for (int i = 0; i < batches; ++i) newest = lives.put(*ledger, "k" + std::to_string(++keys));
  }
  /// Waits until the standby shows the ledger at that batch.
  void shows(int which, std::uint64_t batch) const {
    EXPECT_TRUE(standby(which).wait_for("coalesce((SELECT batch FROM " + area.name() +
                                        ".head), 0) >= " + std::to_string(batch)));
  }
  static bool eventually(const std::function<bool()>& condition) {
    for (int tries = 0; tries < 3'000; ++tries) {
      if (condition()) return true;
      pg::pause(10);
    }
    return false;
  }
  static bool is_usable(ReplicaReads& replicas, std::size_t which) {
    return eventually([&] { return replicas.states().at(which).usable; });
  }
  /// Reads the newest operation; `seen` is of the snapshot.
  std::optional<ServedBy> read(ReplicaReads& replicas, const ReplicaWant& want) {
    return begin(replicas, want).get();
  }
  std::future<std::optional<ServedBy>> begin(ReplicaReads& replicas, const ReplicaWant& want) {
    auto done = std::make_shared<std::promise<std::optional<ServedBy>>>();
    replicas.read(
        want,
        [this, id = newest.id](LedgerReader& reader) -> Result<void> {
          TRUED_TRY(const auto found, reader.find(id));
          there = found.has_value();
          return {};
        },
        [done](std::optional<ServedBy> served) { done->set_value(std::move(served)); });
    return done->get_future();
  }

  Area area;
  std::unique_ptr<PostgresLedger> ledger = area.open();
  Lives lives;
  Operation newest;
  int keys = 0;
  std::atomic<bool> there = false;  ///< what the last read found
  std::mutex mutex;
  std::vector<std::string> notices;
};

TEST_F(ReplicasTest, C1_eventual_serves_what_a_replica_has_and_says_honestly_how_stale_it_is) {
  commit(1);
  shows(0, 1);
  const auto replicas = open({replica("far", 0)});
  ASSERT_TRUE(is_usable(*replicas, 0));
  standby(0).pause_replay();
  commit(1);
  const auto outdated_since = now();
  commit(2);
  ASSERT_TRUE(eventually([&] { return replicas->states().front().behind == 3U; }));
  // The primary is asked many times meanwhile: that makes no copy fresher.
  ASSERT_TRUE(eventually([&] { return now() - outdated_since > std::chrono::milliseconds(300); }));
  const auto asked = now();
  const auto served = read(*replicas, {});
  ASSERT_TRUE(served);
  EXPECT_EQ(served->name, "far");
  EXPECT_EQ(served->how.at, (LedgerPosition{ledger->newest().ledger, 1}));
  EXPECT_EQ(served->how.behind, 3U);
  ASSERT_TRUE(served->how.stale);
  EXPECT_GE(*served->how.stale, std::chrono::floor<Duration>(asked - outdated_since))
      << "it did not show what had been acknowledged by then";
  EXPECT_FALSE(there) << "what was committed last is not on a replica that stands still";
  const ReplicaState state = replicas->states().front();
  EXPECT_EQ(state.batch, 1U);
  EXPECT_GE(*state.stale, std::chrono::floor<Duration>(asked - outdated_since));
  standby(0).resume_replay();
  ASSERT_TRUE(eventually([&] { return replicas->states().front().behind == 0U; }));
  EXPECT_EQ(read(*replicas, {})->how.at.batch, 4U);
  EXPECT_TRUE(there);
}

TEST_F(ReplicasTest, C1_a_session_waits_for_a_replica_to_come_so_far_and_never_sees_it_older) {
  commit(1);
  shows(0, 1);
  const auto replicas = open({replica("r", 0)});
  ASSERT_TRUE(is_usable(*replicas, 0));
  standby(0).pause_replay();
  commit(1);
  EXPECT_FALSE(read(*replicas, {.batch_min = 2})) << "no patience: for the primary";
  EXPECT_FALSE(read(*replicas, {.batch_min = 2, .patience = Duration{60}}));
  auto waiting = begin(*replicas, {.batch_min = 2, .patience = Duration{60'000}});
  EXPECT_EQ(waiting.wait_for(std::chrono::milliseconds(100)), std::future_status::timeout);
  standby(0).resume_replay();
  const auto served = waiting.get();
  ASSERT_TRUE(served);
  EXPECT_EQ(served->how.at.batch, 2U);
  EXPECT_TRUE(there);
}

TEST_F(ReplicasTest, C1_what_is_seen_never_goes_back_between_replicas_of_different_lag) {
  commit(1);
  for (int i = 0; i < 2; ++i) shows(i, 1);
  const auto replicas = open({replica("near", 0), replica("far", 1)});
  for (std::size_t i = 0; i < 2; ++i) ASSERT_TRUE(is_usable(*replicas, i));
  standby(1).pause_replay();
  commit(3);
  shows(0, 4);
  std::map<std::string, int> asked;
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 20; ++i) {
    const auto served = read(*replicas, {});
    ASSERT_TRUE(served);
    ++asked[served->name];
    seen.insert(served->how.at.batch);
  }
  EXPECT_EQ(seen, (std::set<std::uint64_t>{1, 4})) << "eventual reads go back and forth";
  EXPECT_GT(asked["near"], 0);
  EXPECT_GT(asked["far"], 0) << "all bear their share";
  std::uint64_t last = 0;
  for (int i = 0; i < 40; ++i) {
    const auto served = read(*replicas, {.batch_min = last, .patience = Duration{10'000}});
    ASSERT_TRUE(served);
    EXPECT_GE(served->how.at.batch, last);
    last = served->how.at.batch;
    if (i % 10 == 0) commit(1);
  }
  EXPECT_GE(last, 4U);
}

TEST_F(ReplicasTest, C1_a_bound_on_staleness_is_kept_or_the_read_is_declined) {
  commit(1);
  shows(0, 1);
  const auto replicas = open({replica("r", 0)});
  ASSERT_TRUE(is_usable(*replicas, 0));
  const auto fresh = [&] { return read(*replicas, {.stale_max = Duration{5'000}}).has_value(); };
  ASSERT_TRUE(eventually(fresh));
  standby(0).pause_replay();
  commit(1);
  ASSERT_TRUE(eventually([&] {
    const auto state = replicas->states().front();
    return state.behind == 1U && state.stale > Duration{200};
  }));
  EXPECT_FALSE(read(*replicas, {.stale_max = Duration{200}}));
  EXPECT_TRUE(read(*replicas, {.stale_max = Duration{60'000}}));
}

TEST_F(ReplicasTest, C1_what_is_no_replica_of_this_ledger_is_never_read_from_and_said_once) {
  commit(1);
  const Area other;
  {
    const auto elsewhere = other.open();
    Lives others;
    others.put(*elsewhere, "theirs");
  }
  shows(0, 1);
  EXPECT_TRUE(
      standby(0).wait_for("coalesce((SELECT batch FROM " + other.name() + ".head), 0) = 1"));
  PostgresReplica foreign = replica("foreign", 0);
  foreign.place.schema = other.name();
  PostgresReplica empty = replica("empty", 0);
  empty.place.schema = "nothing_here";
  const PostgresReplica writer{.name = "writer", .place = area.place()};
  const PostgresReplica down{.name = "down", .place = area.place(pg::PostgresServer::free_port())};
  const auto replicas = open({foreign, empty, writer, down});
  const std::vector<std::string> wrong = {"another ledger", "does not exist", "takes writes",
                                          "refused"};
  for (std::size_t i = 0; i < wrong.size(); ++i) {
    EXPECT_TRUE(eventually([&] {
      return replicas->states().at(i).wrong.find(wrong.at(i)) != std::string::npos;
    })) << wrong.at(i)
        << " is not in: " << replicas->states().at(i).wrong;
    EXPECT_FALSE(replicas->states().at(i).usable);
  }
  // Asked many times more, and said no more.
  for (int i = 0; i < 20; ++i) {
    EXPECT_FALSE(read(*replicas, {}));
    pg::pause(10);
  }
  const std::scoped_lock lock(mutex);
  EXPECT_EQ(notices.size(), wrong.size()) << testing::PrintToString(notices);
}

TEST_F(ReplicasTest, C1_tables_that_this_program_does_not_know_are_not_read) {
  commit(1);
  shows(0, 1);
  const auto replicas = open({replica("r", 0)});
  ASSERT_TRUE(is_usable(*replicas, 0));
  area.sql("UPDATE @head SET oldest = 99");
  EXPECT_TRUE(eventually([&] { return !replicas->states().front().usable; }));
  EXPECT_THAT(replicas->states().front().wrong, HasSubstr("schema version 99"));
  EXPECT_FALSE(read(*replicas, {}));
  area.sql("UPDATE @head SET oldest = 1, version = 0");
  EXPECT_TRUE(eventually(
      [&] { return replicas->states().front().wrong.find("version 0") != std::string::npos; }));
  EXPECT_FALSE(read(*replicas, {}));
  area.sql("UPDATE @head SET version = " + std::to_string(kPostgresSchema));
  EXPECT_TRUE(is_usable(*replicas, 0));
}

TEST_F(ReplicasTest, C1_a_replica_that_goes_away_is_passed_over_and_comes_back) {
  commit(1);
  pg::PostgresServer leaving(pg::StandbyOf{server()});
  const PostgresReplica one{.name = "leaving", .place = area.place(leaving.port())};
  const auto replicas = open({one, replica("staying", 0)});
  for (std::size_t i = 0; i < 2; ++i) ASSERT_TRUE(is_usable(*replicas, i));
  leaving.stop_at_once();
  for (int i = 0; i < 10; ++i) {
    const auto served = read(*replicas, {.batch_min = 1, .patience = Duration{10'000}});
    ASSERT_TRUE(served);
    EXPECT_EQ(served->name, "staying");
  }
  EXPECT_TRUE(eventually([&] { return !replicas->states().front().usable; }));
  EXPECT_FALSE(replicas->states().front().batch);
  leaving.start();
  EXPECT_TRUE(is_usable(*replicas, 0));
}

TEST_F(ReplicasTest, C1_reads_go_on_while_the_primary_is_away_and_do_not_claim_to_be_fresh) {
  pg::PostgresServer primary;
  const Area own(primary);
  const auto writing = own.open();
  Lives others;
  newest = others.put(*writing, "a");
  pg::PostgresServer copy(pg::StandbyOf{primary});
  const PostgresReplica one{.name = "copy", .place = own.place(copy.port())};
  const auto replicas = open_postgres_replicas({.primary = own.place(),
                                                .replicas = {one},
                                                .look_every = Duration{20},
                                                .known_for = Duration{100}})
                            .value();
  ASSERT_TRUE(is_usable(*replicas, 0));
  EXPECT_EQ(read(*replicas, {})->how.behind, 0U);
  primary.stop_at_once();
  const auto away = now();
  EXPECT_TRUE(eventually([&] { return !read(*replicas, {})->how.behind; }));
  const auto since = now() - away;
  const auto served = read(*replicas, {});
  ASSERT_TRUE(served);
  EXPECT_TRUE(there);
  EXPECT_GE(*served->how.stale, std::chrono::floor<Duration>(since));
}

}  // namespace
}  // namespace trued::test
