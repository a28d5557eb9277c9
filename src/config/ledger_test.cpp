#include <cstdlib>
#include <map>

#include <gtest/gtest.h>

#include "config/config.h"
#include "config/rules.h"

namespace trued::config {
namespace {

Rules rules() {
  Rules out;
  out.serving = [](const ServingSpec&) { return std::string(); };
  out.postgres = [](const PostgresSpec& spec) {
    std::vector<SpecFault> faults;
    if (spec.url.find("broken") != std::string::npos) faults.push_back({"url", "is broken"});
    return faults;
  };
  out.operations = [](const Config&) { return std::map<std::string, define::Faults>(); };
  return out;
}

std::string fault_of(const std::string& text) {
  const Loaded loaded = parse(text, "t.toml", rules());
  return loaded.faults.empty() ? "" : to_string(loaded.faults.front());
}

TEST(ConfigLedger, it_is_a_file_or_a_server) {
  Loaded loaded = parse("ledger = \"sqlite:/a/b.db\"\n", "t.toml", rules());
  ASSERT_TRUE(loaded.faults.empty());
  EXPECT_EQ(loaded.config.ledger, "/a/b.db");
  EXPECT_FALSE(loaded.config.shared_ledger);
  loaded = parse("ledger = \"postgresql://u@h1,h2/db?target_session_attrs=primary\"\n", "t.toml",
                 rules());
  ASSERT_TRUE(loaded.faults.empty());
  EXPECT_EQ(loaded.config.ledger, "");
  ASSERT_TRUE(loaded.config.shared_ledger);
  EXPECT_EQ(loaded.config.shared_ledger->url,
            "postgresql://u@h1,h2/db?target_session_attrs=primary");
  EXPECT_EQ(loaded.config.shared_ledger->schema, "trued");
  EXPECT_NE(fault_of("ledger = \"mysql://u@h/db\"\n").find("postgresql://"), std::string::npos);
  EXPECT_NE(fault_of("ledger = 5\n"), "");
}

TEST(ConfigLedger, a_table_says_all_of_it) {
  ::setenv("TRUED_TEST_LEDGER_PASSWORD", "s3cret-word", 1);
  const Loaded loaded = parse(
      "[ledger]\nurl = \"postgresql://u@h/db\"\npassword = \"${env:TRUED_TEST_LEDGER_PASSWORD}\"\n"
      "schema = \"mine\"\nlease = \"3s\"\n",
      "t.toml", rules());
  ASSERT_TRUE(loaded.faults.empty()) << to_string(loaded.faults.front());
  const SharedLedger& shared = *loaded.config.shared_ledger;
  EXPECT_EQ(shared.password, "s3cret-word");
  EXPECT_EQ(shared.schema, "mine");
  EXPECT_EQ(shared.lease, Duration{3'000});
  EXPECT_NE(fault_of("[ledger]\nschema = \"mine\"\n").find("is missing"), std::string::npos);
  EXPECT_NE(fault_of("[ledger]\nurl = \"mysql://h/d\"\n").find("sqlite:"), std::string::npos);
  EXPECT_NE(fault_of("[ledger]\nurl = \"postgresql://u@h/d\"\nlease = \"1ms\"\n").find("1s to 10m"),
            std::string::npos);
  EXPECT_NE(fault_of("[ledger]\nurl = \"postgresql://u@h/d\"\nleas = \"1s\"\n").find("'lease'"),
            std::string::npos);
  EXPECT_NE(fault_of("[ledger]\nurl = \"postgresql://broken\"\n").find("is broken"),
            std::string::npos);
}

TEST(ConfigLedger, C6_a_floor_is_one_of_four_words) {
  const std::string server = "[ledger]\nurl = \"postgresql://u@h/db\"\n";
  Loaded loaded = parse(server, "t.toml", rules());
  ASSERT_TRUE(loaded.faults.empty());
  EXPECT_EQ(loaded.config.minimum_durability, "none");
  for (const std::string& word : {"none", "fsync", "standby", "quorum"}) {
    loaded = parse(server + "minimum_durability = \"" + word + "\"\n", "t.toml", rules());
    ASSERT_TRUE(loaded.faults.empty()) << to_string(loaded.faults.front());
    EXPECT_EQ(loaded.config.minimum_durability, word);
  }
  const std::string fault = fault_of(server + "minimum_durability = \"memory\"\n");
  EXPECT_NE(fault.find("t.toml:3"), std::string::npos) << fault;
  EXPECT_NE(fault.find("\"quorum\", \"standby\", \"fsync\" or \"none\""), std::string::npos)
      << fault;
  EXPECT_NE(fault_of(server + "minimum_durability = 3\n"), "");
}

TEST(ConfigLedger, C6_a_file_has_no_floor_above_its_disk) {
  Loaded loaded = parse("[ledger]\nurl = \"sqlite:/a/b.db\"\nminimum_durability = \"fsync\"\n",
                        "t.toml", rules());
  ASSERT_TRUE(loaded.faults.empty()) << to_string(loaded.faults.front());
  EXPECT_EQ(loaded.config.ledger, "/a/b.db");
  EXPECT_FALSE(loaded.config.shared_ledger);
  loaded = parse("[ledger]\nminimum_durability = \"fsync\"\n", "t.toml", rules());
  ASSERT_TRUE(loaded.faults.empty()) << "where it usually is";
  EXPECT_EQ(loaded.config.ledger, "");
  for (const std::string& word : {"standby", "quorum"}) {
    const std::string fault = fault_of("[ledger]\nminimum_durability = \"" + word + "\"\n");
    EXPECT_NE(fault.find("can never be met by a ledger in a file"), std::string::npos) << fault;
    EXPECT_NE(fault.find("t.toml:2"), std::string::npos) << fault;
  }
  EXPECT_NE(fault_of("[ledger]\nurl = \"sqlite:/a.db\"\nlease = \"3s\"\n").find("is a file"),
            std::string::npos);
}

TEST(ConfigLedger, a_password_in_plain_sight_is_refused_and_not_repeated) {
  const std::string url = "postgresql://u:s3cret-word@h/db";
  for (const std::string& fault :
       {fault_of("ledger = \"" + url + "\"\n"), fault_of("[ledger]\nurl = \"" + url + "\"\n"),
        parse_ledger(url).error().message,
        parse_ledger("postgresql://h/db?password=s3cret-word").error().message}) {
    EXPECT_NE(fault.find("password"), std::string::npos) << fault;
    EXPECT_EQ(fault.find("s3cret-word"), std::string::npos) << fault;
  }
}

TEST(ConfigLedger, C1_replicas_are_a_list_or_tables_and_have_names) {
  ::setenv("TRUED_TEST_LEDGER_PASSWORD", "s3cret-word", 1);
  const std::string ledger = "[ledger]\nurl = \"postgresql://u@h/d\"\n";
  Loaded loaded = parse(ledger +
                            "replicas = [\"postgresql://u@r1/d\", \"postgresql://u@r2/d\"]\n"
                            "password = \"${env:TRUED_TEST_LEDGER_PASSWORD}\"\n"
                            "replica_wait = \"1s\"\n[ledger.replica.paris]\n"
                            "url = \"postgresql://u@r3/d\"\n",
                        "t.toml", rules());
  ASSERT_TRUE(loaded.faults.empty()) << to_string(loaded.faults.front());
  const SharedLedger& shared = *loaded.config.shared_ledger;
  EXPECT_EQ(shared.replica_wait, Duration{1'000});
  ASSERT_EQ(shared.replicas.size(), 3U);
  EXPECT_EQ(shared.replicas.at(0).name, "replica-1");
  EXPECT_EQ(shared.replicas.at(1).url, "postgresql://u@r2/d");
  EXPECT_EQ(shared.replicas.at(2).name, "paris");
  EXPECT_EQ(shared.replicas.at(2).password, "s3cret-word") << "the ledger's, where none is given";
  const std::string table = ledger + "[ledger.replica.";
  for (const auto& [text, said] : std::map<std::string, std::string>{
           {ledger + "replicas = [\"mysql://h\"]\n", "of a replica"},
           {ledger + "replicas = [\"postgresql://u:word@h/d\"]\n", "[ledger.replica.NAME]"},
           {ledger + "replicas = \"postgresql://u@h/d\"\n", "replicas"},
           {ledger + "replica_wait = \"1m\"\n", "0s to 10s"},
           {ledger + "[ledger.replica]\na = 1\n", "expected a table"},
           {table + "primary]\nurl = \"postgresql://u@h/d\"\n", "means the ledger itself"},
           {table + "\"a b\"]\nurl = \"postgresql://u@h/d\"\n", "1 to 64 characters"},
           {table + "a]\n", "of a replica"},
           {table + "a]\nurl = \"postgresql://u@h/d\"\nschema = \"x\"\n", "unknown key"},
           {table + "a]\nurl = \"postgresql://u@h/d\"\npassword = \"plain\"\n", "secret"},
           {ledger + "replicas = [\"postgresql://u@h/d\"]\n[ledger.replica.replica-1]\nurl = "
                     "\"postgresql://u@h/d\"\n",
            "two replicas"}}) {
    EXPECT_NE(fault_of(text).find(said), std::string::npos) << text << fault_of(text);
  }
}

}  // namespace
}  // namespace trued::config
