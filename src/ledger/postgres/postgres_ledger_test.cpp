#include "ledger/postgres/postgres_ledger.h"

#include "ledger/ledger_conformance.h"
#include "ledger/postgres/postgres_test_support.h"

namespace trued::test {
namespace {

std::unique_ptr<Ledger> scratch_ledger() { return Area().open(); }

INSTANTIATE_TEST_SUITE_P(Postgres, LedgerConformance, testing::Values(MakeLedger(&scratch_ledger)));

// Operations settled, open and retired, the first of them with the beginning of the log dropped:
// every table has a row.
void fill(Ledger& ledger, Lives& lives) {
  Lives::settle(ledger, lives.put(ledger, "zero"), State::confirmed);
  ASSERT_EQ(*ledger.retire(kStart + Duration{60'000}, 10), 1U);
  Lives::settle(ledger, lives.put(ledger, "first"), State::confirmed);
  ASSERT_EQ(*ledger.retire(kStart + Duration{60'000}, 10), 1U);
  Lives::settle(ledger, lives.put(ledger, "second"), State::confirmed);
  lives.put(ledger, "third");
}

std::string audit_of(const Area& area) {
  const auto report = audit_postgres(area.place(), {});
  if (!report.has_value()) return "error: " + report.error().message;
  if (report->first) return report->first->what + " " + report->first->where;
  return "";
}

TEST(PostgresLedger, T3_everything_is_there_for_the_next_node_and_the_chain_goes_on) {
  const Area area;
  Lives lives;
  {
    const auto ledger = area.open();
    fill(*ledger, lives);
  }
  const auto ledger = area.open();
  const auto known = ledger->load(std::vector<Identity>{
      {"default", "write", "second"}, {"default", "write", "none"}, {"default", "write", "zero"}});
  EXPECT_EQ(known->at(0).operation->state, State::confirmed);
  EXPECT_FALSE(known->at(1).operation || known->at(1).tombstone);
  EXPECT_EQ(known->at(2).tombstone->state, State::confirmed);
  lives.put(*ledger, "fourth");
  const auto report = audit_postgres(area.place(), {});
  ASSERT_TRUE(report.has_value()) << report.error().message;
  EXPECT_FALSE(report->first) << report->first->what << ": " << report->first->detail;
  EXPECT_EQ(report->operations, 3U);
  EXPECT_EQ(report->intents, 3U);
  EXPECT_EQ(report->tombstones, 2U);
}

TEST(PostgresLedger, T6_what_others_write_may_hold_any_byte) {
  const Area area;
  Lives lives;
  const auto ledger = area.open();
  const std::string odd("a\0b\"{},\\' \xff\n", 13);
  std::vector<Event> events;
  Operation operation = lives.accept(odd, events);
  ASSERT_EQ(ledger->commit({{Lives::change(operation, events, true)}, kStart}).outcome,
            CommitOutcome::committed);
  const auto known = ledger->load(std::vector<Identity>{operation.identity});
  EXPECT_EQ(known->front().operation->identity.key, odd);
  ListQuery query;
  query.key = odd;
  EXPECT_EQ(ledger->open_reader().value()->list(query)->operations.size(), 1U);
}

TEST(PostgresLedger, T6_a_large_batch_is_one_statement) {
  const Area area;
  Lives lives;
  const auto ledger = area.open();
  Batch batch;
  batch.at = kStart;
  for (int i = 0; i < 2'000; ++i) {
    std::vector<Event> events;
    Operation operation = lives.accept("k" + std::to_string(i), events);
    batch.changes.push_back(Lives::change(std::move(operation), std::move(events), true));
  }
  ASSERT_EQ(ledger->commit(batch).outcome, CommitOutcome::committed);
  std::size_t open = 0;
  ASSERT_TRUE(ledger->each_open([&](Operation&&) { ++open; }).has_value());
  EXPECT_EQ(open, 2'000U);
  EXPECT_EQ(audit_of(area), "");
}

TEST(PostgresLedger, T6_nothing_that_a_turn_does_walks_through_a_table) {
  const Area area;
  {
    Lives lives;
    const auto ledger = area.open();
    for (int i = 0; i < 40; ++i) {
      const std::string key = "k" + std::to_string(i);
      Operation operation = lives.put(*ledger, key);
      (void)ledger->load(std::vector<Identity>{operation.identity});
      (void)ledger->load(std::vector<OperationId>{operation.id});
      Lives::settle(*ledger, operation, State::confirmed);
    }
  }  // the server hears of what a connection did when that ends
  const std::string of = " FROM pg_stat_user_tables WHERE schemaname = '" + area.name() + "' AND " +
                         "relname IN ('operation', 'record', 'intent', 'batch', 'tombstone')";
  EXPECT_TRUE(server().wait_for("(SELECT sum(idx_scan) >= 120" + of + ")"));
  // Each index was made by one walk.
  EXPECT_EQ(area.sql("SELECT sum(seq_scan)" + of),
            area.sql("SELECT count(*) FROM pg_indexes WHERE schemaname = '" + area.name() +
                     "' AND tablename NOT IN ('head', 'holder', 'base', 'node', 'tenure')"));
}

TEST(PostgresLedger, T6_an_operation_that_is_not_there_is_not_changed) {
  const Area area;
  Lives lives;
  const auto ledger = area.open();
  std::vector<Event> events;
  const Operation unknown = lives.accept("unknown", events);
  EXPECT_EQ(ledger->commit({{Lives::change(unknown, events, false)}, kStart}).outcome,
            CommitOutcome::rolled_back);
  // Where the row is gone that the ledger knew, the whole batch is taken back.
  const Operation gone = lives.put(*ledger, "gone");
  area.sql("DELETE FROM @operation");
  std::vector<Event> more;
  const Operation fresh = lives.accept("fresh", more);
  EXPECT_EQ(ledger
                ->commit({{Lives::change(fresh, more, true),
                           Lives::change(gone, {WaitScheduled{}}, false)},
                          kStart})
                .outcome,
            CommitOutcome::rolled_back);
  EXPECT_EQ(area.sql("SELECT count(*) FROM @operation"), "0");
  EXPECT_EQ(area.sql("SELECT count(*) FROM @batch"), "1");
}

TEST(PostgresAudit, T11_the_audit_names_whatever_was_changed) {
  const Area area;
  {
    Lives lives;
    const auto ledger = area.open();
    fill(*ledger, lives);
  }
  ASSERT_EQ(audit_of(area), "");
  const std::pair<const char*, const char*> changes[] = {
      {"UPDATE @record SET body=set_byte(body, 9, 63) WHERE sequence=(SELECT max(last) FROM "
       "@operation)",
       "chain batch"},
      {"UPDATE @record SET at=at+1 WHERE sequence=(SELECT max(sequence) FROM @record)", "chain"},
      {"DELETE FROM @record WHERE sequence=(SELECT max(sequence) FROM @record)", "chain batch"},
      {"DELETE FROM @record WHERE sequence=(SELECT min(sequence)+1 FROM @record)", ""},
      {"UPDATE @batch SET hash='\\x00' WHERE no=(SELECT max(no) FROM @batch)", "chain batch"},
      {"DELETE FROM @batch WHERE no=(SELECT min(no)+1 FROM @batch)", "chain batch"},
      {"DELETE FROM @batch WHERE no=(SELECT max(no) FROM @batch)", "event record"},
      {"UPDATE @operation SET state=4 WHERE key='third'", "row"},
      {"UPDATE @operation SET state=77 WHERE key='third'", "row operation number"},
      {"UPDATE @operation SET body=set_byte(body, 40, 63)", ""},
      {"UPDATE @operation SET key='other' WHERE key='second'", "row"},
      {"UPDATE @operation SET expires_at=0 WHERE key='second'", "row"},
      {"UPDATE @operation SET identity='\\x00' WHERE key='second'", "row"},
      {"UPDATE @operation SET last=(SELECT previous FROM @record WHERE sequence=last) WHERE "
       "key='second'",
       "row"},
      {"DELETE FROM @operation WHERE key='third'", "row"},
      {"UPDATE @intent SET body=body||'\\x20' WHERE no=(SELECT max(no) FROM @intent)", "intent"},
      {"DELETE FROM @intent WHERE no=(SELECT max(no) FROM @intent)", "intent"},
      {"INSERT INTO @intent VALUES (99, '')", "intent operation number 99"},
      {"DELETE FROM @tombstone", "tombstone"},
      {"UPDATE @tombstone SET state=8", "tombstone"},
      {"UPDATE @tombstone SET fingerprint=decode(repeat('00', 32), 'hex')", "tombstone"},
      {"UPDATE @tombstone SET settled_at=settled_at+1", "tombstone"},
      {"UPDATE @tombstone SET retired_at=retired_at+1", "tombstone"},
      {"UPDATE @tombstone SET identity='\\x00' WHERE operation=2", "tombstone"},
      {"UPDATE @tombstone SET operation=operation+100", ""},
      {"UPDATE @record SET body=NULL, digest=decode(repeat('00', 32), 'hex') WHERE "
       "sequence=(SELECT last FROM @operation WHERE key='third')",
       "chain"},
      {"UPDATE @record SET previous=0", ""},
      {"UPDATE @record SET previous=sequence", ""},
      {"UPDATE @record SET digest='\\x00'", "event record"},
      {"UPDATE @base SET batch=batch+1", "chain batch"},
      {"UPDATE @base SET tombs=decode(repeat('00', 32), 'hex')", "chain base"},
      {"DELETE FROM @base", "chain base"},
      {"UPDATE @head SET batch=batch-1", "chain head"},
      {"UPDATE @head SET sequence=sequence-1", "chain head"},
      {"UPDATE @head SET operation=operation-1", "chain head"},
      {"DELETE FROM @head", "error"},
  };
  std::string keep;
  std::string put_back;
  for (const std::string table :
       {"head", "operation", "intent", "record", "batch", "tombstone", "base"}) {
    keep += "CREATE TABLE @kept_" + table + " AS TABLE @" + table + ";";
    put_back += "DELETE FROM @" + table + "; INSERT INTO @" + table + " TABLE @kept_" + table + ";";
  }
  EXPECT_EQ(area.sql(keep), "");
  for (const auto& [change, expected] : changes) {
    EXPECT_EQ(area.sql(change), "") << change;
    const std::string found = audit_of(area);
    EXPECT_NE(found, "") << change;
    EXPECT_TRUE(found.starts_with(expected)) << change << ": " << found;
    EXPECT_EQ(area.sql(put_back), "") << change;
    EXPECT_EQ(audit_of(area), "") << "after " << change;
  }
}

TEST(PostgresAudit, what_is_no_ledger_is_not_found) {
  const Area area;
  const auto missing = audit_postgres(area.place(), {});
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace trued::test
