// Ledgers of older and newer programs: read and copied as they are, brought forward after a copy.
#include "ledger/sqlite/schema.h"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <sys/resource.h>
#include <vector>

#include "ledger/sqlite/backup.h"
#include "ledger/sqlite/rows.h"
#include "ledger/sqlite/sqlite_test_support.h"

namespace trued::test {
namespace {

namespace fs = std::filesystem;

std::string content_of(const std::string& file) {
  std::ostringstream bytes;
  bytes << std::ifstream(file, std::ios::binary).rdbuf();
  return bytes.str();
}

class OlderLedger : public testing::TestWithParam<int> {
 protected:
  void SetUp() override { folder.restore("schema_v" + std::to_string(GetParam())); }

  std::unique_ptr<SqliteLedger> open() {
    return std::move(SqliteLedger::open(
                         {.path = folder.file(),
                          .notice = [this](const std::string& said) { notices.push_back(said); }}))
        .value();
  }
  [[nodiscard]] std::string saved() const {
    return folder.file() + ".v" + std::to_string(GetParam()) + "-backup";
  }
  int version_of(const std::string& file) {
    return sqlite::open_read_only(file, sqlite::Older::read).value().version;
  }

  Folder folder;
  std::vector<std::string> notices;
};

INSTANTIATE_TEST_SUITE_P(Schema, OlderLedger, testing::Values(1, 2, 3));

TEST_P(OlderLedger, T11_is_audited_as_it_is_and_not_changed) {
  const std::string before = content_of(folder.file());
  const auto report = audit_sqlite(folder.file(), {});
  ASSERT_TRUE(report.has_value()) << report.error().message;
  EXPECT_FALSE(report->first) << report->first->what << ": " << report->first->detail;
  EXPECT_EQ(report->schema, GetParam());
  EXPECT_EQ(report->tombstones, 2U);
  EXPECT_EQ(content_of(folder.file()), before);
}

TEST_P(OlderLedger, T11_changes_in_it_are_found_as_it_is) {
  for (const char* change :
       {"UPDATE record SET body=replace(body,'write','wrote') WHERE body IS NOT NULL",
        "UPDATE operation SET body=replace(body,'\"attempts\":','\"attempts\":1')",
        "DELETE FROM tombstone WHERE operation=3", "UPDATE batch SET hash=zeroblob(32)"}) {
    const Folder changed;
    changed.restore("schema_v" + std::to_string(GetParam()));
    run_sql(changed.file(), change);
    EXPECT_NE(changed.audit(), "") << change;
  }
}

TEST_P(OlderLedger, is_copied_as_it_is) {
  const std::string before = content_of(folder.file());
  const std::string copy = folder.path + "/copy.db";
  const auto bytes = backup_sqlite(folder.file(), copy, {});
  ASSERT_TRUE(bytes.has_value()) << bytes.error().message;
  EXPECT_EQ(version_of(copy), GetParam());
  EXPECT_EQ(Folder::audit_of(copy), "");
  EXPECT_EQ(content_of(folder.file()), before);
}

TEST_P(OlderLedger, T11_is_brought_forward_after_a_copy_was_saved_and_goes_on) {
  {
    const auto ledger = open();
    const auto known = ledger->load(std::vector<Identity>{{"default", "write", "open"},
                                                          {"default", "write", "first"},
                                                          {"default", "write", "second"}});
    EXPECT_FALSE(is_settled(known->at(0).operation->state) &&
                 known->at(0).operation->state != State::needs_action);
    EXPECT_EQ(known->at(1).tombstone->state, State::confirmed);
    EXPECT_EQ(known->at(2).tombstone->state, State::confirmed);
    Lives lives;
    for (int i = 0; i < 8; ++i) {
      std::vector<Event> unused;
      (void)lives.accept("spent" + std::to_string(i), unused);
    }
    Lives::settle(*ledger, lives.put(*ledger, "new"), State::confirmed);
    EXPECT_EQ(folder.audit(), "");
    ASSERT_GE(*ledger->retire(kStart + Duration{60'000}, 10), 1U);
    EXPECT_EQ(folder.audit(), "");
  }
  EXPECT_EQ(version_of(folder.file()), kLedgerSchema);
  EXPECT_EQ(version_of(saved()), GetParam());
  EXPECT_EQ(Folder::audit_of(saved()), "");
  ASSERT_EQ(notices.size(), 2U);
  EXPECT_NE(notices.at(0).find(saved()), std::string::npos) << notices.at(0);
  EXPECT_NE(notices.at(1).find("brought forward"), std::string::npos) << notices.at(1);
  notices.clear();
  (void)open();
  EXPECT_TRUE(notices.empty());
}

TEST_P(OlderLedger, T11_every_field_of_its_tombstones_can_be_proved_once_it_is_brought_forward) {
  (void)open();
  for (const char* change :
       {"state=8", "fingerprint=zeroblob(32)", "identity=zeroblob(16)", "id=zeroblob(16)",
        "settled_at=settled_at-1", "retired_at=retired_at-1", "operation=operation+100",
        "record=record-1"}) {
    for (const char* which : {"1", "3"}) {
      const Folder changed;
      fs::copy_file(folder.file(), changed.file());
      EXPECT_EQ(changed.audit(), "");
      run_sql(changed.file(),
              std::string("UPDATE tombstone SET ") + change + " WHERE operation=" + which);
      EXPECT_NE(changed.audit(), "") << change << " of " << which;
    }
  }
}

TEST_P(OlderLedger, an_earlier_copy_is_left_alone) {
  std::ofstream(saved()) << "mine";
  (void)open();
  EXPECT_EQ(content_of(saved()), "mine");
  ASSERT_EQ(notices.size(), 2U);
  EXPECT_NE(notices.at(0).find("there already"), std::string::npos) << notices.at(0);
  EXPECT_EQ(version_of(folder.file()), kLedgerSchema);
}

// The limit on a file's size stands for a disk that fills while the copy is made.
TEST_P(OlderLedger, T6_without_space_for_the_copy_nothing_is_changed) {
  const auto before = std::signal(SIGXFSZ, SIG_IGN);
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &limit), 0);
  rlimit small = limit;
  small.rlim_cur = 40'000;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto opened = SqliteLedger::open({.path = folder.file()});
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  (void)std::signal(SIGXFSZ, before);
  ASSERT_FALSE(opened.has_value());
  EXPECT_NE(opened.error().message.find("nothing was changed"), std::string::npos)
      << opened.error().message;
  EXPECT_EQ(version_of(folder.file()), GetParam());
  for (const auto& entry : fs::directory_iterator(folder.path)) {
    EXPECT_EQ(entry.path().string().find("backup"), std::string::npos) << entry.path();
  }
}

TEST(Schema, T6_a_lack_of_space_is_told_with_both_figures) {
  const Folder folder;
  EXPECT_TRUE(sqlite::check_space(folder.file(), 1).has_value());
  const auto lack = sqlite::check_space(folder.file(), std::numeric_limits<std::uint64_t>::max());
  ASSERT_FALSE(lack.has_value());
  EXPECT_NE(lack.error().message.find("18446744073709551615 bytes are needed"), std::string::npos)
      << lack.error().message;
}

// The evidence of a change made before is not overwritten by bringing the ledger forward.
TEST(Schema, T11_a_dropped_tombstone_changed_before_is_still_found_afterwards) {
  const Folder folder;
  folder.restore("schema_v2");
  run_sql(folder.file(), "UPDATE tombstone SET state=8 WHERE operation=1");
  EXPECT_NE(folder.audit(), "");
  (void)folder.open();
  EXPECT_NE(folder.audit(), "");
}

TEST(Schema, a_newer_one_is_refused_by_everything_and_left_alone) {
  const Folder folder;
  (void)folder.open();
  run_sql(folder.file(), "PRAGMA user_version=99");
  const std::string before = content_of(folder.file());
  const auto refused = [](const Error& error) {
    EXPECT_EQ(error.code, ErrorCode::unsupported);
    for (const char* word : {"version 99", "up to 4", "newer program"}) {
      EXPECT_NE(error.message.find(word), std::string::npos) << error.message;
    }
  };
  refused(SqliteLedger::open({.path = folder.file()}).error());
  refused(open_sqlite_reader(folder.file()).error());
  refused(audit_sqlite(folder.file(), {}).error());
  refused(backup_sqlite(folder.file(), folder.path + "/copy.db", {}).error());
  EXPECT_FALSE(fs::exists(folder.path + "/copy.db"));
  EXPECT_EQ(content_of(folder.file()), before);
}

// Whoever starts on, or counts, a ledger of millions looks at the few that are open.
TEST(Schema, what_is_open_is_found_and_written_through_its_index) {
  const Folder folder;
  (void)folder.open();
  const auto open = sqlite::open_read_only(folder.file(), sqlite::Older::refuse).value().connection;
  const auto says = [&](const std::string& sql, int column, const std::string& word) {
    auto plan = open->prepare(sql).value();
    bool found = false;
    while (plan.step() == SQLITE_ROW) found = found || plan.text(column).contains(word);
    return found;
  };
  for (const std::string& where :
       {std::string(kIsOpen), std::string("state = 9 AND ") + kInAttention}) {
    EXPECT_TRUE(says("EXPLAIN QUERY PLAN SELECT count(*) FROM operation WHERE " + where, 3,
                     "operation_attention"))
        << where;
  }
  EXPECT_FALSE(says("EXPLAIN UPDATE operation SET state=1, last=2 WHERE no=1", 1, "Ephemeral"));
}

TEST(Schema, a_file_that_holds_no_ledger_is_named_as_such_and_left_alone) {
  const auto refused = [](const std::string& what, const Error& error) {
    EXPECT_EQ(error.code, ErrorCode::invalid_argument) << what;
    EXPECT_NE(error.message.find("holds no ledger"), std::string::npos) << what << error.message;
  };
  const Folder folder;
  const auto at = [&](const std::string& name) { return folder.path + "/" + name; };
  std::ofstream(at("garbage")) << "garbage\n";
  std::ofstream(at("long")) << std::string(20'000, 'g');
  std::ofstream(at("empty")).close();
  fs::create_directory(at("directory"));
  run_sql(at("other"), "CREATE TABLE other(a)");
  run_sql(at("stamped"), "CREATE TABLE other(a); PRAGMA user_version=3");
  for (const char* name : {"garbage", "long", "empty", "directory", "other", "stamped"}) {
    const std::string before = content_of(at(name));
    refused(name, audit_sqlite(at(name), {}).error());
    refused(name, backup_sqlite(at(name), at("copy"), {}).error());
    refused(name, open_sqlite_reader(at(name)).error());
    EXPECT_EQ(content_of(at(name)), before) << name;
  }
  for (const char* name : {"garbage", "long", "directory"}) {
    refused(name, SqliteLedger::open({.path = at(name)}).error());
  }
  EXPECT_FALSE(fs::exists(at("copy")));
  EXPECT_EQ(audit_sqlite(at("nothing"), {}).error().code, ErrorCode::not_found);
}

// Bringing forward what is no ledger of that version would bury what was changed.
TEST(Schema, T11_a_ledger_with_another_version_than_its_tables_is_not_brought_forward) {
  for (const char* version : {"1", "2"}) {
    const Folder folder;
    (void)folder.open();
    run_sql(folder.file(), std::string("PRAGMA user_version=") + version);
    const std::string before = content_of(folder.file());
    const auto opened = SqliteLedger::open({.path = folder.file()});
    ASSERT_FALSE(opened.has_value());
    EXPECT_EQ(opened.error().code, ErrorCode::corrupt);
    EXPECT_NE(opened.error().message.find("its tables are those of version 3 or 4"),
              std::string::npos)
        << opened.error().message;
    EXPECT_EQ(content_of(folder.file()), before);
    EXPECT_FALSE(fs::exists(folder.file() + ".v" + version + "-backup"));
  }
}

}  // namespace
}  // namespace trued::test
