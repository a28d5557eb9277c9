// table.h: reading one table of a TOML file, with faults collected. Private to src/config.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <toml++/toml.h>

#include "config/config.h"

namespace trued::config {

class Faults {
 public:
  Faults(std::string file, std::vector<Fault>& out) : file_(std::move(file)), out_(out) {}
  void add(const toml::source_region& at, std::string message) {
    out_.push_back({file_, at.begin.line, at.begin.column, std::move(message)});
  }

 private:
  std::string file_;
  std::vector<Fault>& out_;
};

/// Reads members of a table; check_names() reports the ones nobody asked for.
class Table {
 public:
  Table(const toml::table& table, Faults& faults, std::string path)
      : table_(table), faults_(faults), path_(std::move(path)) {}

  void text(const char* name, std::string& out);
  /// A text in which ${env:…} and ${file:…} stand for secrets.
  void secret(const char* name, std::string& out);
  /// Either: a text without "${" as it stands, or a secret. `is_secret` is set for the latter.
  void text_or_secret(const char* name, std::string& out, bool* is_secret = nullptr);
  void flag(const char* name, bool& out);
  /// true or false, or else a text.
  void flag_or_text(const char* name, bool& flag, std::string& text);
  /// true or false, or else a list of texts.
  void flag_or_texts(const char* name, bool& flag, std::vector<std::string>& out);
  void duration(const char* name, Duration& out);
  /// A number from 0 to 1, in thousandths.
  void share(const char* name, std::uint32_t& permille);
  void texts(const char* name, std::vector<std::string>& out);
  /// A list of whole numbers within bounds.
  void numbers(const char* name, std::vector<int>& out, std::int64_t min, std::int64_t max);
  template <class Number>
  void number(const char* name, Number& out, std::int64_t min, std::int64_t max) {
    std::int64_t value = static_cast<std::int64_t>(out);
    whole(name, value, min, max);
    out = static_cast<Number>(value);
  }
  /// The sub-table of that name, or `false` instead of it, which clears `enabled`.
  const toml::table* table_or_false(const char* name, bool& enabled);
  /// The sub-table of that name; null for none.
  const toml::table* table(const char* name);
  void check_names();
  void fault(const char* name, const std::string& message);
  [[nodiscard]] const toml::source_region& source() const { return table_.source(); }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] bool is_table(const char* name) const { return table_[name].is_table(); }
  [[nodiscard]] bool has(const char* name) const { return table_.contains(name); }

 private:
  const toml::node* get(const char* name);
  void whole(const char* name, std::int64_t& out, std::int64_t min, std::int64_t max);
  std::string full(const char* name) const { return path_.empty() ? name : path_ + "." + name; }

  const toml::table& table_;
  Faults& faults_;
  std::string path_;
  std::vector<std::string> known_;
};

}  // namespace trued::config
