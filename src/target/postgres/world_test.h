// world_test.h: a database with things in it, and targets onto it.
#pragma once

#include <charconv>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "json/parse.h"
#include "pg/server_test.h"
#include "pg/text.h"
#include "target/postgres/install.h"
#include "target/postgres/postgres_target.h"

namespace trued {

inline json::Value json_of(const std::string& text) {
  auto value = json::parse(text);
  EXPECT_TRUE(value.has_value()) << text;
  return std::move(value).value();
}

/// Counts itself as one execution on `name`, and sets its value.
inline json::Value put(const std::string& name, const std::string& value) {
  const std::string text = R"j({"statements": [
      {"sql": "INSERT INTO execution (name) VALUES ($1)", "params": ["@N"]},
      {"sql": "INSERT INTO thing VALUES ($1, $2) ON CONFLICT (name) DO UPDATE)j"
                           R"j( SET value = $2 RETURNING name, value",
       "params": ["@N", "@V"]}]})j";
  return json_of(pg::replaced(pg::replaced(text, "@N", name), "@V", value));
}

class PostgresWorld {
 public:
  explicit PostgresWorld(std::vector<std::string> settings = {"fsync=off"})
      : server_(std::move(settings)) {
    const auto done = install_marker_table(spec(), Duration{10'000});
    EXPECT_TRUE(done.has_value()) << done.error().message;
    pg::Session app = server_.session("app");
    pg::PostgresServer::value(app,
                              "CREATE TABLE thing (name text PRIMARY KEY, value text);"
                              "CREATE TABLE execution (id bigserial, name text);");
  }

  [[nodiscard]] pg::PostgresServer& server() { return server_; }
  [[nodiscard]] PostgresSpec spec() const {
    PostgresSpec spec;
    spec.url = server_.url();
    return spec;
  }
  [[nodiscard]] std::unique_ptr<PostgresTarget> target(
      const std::function<void(PostgresSpec&)>& change = [](PostgresSpec&) {}) const {
    PostgresSpec one = spec();
    change(one);
    auto opened = PostgresTarget::open(one);
    EXPECT_TRUE(opened.has_value());
    return std::move(opened).value();
  }
  /// As somebody else sees it.
  [[nodiscard]] int executions(const std::string& name) const {
    const std::string count =
        server_.sql("SELECT count(*) FROM execution WHERE name = '" + name + "'");
    int number = -1;
    (void)std::from_chars(count.data(), count.data() + count.size(), number);
    return number;
  }

 private:
  pg::PostgresServer server_;
};

/// Attempt `attempt` of an operation.
inline Call call_of(const std::string& identity, json::Value request, std::uint32_t attempt = 1,
                    Duration timeout = Duration{10'000}) {
  Call call;
  call.context.operation = OperationId(Uuid{});
  call.context.attempt = AttemptNo(attempt);
  call.context.identity = identity;
  call.context.actor = "tester";
  call.context.timeout = timeout;
  call.request = std::move(request);
  return call;
}

}  // namespace trued
