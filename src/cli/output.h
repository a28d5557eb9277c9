// output.h: data to stdout, talk to stderr, colour only where a person looks.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "json/value.h"

namespace trued::cli {

/// Options every command has.
struct Common {
  bool json = false;
  std::string server;  ///< empty: TRUED_SERVER, else http://127.0.0.1:7117
  std::string token_file;
  std::string state_dir;
};

/// Prints a line of data.
void print(std::string_view text);
/// Prints a line of talk.
void say(std::string_view text);
/// "trued: …" on stderr, or {"error": …} on stdout with --json; returns `code`.
int complain(const Common& common, int code, std::string_view text);

/// Overwrites one line of stderr while work goes on; says nothing unless a person looks.
class ProgressLine {
 public:
  explicit ProgressLine(std::string label);
  ~ProgressLine();
  void update(std::uint64_t done, std::uint64_t total);

 private:
  std::string label_;
  bool shown_ = false;
  bool terminal_;
};

/// The receipt for people: the status first, then what was seen, then what to do (`next`).
[[nodiscard]] std::string receipt_text(const json::Value& receipt, bool colour, bool next = true);
/// One line of a list.
[[nodiscard]] std::string receipt_line(const json::Value& receipt, bool colour);
/// One event: when, what, and the members that not every event has, as "name=value".
[[nodiscard]] std::string event_line(const json::Value& event);
/// The problem for people.
[[nodiscard]] std::string problem_text(const json::Value& problem);
/// True when stdout is a terminal and NO_COLOR is unset or empty.
[[nodiscard]] bool use_colour();

/// `text` with control characters (of C0, DEL and C1, and those that turn the writing direction)
/// spelled out as \u001b: what comes from a server or a ledger must not steer a terminal.
[[nodiscard]] std::string plain(std::string_view text);
/// A text for a POSIX shell, quoted where it has to be.
[[nodiscard]] std::string shell_quoted(const std::string& text);

// Members of what a server answered, which may be anything.

/// A text member, or "".
[[nodiscard]] std::string text_of(const json::Value& object, std::string_view name);
/// The same, for a terminal.
[[nodiscard]] std::string shown(const json::Value& object, std::string_view name);
/// A whole number, or 0.
[[nodiscard]] std::int64_t number_of(const json::Value& object, std::string_view name);
/// A whole number as a text, or "?".
[[nodiscard]] std::string number_text(const json::Value& object, std::string_view name);
/// A member that is there and true.
[[nodiscard]] bool is_true(const json::Value& object, std::string_view name);
/// The items of an array, or none.
[[nodiscard]] const json::Value::Array& items_of(const json::Value& object, std::string_view name);
/// A member, or null.
[[nodiscard]] const json::Value& member_of(const json::Value& object, std::string_view name);

}  // namespace trued::cli
