#include "pg/proxy_test.h"
#include "pg/server_test.h"
#include "target/call_conformance.h"
#include "target/postgres/postgres_target.h"
#include "target/postgres/world_test.h"

namespace trued {
namespace {

class PostgresCallWorld final : public CallWorld {
 public:
  PostgresCallWorld()
      : world_(shared()),
        proxy_(world_.server().port()),
        target_(world_.target([&](PostgresSpec& spec) {
          spec.url = world_.server().url("app", "", proxy_.port());
          spec.statement_timeout = Duration{500};
          spec.pool_max = 4;
        })) {}

  CallTarget& target() override { return *target_; }
  json::Value effect(const std::string& name, const std::string& value) override {
    return put(name, value);
  }
  json::Value read(const std::string& name) override {
    return json::parse(R"({"sql": "SELECT value FROM thing WHERE name = $1", "single": true,
                           "params": [")" +
                       name + "\"]}")
        .value();
  }
  int executions(const std::string& name) override { return world_.executions(name); }

  bool arrange(Trouble trouble) override {
    blocker_.reset();
    world_.server().sql("ALTER TABLE execution DROP CONSTRAINT IF EXISTS never");
    proxy_.cut(pg::Cut::none);
    switch (trouble) {
      case Trouble::none:
        break;
      case Trouble::unreachable:
        proxy_.cut(pg::Cut::refuse);
        break;
      case Trouble::refused_final:
        world_.server().sql("ALTER TABLE execution ADD CONSTRAINT never CHECK (false) NOT VALID");
        break;
      case Trouble::refused_for_now:
        blocker_ = std::make_unique<pg::Session>(world_.server().session());
        EXPECT_EQ(pg::PostgresServer::value(*blocker_, "BEGIN; LOCK TABLE thing"), "");
        break;
      case Trouble::lost_before:
        proxy_.cut(pg::Cut::drop_before, "BEGIN");
        break;
      case Trouble::lost_after:
        proxy_.cut(pg::Cut::drop_after);
        break;
      case Trouble::hang_before:
        proxy_.cut(pg::Cut::hold, "BEGIN");
        break;
      case Trouble::hang_after:
        proxy_.cut(pg::Cut::hang_after);
        break;
      case Trouble::garbage_after:
        proxy_.cut(pg::Cut::garbage_after);
        break;
    }
    return true;
  }

  std::optional<bool> was_told(const std::string& identity) override {
    return world_.server().sql("SELECT count(*) FROM trued_marker WHERE identity = '" + identity +
                               "'") == "1";
  }
  std::vector<json::Value> effect_templates() override {
    return {json_of(R"j({"sql": "INSERT INTO t VALUES ($1)", "params": ["${input.a}"]})j"),
            json_of(R"j({"sql": "INSERT INTO t SELECT $1, $2", "params": "${input.list}"})j"),
            json_of(R"j({"statements": [{"sql": "DELETE FROM t", "expect_rows": "${input.n}"}],
                        "isolation": "serializable"})j")};
  }
  std::vector<json::Value> read_templates() override {
    return {json_of(R"j({"sql": "TABLE t"})j"),
            json_of(R"j({"sql": "SELECT a FROM t WHERE b = $1", "params": ["${input.b}"]})j")};
  }
  std::vector<BadCall> bad_effects() override {
    std::vector<BadCall> bad;
    const auto add = [&](const char* text, const char* pointer) {
      bad.push_back({json_of(text), pointer});
    };
    add(R"j({"sql": "DELETE FROM t WHERE a = '${input.a}'"})j", "/sql");
    add(R"j({"sql": "DELETE FROM t; DELETE FROM u"})j", "/sql");
    add(R"j({"sql": "COMMIT"})j", "/sql");
    add(R"j({"sql": "/* x */ set timezone = 'UTC'"})j", "/sql");
    add(R"j({"sql": "INSERT INTO t VALUES ('a)"})j", "/sql");
    add(R"j({"sql": " -- nothing"})j", "/sql");
    add(R"j({"sql": "DELETE FROM t WHERE a = $1"})j", "/params");
    add(R"j({"sql": "DELETE FROM t WHERE a = $1", "params": [1, 2]})j", "/params/1");
    add(R"j({"sql": "DELETE FROM t", "expect_row": 1})j", "/expect_row");
    add(R"j({"sql": "DELETE FROM t", "expect_rows": -1})j", "/expect_rows");
    add(R"j({"sql": "DELETE FROM t", "isolation": "none"})j", "/isolation");
    add(R"j({"statements": []})j", "/statements");
    add(R"j({"statements": [{"sql": "DELETE FROM t"}, {"sq": "x"}]})j", "/statements/1/sq");
    return bad;
  }
  std::vector<BadCall> bad_reads() override {
    std::vector<BadCall> bad;
    bad.push_back({json_of(R"j({"sql": "DELETE FROM t"})j"), "/sql"});
    bad.push_back({json_of(R"j({"sql": "SELECT ${input.a}"})j"), "/sql"});
    bad.push_back({json_of(R"j({"sql": "SELECT 1", "params": [1]})j"), "/params/0"});
    bad.push_back({json_of(R"j({"sql": "SELECT 1", "single": "yes"})j"), "/single"});
    bad.push_back({json_of(R"j({"sql": "SELECT 1", "singel": true})j"), "/singel"});
    return bad;
  }

 private:
  // One server for all tests of a process; each finds it empty.
  static PostgresWorld& shared() {
    static PostgresWorld world;
    world.server().sql("TRUNCATE thing, execution, trued_marker");
    return world;
  }

  PostgresWorld& world_;
  pg::Proxy proxy_;
  std::unique_ptr<PostgresTarget> target_;
  std::unique_ptr<pg::Session> blocker_;
};

INSTANTIATE_TEST_SUITE_P(Postgres, CallConformance,
                         testing::Values(CallConformanceCase{
                             "postgres", [] { return std::make_unique<PostgresCallWorld>(); }}),
                         call_conformance_name);

}  // namespace
}  // namespace trued
