// A ledger that is called by another name is the same ledger.
#include "ledger/sqlite/locate.h"

#include <filesystem>

#include "ledger/sqlite/sqlite_test_support.h"

namespace trued::test {
namespace {

namespace fs = std::filesystem;

void expect_in_use(const std::string& path) {
  const auto second = SqliteLedger::open({.path = path});
  ASSERT_FALSE(second.has_value()) << path;
  EXPECT_EQ(second.error().code, ErrorCode::already_exists) << path;
  EXPECT_NE(second.error().message.find("in use by process " + std::to_string(::getpid())),
            std::string::npos)
      << second.error().message;
}

TEST(Locate, T3_a_second_owner_is_refused_whatever_it_calls_the_ledger) {
  const Folder folder;
  const Folder other;
  const auto owner = folder.open();
  fs::create_symlink(folder.file(), other.path + "/absolute.db");
  fs::create_symlink("ledger.db", folder.path + "/relative.db");
  fs::create_symlink("absolute.db", other.path + "/twice.db");
  fs::create_directory_symlink(folder.path, other.path + "/folder");
  expect_in_use(other.path + "/absolute.db");
  expect_in_use(folder.path + "/relative.db");
  expect_in_use(other.path + "/twice.db");
  expect_in_use(other.path + "/folder/ledger.db");
  expect_in_use(fs::relative(folder.file()).string());
}

TEST(Locate, T3_a_link_that_was_there_before_its_ledger_leads_to_the_same_lock) {
  const Folder folder;
  const std::string link = folder.path + "/link.db";
  fs::create_symlink("ledger.db", link);
  const auto owner = std::move(SqliteLedger::open({.path = link})).value();
  EXPECT_TRUE(fs::exists(folder.file()));
  EXPECT_FALSE(fs::exists(link + ".lock"));
  expect_in_use(folder.file());
}

TEST(Locate, T3_a_ledger_of_several_names_is_refused_by_who_comes_from_outside) {
  const Folder folder;
  const auto owner = folder.open();
  Lives lives;
  lives.put(*owner, "before");
  const std::string other = folder.path + "/other.db";
  fs::create_hard_link(folder.file(), other);
  for (const std::string& name : {other, folder.file()}) {
    const auto refused = [](const Error& error) {
      EXPECT_EQ(error.code, ErrorCode::unavailable);
      EXPECT_NE(error.message.find("2 names (hard links)"), std::string::npos) << error.message;
    };
    refused(SqliteLedger::open({.path = name}).error());
    refused(open_sqlite_reader(name).error());
    refused(audit_sqlite(name, {}).error());
    refused(backup_sqlite(name, folder.path + "/copy.db", {}).error());
  }
  EXPECT_FALSE(fs::exists(other + "-wal"));
  // The owner knows which name it uses.
  EXPECT_EQ(owner->open_reader().value()->counts().value().operations, 1U);
  lives.put(*owner, "after");
  fs::remove(other);
  EXPECT_EQ(folder.audit(), "");
}

TEST(Locate, T11_who_reads_through_a_link_reads_the_log_too) {
  const Folder folder;
  const auto owner = folder.open();
  Lives lives;
  lives.put(*owner, "in the log");
  const Folder other;
  const std::string link = other.path + "/link.db";
  fs::create_symlink(folder.file(), link);
  EXPECT_EQ(audit_sqlite(link, {}).value().operations, 1U);
  ASSERT_TRUE(backup_sqlite(link, other.path + "/copy.db", {}).has_value());
  EXPECT_EQ(audit_sqlite(other.path + "/copy.db", {}).value().operations, 1U);
  EXPECT_EQ(open_sqlite_reader(link).value()->counts().value().operations, 1U);
}

TEST(Locate, what_cannot_be_resolved_is_left_to_who_opens_it) {
  const Folder folder;
  const std::string nowhere = folder.path + "/nosuch/ledger.db";
  EXPECT_EQ(sqlite::locate(nowhere).value(), nowhere);
  fs::create_symlink("round.db", folder.path + "/round.db");
  EXPECT_TRUE(sqlite::locate(folder.path + "/round.db").has_value());
  EXPECT_FALSE(SqliteLedger::open({.path = folder.path + "/round.db"}).has_value());
}

}  // namespace
}  // namespace trued::test
