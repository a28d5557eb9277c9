// ledger_conformance.h: what every ledger must do. One suite; each implementation instantiates it.
//
// Included by tests only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ledger/ledger_test_support.h"
#include "ledger/query.h"

namespace trued::test {

using MakeLedger = std::function<std::unique_ptr<Ledger>()>;

class LedgerConformance : public testing::TestWithParam<MakeLedger> {
 protected:
  std::unique_ptr<Ledger> ledger = GetParam()();
  Lives lives;

  Known known(const std::string& key) {
    return ledger->load(std::vector<Identity>{{"default", "write", key}}).value().front();
  }
};

TEST_P(LedgerConformance, T6_intent_state_and_events_are_there_after_a_commit) {
  const Operation operation = lives.put(*ledger, "a");
  const auto reader = ledger->open_reader().value();
  EXPECT_EQ(encode_row(**reader->find(operation.id)), encode_row(operation));
  EXPECT_EQ(**reader->intent(operation.id), Lives::intent_of("a"));
  EXPECT_EQ(reader->events(operation.id)->size(), 2U);
  EXPECT_EQ(known("a").operation->id, operation.id);
  EXPECT_FALSE(known("b").operation);
}

TEST_P(LedgerConformance, T2_an_identity_is_taken_once_and_the_whole_batch_is_refused) {
  lives.put(*ledger, "a");
  std::vector<Event> other;
  std::vector<Event> again;
  const Operation fresh = lives.accept("b", other);
  const Operation twin = lives.accept("a", again);
  const CommitResult result = ledger->commit(
      {{Lives::change(fresh, other, true), Lives::change(twin, again, true)}, kStart});
  EXPECT_EQ(result.outcome, CommitOutcome::conflict);
  EXPECT_FALSE(known("b").operation);
  lives.put(*ledger, "b");
}

TEST_P(LedgerConformance, T6_open_operations_come_in_the_order_of_acceptance) {
  for (const char* key : {"c", "a", "b"}) lives.put(*ledger, key);
  Lives::settle(*ledger, *known("a").operation, State::confirmed);
  std::vector<std::string> keys;
  ASSERT_TRUE(ledger->each_open([&](Operation&& o) { keys.push_back(o.identity.key); }));
  EXPECT_EQ(keys, (std::vector<std::string>{"c", "b"}));
}

TEST_P(LedgerConformance, T11_events_keep_their_order_over_batches) {
  Operation operation = lives.put(*ledger, "a");
  lives.put(*ledger, "b");
  Lives::settle(*ledger, operation, State::confirmed);
  const auto events = ledger->open_reader().value()->events(operation.id).value();
  ASSERT_EQ(events.size(), 5U);
  for (std::size_t i = 1; i < events.size(); ++i) {
    EXPECT_LT(events.at(i - 1).sequence, events.at(i).sequence);
  }
  EXPECT_EQ(name_of(events.back().event), "settled");
}

TEST_P(LedgerConformance, lists_are_filtered_and_paged_newest_first) {
  for (int i = 0; i < 5; ++i) lives.put(*ledger, "k" + std::to_string(i), i < 3 ? "x" : "y");
  Lives::settle(*ledger, *known("k1").operation, State::confirmed);
  const auto reader = ledger->open_reader().value();
  ListQuery query;
  query.target = "x";
  query.limit = 2;
  auto page = reader->list(query).value();
  ASSERT_EQ(page.operations.size(), 2U);
  EXPECT_EQ(page.operations.front().identity.key, "k2");
  EXPECT_TRUE(page.more);
  query.before = page.operations.back().id;
  page = reader->list(query).value();
  ASSERT_EQ(page.operations.size(), 1U);
  EXPECT_EQ(page.operations.front().identity.key, "k0");
  EXPECT_FALSE(page.more);
  ListQuery confirmed;
  confirmed.status = Status::confirmed;
  EXPECT_EQ(reader->list(confirmed)->operations.size(), 1U);
  ListQuery key;
  key.key = "k4";
  EXPECT_EQ(reader->list(key)->operations.size(), 1U);
}

inline std::vector<std::string> keys_of(const DeadLetterPage& page) {
  std::vector<std::string> keys;
  for (const Operation& operation : page.operations) keys.push_back(operation.identity.key);
  return keys;
}

TEST_P(LedgerConformance, T8_dead_letters_are_what_reached_a_bound_oldest_first) {
  lives.put(*ledger, "open");
  Lives::settle(*ledger, lives.put(*ledger, "good"), State::confirmed);
  const Operation late = lives.put(*ledger, "first");
  Lives::settle(*ledger, lives.put(*ledger, "asks"), State::needs_action);
  Lives::fail(*ledger, lives.put(*ledger, "refused"), EffectKind::rejected_final);
  Lives::fail(*ledger, lives.put(*ledger, "last", "site"), EffectKind::not_sent);
  Lives::fail(*ledger, late, EffectKind::rejected_retryable, kStart + Duration{5'000});
  const auto reader = ledger->open_reader().value();
  using Keys = std::vector<std::string>;
  EXPECT_EQ(keys_of(*reader->dead_letters({})), (Keys{"first", "asks", "last"}));
  EXPECT_EQ(keys_of(*reader->dead_letters({.undecided = true})), Keys{"asks"});
  EXPECT_EQ(keys_of(*reader->dead_letters({.target = "site"})), Keys{"last"});
  EXPECT_EQ(keys_of(*reader->dead_letters({.cause = Cause::attempts_exhausted})),
            (Keys{"first", "last"}));
  EXPECT_EQ(keys_of(*reader->dead_letters({.ended_until = kStart})), (Keys{"asks", "last"}));
  EXPECT_EQ(keys_of(*reader->dead_letters({.type = "charge"})), Keys{});
  EXPECT_EQ(keys_of(*reader->dead_letters({.scopes = {"acme", "default"}})).size(), 3U);
  EXPECT_EQ(keys_of(*reader->dead_letters({.scopes = {"acme"}})), Keys{});
}

TEST_P(LedgerConformance, T8_pages_of_dead_letters_join_whatever_happens_in_between) {
  for (int i = 0; i < 7; ++i) {
    Lives::fail(*ledger, lives.put(*ledger, "k" + std::to_string(i)),
                i % 2 == 0 ? EffectKind::rejected_retryable : EffectKind::rejected_final);
  }
  const auto reader = ledger->open_reader().value();
  DeadLetterQuery query{.limit = 2};
  DeadLetterPage page = reader->dead_letters(query).value();
  EXPECT_EQ(keys_of(page), (std::vector<std::string>{"k0", "k2"}));
  ASSERT_NE(page.position, 0U);
  // What the page before ended with is no dead letter any more.
  Lives::retry(*ledger, *known("k2").operation);
  query.after = page.positions.front();
  EXPECT_EQ(keys_of(*reader->dead_letters(query)), (std::vector<std::string>{"k4", "k6"}));
  query.after = page.position;
  page = reader->dead_letters(query).value();
  EXPECT_EQ(keys_of(page), (std::vector<std::string>{"k4", "k6"}));
  EXPECT_EQ(page.position, 0U);
}

TEST_P(LedgerConformance, T8_a_page_of_dead_letters_looks_at_so_many_and_says_where_to_go_on) {
  for (int i = 0; i < 6; ++i) {
    Lives::fail(*ledger, lives.put(*ledger, "k" + std::to_string(i)),
                i == 5 ? EffectKind::not_sent : EffectKind::rejected_final);
  }
  const auto reader = ledger->open_reader().value();
  DeadLetterQuery query{.look_max = 4};
  DeadLetterPage page = reader->dead_letters(query).value();
  EXPECT_TRUE(page.operations.empty());
  ASSERT_NE(page.position, 0U);
  query.after = page.position;
  page = reader->dead_letters(query).value();
  EXPECT_EQ(keys_of(page), std::vector<std::string>{"k5"});
  EXPECT_EQ(page.position, 0U);
}

TEST_P(LedgerConformance, T8_the_log_says_how_often_it_ended_the_same) {
  Operation operation = lives.put(*ledger, "a");
  operation = Lives::fail(*ledger, operation, EffectKind::rejected_retryable);
  for (std::uint32_t times = 1; times < 4; ++times) {
    const auto log = ledger->open_reader().value()->events(operation.id).value();
    EXPECT_EQ(same_endings(log), times);
    EXPECT_GE(log.size(), events_of_endings(times));
    operation = Lives::retry(*ledger, operation);
    EXPECT_EQ(same_endings(ledger->open_reader().value()->events(operation.id).value()), times)
        << "that it was tried again is no end";
    operation = Lives::fail(*ledger, operation, EffectKind::rejected_retryable);
  }
}

TEST_P(LedgerConformance, C1_what_is_read_comes_with_the_position_that_it_is_of) {
  const auto reader = ledger->open_reader().value();
  EXPECT_EQ(ledger->newest().batch, 0U);
  EXPECT_EQ(reader->position()->batch, 0U);
  const Operation first = lives.put(*ledger, "a");
  const LedgerPosition after = ledger->newest();
  EXPECT_EQ(after.batch, 1U);
  EXPECT_NE(after.ledger, Uuid{});
  EXPECT_EQ(*reader->position(), after);
  EXPECT_TRUE(reader->find(first.id)->has_value());
  EXPECT_EQ(reader->seen(), after);
  Lives::settle(*ledger, first, State::confirmed);
  lives.put(*ledger, "b");
  EXPECT_EQ(reader->seen(), after) << "nothing was read since";
  EXPECT_EQ(reader->events(first.id)->size(), 5U);
  EXPECT_EQ(reader->seen(), (LedgerPosition{after.ledger, 3}));
  EXPECT_EQ(reader->seen(), ledger->newest());
  lives.put(*ledger, "c");
  ListQuery nobody;
  nobody.key = "nobody's";
  EXPECT_TRUE(reader->list(nobody)->operations.empty());
  EXPECT_EQ(reader->seen().batch, 4U) << "that nothing is found is of a moment as well";
  lives.put(*ledger, "d");
  EXPECT_FALSE(reader->find(OperationId{})->has_value());
  EXPECT_EQ(reader->seen().batch, 5U);
  EXPECT_TRUE(reader->events(OperationId{})->empty());
  EXPECT_EQ(reader->seen().batch, 5U);
  EXPECT_GE(*ledger->retire(kStart + Duration{60'000}, 10), 1U);
  EXPECT_EQ(*reader->position(), ledger->newest());
  EXPECT_EQ(reader->position()->ledger, after.ledger) << "the first operation is past retention";
}

TEST_P(LedgerConformance, a_list_of_several_scopes_is_one_snapshot_and_one_page) {
  for (const char* key : {"a", "b"}) lives.put(*ledger, key);
  const auto reader = ledger->open_reader().value();
  ListQuery query;
  query.scopes = {"acme", "default"};
  query.limit = 1;
  auto page = reader->list(query).value();
  ASSERT_EQ(page.operations.size(), 1U);
  EXPECT_EQ(page.operations.front().identity.key, "b");
  EXPECT_TRUE(page.more);
  query.scopes = {"acme", "umbrella"};
  EXPECT_TRUE(reader->list(query)->operations.empty());
}

TEST_P(LedgerConformance, counts_are_right_whatever_was_retired) {
  lives.put(*ledger, "open");
  for (int i = 0; i < 5; ++i) {
    Lives::settle(*ledger, lives.put(*ledger, "k" + std::to_string(i)), State::confirmed);
  }
  ASSERT_EQ(*ledger->retire(kStart + Duration{60'000}, 10), 5U);
  const Counts counts = ledger->open_reader().value()->counts().value();
  EXPECT_EQ(counts.operations, 1U);
  EXPECT_EQ(counts.open, 1U);
  EXPECT_EQ(counts.tombstones, 5U);
}

TEST_P(LedgerConformance, T3_past_retention_a_tombstone_stands_for_the_identity) {
  const Operation done = Lives::settle(*ledger, lives.put(*ledger, "a"), State::confirmed);
  lives.put(*ledger, "open");
  EXPECT_EQ(*ledger->retire(kStart + Duration{59'999}, 10), 0U);
  EXPECT_EQ(*ledger->retire(kStart + Duration{60'000}, 10), 1U);
  const Known after = known("a");
  EXPECT_FALSE(after.operation);
  ASSERT_TRUE(after.tombstone);
  EXPECT_EQ(after.tombstone->id, done.id);
  EXPECT_EQ(after.tombstone->fingerprint, done.fingerprint);
  EXPECT_EQ(after.tombstone->state, State::confirmed);
  EXPECT_FALSE(*ledger->open_reader().value()->find(done.id));
  EXPECT_TRUE(known("open").operation);
  std::vector<Event> again;
  const Operation twin = lives.accept("a", again);
  EXPECT_EQ(ledger->commit({{Lives::change(twin, again, true)}, kStart}).outcome,
            CommitOutcome::conflict);
  EXPECT_TRUE(known("a").tombstone);
  lives.put(*ledger, "after");
}

}  // namespace trued::test
