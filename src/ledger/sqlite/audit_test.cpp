// That the audit finds what was done to a ledger past the program.
#include "ledger/sqlite/log_base.h"
#include "ledger/sqlite/sqlite_test_support.h"

namespace trued::test {
namespace {

// Operations settled, open and retired, the first of them with the beginning of the log dropped:
// every table has a row.
void fill(const Folder& folder) {
  const auto ledger = folder.open();
  Lives lives;
  Lives::settle(*ledger, lives.put(*ledger, "zero"), State::confirmed);
  ASSERT_EQ(*ledger->retire(kStart + Duration{60'000}, 10), 1U);
  Lives::settle(*ledger, lives.put(*ledger, "first"), State::confirmed);
  ASSERT_EQ(*ledger->retire(kStart + Duration{60'000}, 10), 1U);
  Lives::settle(*ledger, lives.put(*ledger, "second"), State::confirmed);
  lives.put(*ledger, "third");
}

// Computes the chain anew over whatever the records say now.
void rechain(const std::string& file) {
  const auto connection = std::move(sqlite::Connection::open(file, true)).value();
  Digest previous = sqlite::read_base(*connection).value().hash;
  auto batches = connection->prepare("SELECT no, at FROM batch ORDER BY no").value();
  auto records = connection
                     ->prepare(
                         "SELECT sequence, operation, at, body, digest FROM record "
                         "WHERE batch=?1 ORDER BY sequence")
                     .value();
  auto store = connection->prepare("UPDATE batch SET hash=?2 WHERE no=?1").value();
  while (batches.step() == SQLITE_ROW) {
    BatchHash hash(previous, batches.unsigned_integer(0), batches.moment(1));
    records.bind(1, batches.unsigned_integer(0));
    while (records.step() == SQLITE_ROW) {
      hash.add(records.is_null(3)
                   ? *digest_of(records.bytes(4))
                   : record_digest(records.unsigned_integer(0), records.unsigned_integer(1),
                                   records.moment(2), records.bytes(3)));
    }
    records.reset();
    previous = hash.finish();
    store.bind(1, batches.unsigned_integer(0)).bind_blob(2, blob_of(previous));
    ASSERT_EQ(store.step(), SQLITE_DONE);
    store.reset();
  }
}

TEST(Audit, T11_the_audit_names_whatever_was_changed) {
  const char* changes[] = {
      "UPDATE record SET body=CAST(substr(body,1,9)||x'3f'||substr(body,11) AS BLOB) WHERE "
      "sequence=(SELECT last FROM operation WHERE key='second')",
      "UPDATE record SET at=at+1 WHERE sequence=(SELECT max(sequence) FROM record)",
      "DELETE FROM record WHERE sequence=(SELECT max(sequence) FROM record)",
      "UPDATE batch SET hash=zeroblob(32) WHERE no=(SELECT max(no) FROM batch)",
      "DELETE FROM batch WHERE no=(SELECT min(no)+1 FROM batch)",
      "UPDATE operation SET state=4 WHERE key='third'",
      "UPDATE operation SET body=CAST(substr(body,1,34)||'other'||substr(body,40) AS BLOB)",
      "UPDATE operation SET key='other' WHERE key='second'",
      "UPDATE operation SET expires_at=0 WHERE key='second'",
      "UPDATE operation SET identity=zeroblob(16) WHERE key='second'",
      "DELETE FROM operation WHERE key='third'",
      "UPDATE intent SET body=replace(body,'third','THIRD') WHERE body LIKE '%third%'",
      "DELETE FROM intent WHERE body LIKE '%third%'",
      "DELETE FROM tombstone",
      "UPDATE tombstone SET state=8",
      "UPDATE tombstone SET fingerprint=zeroblob(32)",
      "UPDATE tombstone SET settled_at=settled_at+1",
      "UPDATE tombstone SET retired_at=retired_at+1",
      "UPDATE tombstone SET identity=zeroblob(16) WHERE operation=2",
      "UPDATE tombstone SET id=zeroblob(16)",
      "UPDATE tombstone SET operation=operation+100",
      "UPDATE tombstone SET record=record+1",
      "UPDATE record SET body=NULL, digest=zeroblob(32) WHERE sequence="
      "(SELECT last FROM operation WHERE key='third')",
      "UPDATE record SET previous=0",
      "UPDATE base SET batch=batch+1",
      "UPDATE base SET tombs=zeroblob(32)",
      "DELETE FROM base",
      "CREATE TRIGGER t AFTER INSERT ON record BEGIN DELETE FROM record; END",
      "CREATE VIEW v AS SELECT 1",
      "CREATE UNIQUE INDEX one_scope ON operation(scope, state)",
      "DROP INDEX operation_expiry",
      "DROP INDEX operation_attention",
      "DROP TABLE intent",
      "DROP TABLE batch",
      "PRAGMA user_version=0",
      "PRAGMA user_version=1",
      "PRAGMA user_version=2",
      "UPDATE record SET digest=randomblob(32) WHERE sequence=(SELECT max(sequence) FROM record)",
      "UPDATE record SET digest=x'00' WHERE body IS NOT NULL",
  };
  for (const char* change : changes) {
    const Folder folder;
    fill(folder);
    run_sql(folder.file(), change);
    const auto report = audit_sqlite(folder.file(), {});
    ASSERT_TRUE(report.has_value()) << change;
    EXPECT_TRUE(report->first.has_value()) << change;
  }
}

// Which of them was changed cannot be told; that they do not go together can.
TEST(Audit, T11_a_version_that_is_not_that_of_the_tables_is_found) {
  for (const char* version : {"-1", "0", "1", "2"}) {
    const Folder folder;
    fill(folder);
    run_sql(folder.file(), std::string("PRAGMA user_version=") + version);
    EXPECT_EQ(folder.audit(), std::string("schema: the file says ") + version +
                                  ", its tables are those of version 3 or 4");
  }
  const Folder older;
  older.restore("schema_v2");
  run_sql(older.file(), "PRAGMA user_version=3");
  EXPECT_EQ(older.audit(), "schema: the file says 3, its tables are those of version 2");
}

TEST(Audit, T11_a_missing_index_is_named) {
  const Folder folder;
  fill(folder);
  run_sql(folder.file(), "DROP INDEX operation_expiry");
  const auto report = audit_sqlite(folder.file(), {});
  ASSERT_TRUE(report.has_value() && report->first);
  EXPECT_EQ(report->first->where, "operation_expiry");
  EXPECT_NE(report->first->detail.find("missing"), std::string::npos) << report->first->detail;
}

// Tools that replicate a database keep tables of their own in it; statistics are SQLite's. How
// often the file was opened is a counter on which nothing rests.
TEST(Audit, what_does_nothing_to_a_ledger_is_no_finding) {
  for (const char* change : {"CREATE TABLE _replica(id INTEGER PRIMARY KEY, at INTEGER); "
                             "CREATE INDEX _replica_at ON _replica(at)",
                             "ANALYZE", "VACUUM", "UPDATE base SET opened=opened+1"}) {
    const Folder folder;
    fill(folder);
    run_sql(folder.file(), change);
    EXPECT_EQ(folder.audit(), "") << change;
  }
}

TEST(Audit, T11_a_ledger_that_was_cut_off_is_a_finding) {
  const Folder folder;
  fill(folder);
  const auto size = std::filesystem::file_size(folder.file());
  for (const std::uintmax_t left :
       {size - 1, size - 4'096, size / 2, std::uintmax_t{4'096}, std::uintmax_t{1'000}}) {
    const Folder cut;
    std::filesystem::copy_file(folder.file(), cut.file());
    std::filesystem::resize_file(cut.file(), left);
    EXPECT_TRUE(cut.audit().starts_with("file: ")) << left << ": " << cut.audit();
  }
}

TEST(Audit, T11_every_flipped_character_of_the_log_is_found) {
  for (int at = 1; at < 150; at += 5) {
    const Folder folder;
    fill(folder);
    const std::string before = std::to_string(at - 1);
    const std::string here = std::to_string(at);
    run_sql(folder.file(),
            "UPDATE record SET body=CAST(substr(body,1," + before + ")||CASE substr(body," + here +
                ",1) WHEN x'05' THEN x'06' ELSE x'05' END||substr(body," + std::to_string(at + 1) +
                ") AS BLOB) WHERE sequence=(SELECT max(sequence) FROM record WHERE "
                "length(body)>" +
                here + " AND operation > 0 AND typeof(body)='blob')");
    const auto report = audit_sqlite(folder.file(), {});
    ASSERT_TRUE(report.has_value()) << at;
    EXPECT_TRUE(report->first.has_value()) << at;
  }
}

TEST(Audit, T11_a_tombstone_older_than_the_log_is_still_protected) {
  for (const char* change :
       {"UPDATE tombstone SET state=8 WHERE operation=1", "DELETE FROM tombstone WHERE operation=1",
        "UPDATE tombstone SET fingerprint=zeroblob(32) WHERE operation=1",
        "UPDATE tombstone SET identity=zeroblob(16) WHERE operation=1",
        "UPDATE tombstone SET id=zeroblob(16) WHERE operation=1",
        "UPDATE tombstone SET settled_at=settled_at-1 WHERE operation=1",
        "UPDATE tombstone SET retired_at=retired_at-1 WHERE operation=1",
        "UPDATE tombstone SET operation=100 WHERE operation=1",
        "UPDATE tombstone SET record=record-1 WHERE operation=1",
        "UPDATE tombstone SET record=1 WHERE operation=2"}) {
    const Folder folder;
    fill(folder);
    EXPECT_EQ(folder.audit(), "");
    run_sql(folder.file(), change);
    EXPECT_NE(folder.audit(), "") << change;
  }
}

TEST(Audit, T11_a_row_set_back_to_an_earlier_state_is_found) {
  const Folder folder;
  std::string earlier;
  {
    const auto ledger = folder.open();
    Lives lives;
    const Operation open = lives.put(*ledger, "a");
    earlier = encode_row(open);
    Lives::settle(*ledger, open, State::confirmed);
  }
  run_sql(folder.file(), "UPDATE operation SET state=1, expires_at=NULL, last=1, body=" +
                             blob_literal(earlier) + " WHERE key='a'");
  EXPECT_NE(folder.audit().find("its row does not know of it"), std::string::npos)
      << folder.audit();
}

TEST(Audit, T11_an_operation_erased_as_if_it_had_been_retired_is_found) {
  const Folder folder;
  fill(folder);
  sqlite3* handle = nullptr;
  ASSERT_EQ(sqlite3_open(folder.file().c_str(), &handle), SQLITE_OK);
  sqlite3_stmt* statement = nullptr;
  sqlite3_prepare_v2(handle,
                     "SELECT sequence, operation, at, body FROM record WHERE operation="
                     "(SELECT no FROM operation WHERE key='third')",
                     -1, &statement, nullptr);
  ASSERT_EQ(sqlite3_step(statement), SQLITE_ROW);
  const auto number = [&](int column) { return sqlite3_column_int64(statement, column); };
  const std::string body(static_cast<const char*>(sqlite3_column_blob(statement, 3)),
                         static_cast<std::size_t>(sqlite3_column_bytes(statement, 3)));
  const Digest digest =
      record_digest(static_cast<std::uint64_t>(number(0)), static_cast<std::uint64_t>(number(1)),
                    WallTime(Duration(number(2))), body);
  const std::string sequence = std::to_string(number(0));
  sqlite3_finalize(statement);
  sqlite3_close(handle);
  run_sql(folder.file(), "UPDATE record SET body=NULL, digest=x'" + digest.hex() +
                             "' WHERE sequence=" + sequence +
                             "; DELETE FROM intent WHERE no=(SELECT no FROM operation WHERE "
                             "key='third'); DELETE FROM operation WHERE key='third'");
  EXPECT_NE(folder.audit().find("was never retired"), std::string::npos) << folder.audit();
}

TEST(Audit, T11_a_beginning_that_was_cut_off_is_found_even_if_the_base_was_adapted) {
  const Folder folder;
  fill(folder);
  run_sql(folder.file(),
          "UPDATE base SET hash=(SELECT hash FROM batch WHERE no=(SELECT max(no) FROM batch)-1), "
          "batch=(SELECT max(no) FROM batch)-1, sequence=(SELECT max(sequence) FROM record);"
          "DELETE FROM record WHERE sequence < (SELECT sequence FROM base);"
          "DELETE FROM batch WHERE no <= (SELECT batch FROM base);"
          "DELETE FROM intent WHERE no=(SELECT no FROM operation WHERE key='second');"
          "DELETE FROM operation WHERE key='second'");
  EXPECT_NE(folder.audit().find("begins with"), std::string::npos) << folder.audit();
}

TEST(Audit, T11_an_index_that_lost_an_entry_is_found) {
  const Folder folder;
  fill(folder);
  run_sql(folder.file(),
          "PRAGMA writable_schema=1; UPDATE sqlite_master SET sql=replace(sql, 'IS NOT NULL', "
          "'IS NOT NULL AND expires_at < 0') WHERE name='operation_expiry'");
  run_sql(folder.file(), "REINDEX operation_expiry");
  run_sql(folder.file(),
          "PRAGMA writable_schema=1; UPDATE sqlite_master SET sql=replace(sql, "
          "' AND expires_at < 0', '') WHERE name='operation_expiry'");
  EXPECT_NE(folder.audit().find("operation_expiry"), std::string::npos) << folder.audit();
}

// Whoever can write the file can compute the chain anew; then the events themselves must be sane.
TEST(Audit, T11_forged_events_that_cannot_follow_are_a_finding_and_no_crash) {
  const char* forged[] = {
      R"([{"e":"settled","state":"confirmed"}])",
      R"([{"e":"settled","state":"verifying"}])",
      R"([{"e":"effect_ended","n":7,"kind":"acknowledged"}])",
      R"([{"e":"recovered","n":2}])",
      R"([{"e":"read_back","n":1,"reads":[{"a":9,"s":"absent"}]}])",
      R"([{"e":"baseline_read","reads":[{"a":1,"s":"absent"}]}])",
      R"([{"e":"attempt_started","n":1,"by":1}])",
      R"([{"e":"accepted"}])",
      R"([{"e":"settled"}])",
      R"([{"e":"attempt_started","n":-1,"by":1}])",
      R"([{"e":"wait_scheduled","for":"read","at":9223372036854775807}])",
      R"([{"e":"no such event","n":1}])",
      R"([7])",
      R"({})",
      R"([)",
      "x'01070400000000'",  // settled: confirmed, again
      "x'010b02'",          // recovered: of another attempt
      "x'0102010900010000000000'",
      "x'01ff'",
      "x'02'",
  };
  for (const char* record : forged) {
    const Folder folder;
    fill(folder);
    const bool packed = std::string_view(record).starts_with("x'");
    const std::string body = packed ? record : "'" + std::string(record) + "'";
    run_sql(folder.file(), "UPDATE record SET body=" + body +
                               " WHERE sequence=(SELECT last FROM operation WHERE key='second')");
    rechain(folder.file());
    EXPECT_TRUE(folder.audit().starts_with("event: ")) << record << " -> " << folder.audit();
  }
}

}  // namespace
}  // namespace trued::test
