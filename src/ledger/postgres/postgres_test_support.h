// postgres_test_support.h: one PostgreSQL server for a test program, and ledgers on it. Tests only.
#pragma once

#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "ledger/ledger_test_support.h"
#include "ledger/postgres/postgres_ledger.h"
#include "ledger/postgres/postgres_tenure.h"
#include "pg/server_test.h"
#include "pg/text.h"

namespace trued::test {

inline pg::PostgresServer& server() {
  static pg::PostgresServer one;
  return one;
}

/// A schema of its own on a server.
class Area {
 public:
  explicit Area(pg::PostgresServer& on = server()) : server_(on) {
    static int number = 0;
    name_ = "ledger_" + std::to_string(++number);
  }
  [[nodiscard]] PostgresPlace place(int port = 0) const {
    return {.url = server_.url("app", "", port), .schema = name_};
  }
  [[nodiscard]] const std::string& name() const { return name_; }
  /// Runs SQL with every '@' standing for the schema; the first value.
  std::string sql(std::string text) const {
    return server_.sql(pg::replaced(std::move(text), "@", name_ + "."));
  }
  [[nodiscard]] std::unique_ptr<PostgresTenure> tenure(TenureOptions options = {}) const {
    return std::move(PostgresTenure::open(place(), std::move(options))).value();
  }
  /// Takes it over, whoever holds it.
  [[nodiscard]] Claim seize() const {
    const auto mine = tenure();
    sql("UPDATE @holder SET released = true");
    EXPECT_TRUE(mine->try_take().value());
    return mine->claim();
  }
  [[nodiscard]] std::unique_ptr<PostgresLedger> open(const Claim& claim, int port = 0,
                                                     Duration call_max = Duration{10'000}) const {
    auto opened = PostgresLedger::open(
        {.place = place(port), .claim = claim, .call_max = call_max, .page_rows = 2});
    EXPECT_TRUE(opened.has_value()) << (opened.has_value() ? "" : opened.error().message);
    return std::move(opened).value();
  }
  [[nodiscard]] std::unique_ptr<PostgresLedger> open() const { return open(seize()); }

 private:
  pg::PostgresServer& server_;
  std::string name_;
};

}  // namespace trued::test
