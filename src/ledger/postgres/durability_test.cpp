#include "ledger/postgres/durability.h"

#include <gtest/gtest.h>

#include "ledger/postgres/postgres_test_support.h"

namespace trued::test {
namespace {

using postgres::durability_of;
using postgres::Settings;

std::string level(const std::string& commit, const std::string& names,
                  const std::string& fsync = "on", const std::string& pages = "on") {
  return durability_of({fsync, pages, commit, names, -1}).level;
}

TEST(PostgresDurability, it_promises_what_the_settings_give_and_no_more) {
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
  EXPECT_EQ(level("remote_apply", "any 2 (a, \"b,c\", d)"), "quorum");
  EXPECT_EQ(level("remote_write", "ANY 1 (a, b)"), "standby");
  EXPECT_EQ(level("on", "ANY 1 (a, b, c)"), "standby") << "2 of 4 are no majority";
  EXPECT_EQ(level("on", "ANY 1 (*)"), "standby") << "of how many, nobody knows";
}

TEST(PostgresDurability, it_says_when_those_that_are_waited_for_are_away) {
  const auto away = durability_of({"on", "on", "on", "ANY 2 (a, b, c)", 1});
  EXPECT_NE(away.sentence.find("only 1 streams"), std::string::npos) << away.sentence;
}

TEST(PostgresDurability, it_is_read_from_the_server_and_read_again) {
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

}  // namespace
}  // namespace trued::test
