#include "target/postgres/call_shape.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "base/resembles.h"
#include "json/canonical.h"
#include "json/pointer.h"
#include "pg/sql_text.h"

namespace trued {
namespace {

using Names = std::vector<std::string>;

constexpr std::size_t kStatementsMax = 100;
constexpr std::size_t kParametersMax = 65'535;  // of the protocol

bool is_template(const json::Value& value) {
  return value.is_string() && value.as_string().find("${") != std::string::npos;
}

// Words that would end or change the transaction that is ours, or leave something behind in a
// connection that others use after it.
std::string why_not_in_an_effect(const std::vector<std::string>& words) {
  constexpr std::array<std::string_view, 8> kTransaction = {
      "BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE"};
  constexpr std::array<std::string_view, 9> kSession = {"RESET",   "DISCARD",    "LOAD",
                                                        "LISTEN",  "UNLISTEN",   "DECLARE",
                                                        "EXECUTE", "DEALLOCATE", "PREPARE"};
  const std::string first = words.empty() ? "" : words.front();
  const std::string second = words.size() < 2 ? "" : words.at(1);
  if (std::ranges::find(kTransaction, first) != kTransaction.end() && !first.empty()) {
    return "'" + first +
           "' is not for an effect: its statements run in one transaction, which is "
           "begun and committed for it";
  }
  if (first == "PREPARE" && second == "TRANSACTION") {
    return "'PREPARE TRANSACTION' is not for an effect: whether it happened could not be told";
  }
  if (first == "COPY") return "COPY has no place here; use INSERT";
  if (first == "SET" && second != "LOCAL" && second != "CONSTRAINTS") {
    return "'SET' would outlive the effect in a connection that others use; write SET LOCAL";
  }
  if (first == "SET" && words.size() > 2 && words.at(2) == "SYNCHRONOUS_COMMIT") {
    return "an effect is acknowledged when it is durable; synchronous_commit is not its to change";
  }
  if (std::ranges::find(kSession, first) != kSession.end()) {
    return "'" + first + "' would outlive the effect in a connection that others use";
  }
  return "";
}

std::string why_not_in_a_read(const std::vector<std::string>& words) {
  constexpr std::array<std::string_view, 4> kReads = {"SELECT", "WITH", "VALUES", "TABLE"};
  const std::string first = words.empty() ? "" : words.front();
  if (std::ranges::find(kReads, first) != kReads.end()) return "";
  return "a read begins with SELECT, WITH, VALUES or TABLE" +
         (first.empty() ? std::string() : ", not with '" + first + "'");
}

/// Looks through one call, and takes from it what it is asked for.
class Shape {
 public:
  Shape(bool effect, bool templates) : effect_(effect), templates_(templates) {}

  std::vector<CallFault> faults;

  void fault(std::string pointer, std::string detail) {
    faults.push_back({std::move(pointer), std::move(detail)});
  }

  void names(const json::Value& object, const std::string& at, const Names& known) {
    for (const auto& [name, value] : object.members()) {
      if (std::ranges::find(known, name) != known.end()) continue;
      fault(json::pointer_below(at, name),
            "there is no member '" + name + "' here; " + did_you_mean(name, known));
    }
  }

  PostgresStatement statement(const json::Value& object, const std::string& at) {
    PostgresStatement out;
    const json::Value* sql = object.find("sql");
    if (sql == nullptr) {
      fault(at, "has no 'sql'");
      return out;
    }
    const json::Value* params = object.find("params");
    parameters(params, at, out);
    if (const json::Value* rows = object.find("expect_rows")) expected(*rows, at, out);
    if (!sql->is_string()) {
      fault(at + "/sql", "expected a text");
    } else if (sql_text(sql->as_string(), at + "/sql")) {
      out.sql = sql->as_string();
      const bool known = params == nullptr || params->is_array();
      if (known) count(pg::scan_sql(out.sql), out.parameters.size(), at);
    }
    return out;
  }

  std::string isolation(const json::Value& object) {
    constexpr std::array<std::string_view, 3> kLevels = {"read committed", "repeatable read",
                                                         "serializable"};
    const json::Value* level = object.find("isolation");
    if (level == nullptr) return "READ COMMITTED";
    const std::string text = level->is_string() ? level->as_string() : "";
    if (std::ranges::find(kLevels, text) == kLevels.end()) {
      fault("/isolation", "expected \"read committed\", \"repeatable read\" or \"serializable\"");
      return "";
    }
    std::string upper = text;
    for (char& c : upper) c = c == ' ' ? c : static_cast<char>(c - 'a' + 'A');
    return upper;
  }

 private:
  void parameters(const json::Value* params, const std::string& at, PostgresStatement& out) {
    if (params == nullptr || (templates_ && is_template(*params))) return;
    if (!params->is_array()) return fault(at + "/params", "expected a list of values");
    if (params->items().size() > kParametersMax) {
      return fault(at + "/params", "more than " + std::to_string(kParametersMax) + " values");
    }
    for (std::size_t i = 0; i < params->items().size(); ++i) {
      const json::Value& value = params->items().at(i);
      out.parameters.emplace_back(as_text(value));
      const auto& text = out.parameters.back().value();
      if (text && text->find('\0') != std::string::npos) {
        fault(at + "/params/" + std::to_string(i), "holds U+0000, which PostgreSQL cannot store");
      }
    }
  }

  // A text goes as it is, everything else as the JSON that it is; the server infers the type.
  static std::optional<std::string> as_text(const json::Value& value) {
    if (value.is_null()) return std::nullopt;
    if (value.is_string()) return value.as_string();
    return json::canonical(value);
  }

  void expected(const json::Value& rows, const std::string& at, PostgresStatement& out) {
    if (templates_ && is_template(rows)) return;
    if (!rows.is_int() || rows.as_int() < 0) {
      return fault(at + "/expect_rows", "expected a whole number of rows, 0 or more");
    }
    out.expect_rows = static_cast<std::uint64_t>(rows.as_int());
  }

  bool sql_text(const std::string& sql, const std::string& at) {
    if (sql.find("${") != std::string::npos) {
      fault(at, "holds \"${\": values are never put into SQL; write $1, and the value into params");
      return false;
    }
    const pg::SqlText text = pg::scan_sql(sql);
    if (sql.find('\0') != std::string::npos) {
      fault(at, "holds a zero byte");
    } else if (!text.fault.empty()) {
      fault(at, text.fault + " in it does not end");
    } else if (text.statements == 0) {
      fault(at, "holds no statement");
    } else if (text.statements > 1) {
      fault(at, "holds " + std::to_string(text.statements) + " statements; expected one" +
                    (effect_ ? ": put each into 'statements'" : ""));
    } else {
      const std::string wrong =
          effect_ ? why_not_in_an_effect(text.words) : why_not_in_a_read(text.words);
      if (wrong.empty()) return true;
      fault(at, wrong);
    }
    return false;
  }

  void count(const pg::SqlText& text, std::size_t given, const std::string& at) {
    const auto highest = text.parameters.empty() ? 0U : *text.parameters.rbegin();
    if (text.parameters.contains(0)) return fault(at + "/sql", "has a $0; they begin with $1");
    if (highest > given) {
      return fault(at + "/params", "has " + std::to_string(given) + " value(s), and the sql asks " +
                                       "for $" + std::to_string(highest));
    }
    for (std::size_t i = 1; i <= given; ++i) {
      if (text.parameters.contains(static_cast<unsigned>(i))) continue;
      return fault(at + "/params/" + std::to_string(i - 1),
                   "is not used: the sql has no $" + std::to_string(i));
    }
  }

  bool effect_;
  bool templates_;
};

PostgresEffect effect_of(const json::Value& call, Shape& shape) {
  PostgresEffect out;
  if (!call.is_object()) {
    shape.fault("", "expected an object with 'sql' or 'statements'");
    return out;
  }
  const json::Value* list = call.find("statements");
  const bool several = list != nullptr && call.find("sql") == nullptr;
  if (list != nullptr && !several) shape.fault("/statements", "beside 'sql'; give one of the two");
  out.isolation = shape.isolation(call);
  if (!several) {
    shape.names(call, "", {"sql", "params", "expect_rows", "isolation", "statements"});
    if (call.find("sql") == nullptr) {
      shape.fault("", "expected 'sql', or 'statements' with one 'sql' each");
    } else {
      out.statements.push_back(shape.statement(call, ""));
    }
    return out;
  }
  shape.names(call, "", {"statements", "isolation", "sql"});
  if (!list->is_array() || list->items().empty() || list->items().size() > kStatementsMax) {
    shape.fault("/statements", "expected a list of 1 to " + std::to_string(kStatementsMax) +
                                   " objects with an 'sql' each");
    return out;
  }
  for (std::size_t i = 0; i < list->items().size(); ++i) {
    const std::string at = "/statements/" + std::to_string(i);
    const json::Value& one = list->items().at(i);
    if (!one.is_object()) {
      shape.fault(at, "expected an object with an 'sql'");
      continue;
    }
    shape.names(one, at, {"sql", "params", "expect_rows"});
    out.statements.push_back(shape.statement(one, at));
  }
  return out;
}

PostgresRead read_of(const json::Value& call, Shape& shape, bool templates) {
  PostgresRead out;
  if (!call.is_object()) {
    shape.fault("", "expected an object with 'sql'");
    return out;
  }
  shape.names(call, "", {"sql", "params", "single"});
  if (const json::Value* single = call.find("single")) {
    if (single->is_bool()) {
      out.single = single->as_bool();
    } else if (!templates || !is_template(*single)) {
      shape.fault("/single", "expected true or false");
    }
  }
  out.statement = shape.statement(call, "");
  return out;
}

Error first_of(const std::vector<CallFault>& faults) {
  const CallFault& first = faults.front();
  return {.code = ErrorCode::invalid_argument,
          .message = (first.pointer.empty() ? "the call" : first.pointer) + ": " + first.detail};
}

}  // namespace

std::vector<CallFault> check_postgres_effect(const json::Value& call) {
  Shape shape(true, true);
  (void)effect_of(call, shape);
  return std::move(shape.faults);
}

std::vector<CallFault> check_postgres_read(const json::Value& call) {
  Shape shape(false, true);
  (void)read_of(call, shape, true);
  return std::move(shape.faults);
}

Result<PostgresEffect> parse_postgres_effect(const json::Value& call) {
  Shape shape(true, false);
  PostgresEffect out = effect_of(call, shape);
  if (!shape.faults.empty()) return first_of(shape.faults);
  return out;
}

Result<PostgresRead> parse_postgres_read(const json::Value& call) {
  Shape shape(false, false);
  PostgresRead out = read_of(call, shape, false);
  if (!shape.faults.empty()) return first_of(shape.faults);
  return out;
}

}  // namespace trued
