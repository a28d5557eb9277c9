// sqlite_test_support.h: a ledger in a folder of its own, and what tests do to it. Included by
// tests only.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sqlite3.h>
#include <sstream>
#include <string>
#include <string_view>
#include <unistd.h>

#include "ledger/ledger_test_support.h"
#include "ledger/sqlite/sqlite_ledger.h"

namespace trued::test {

/// Goes with everything in it.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "trued-ledger-XXXXXX").string();
    path = ::mkdtemp(name.data());
  }
  ~Folder() { std::filesystem::remove_all(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  /// Makes it the ledger that an older program left: testdata/<name>.sql.
  void restore(const std::string& name) const;
  [[nodiscard]] std::string file() const { return path + "/ledger.db"; }
  [[nodiscard]] std::unique_ptr<SqliteLedger> open() const {
    return std::move(SqliteLedger::open({.path = file()})).value();
  }
  /// The audit's finding as "what: detail"; empty if it is clean.
  [[nodiscard]] std::string audit() const { return audit_of(file()); }
  static std::string audit_of(const std::string& file) {
    const auto report = audit_sqlite(file, {});
    if (!report.has_value()) return "cannot audit: " + report.error().message;
    return report->first ? report->first->what + ": " + report->first->detail : "";
  }

  std::string path;
};

/// `bytes` as SQL spells a blob.
inline std::string blob_literal(std::string_view bytes) {
  std::string text = "x'";
  for (const char byte : bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    text += kDigits.at(static_cast<unsigned char>(byte) >> 4U);
    text += kDigits.at(static_cast<unsigned char>(byte) & 0xfU);
  }
  return text + "'";
}

inline void run_sql(const std::string& file, const std::string& sql) {
  sqlite3* handle = nullptr;
  ASSERT_EQ(sqlite3_open(file.c_str(), &handle), SQLITE_OK);
  char* message = nullptr;
  EXPECT_EQ(sqlite3_exec(handle, sql.c_str(), nullptr, nullptr, &message), SQLITE_OK)
      << sql << ": " << (message != nullptr ? message : "");
  EXPECT_GT(sqlite3_total_changes(handle) + (sql.starts_with("UPDATE") ? 0 : 1), 0) << sql;
  sqlite3_free(message);
  sqlite3_close(handle);
}

inline void Folder::restore(const std::string& name) const {
  std::ostringstream sql;
  sql << std::ifstream(TRUED_SOURCE_DIR "/src/ledger/sqlite/testdata/" + name + ".sql").rdbuf();
  run_sql(file(), sql.str());
}

}  // namespace trued::test
