#include "cli/output.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <unistd.h>
#include <utility>

#include "base/assert.h"
#include "base/encoding.h"
#include "json/canonical.h"
#include "json/writer.h"

namespace trued::cli {
namespace {

std::string painted(std::string_view text, const char* code, bool colour) {
  if (!colour) return std::string(text);
  return std::string("\x1b[") + code + "m" + std::string(text) + "\x1b[0m";
}

const char* colour_of(std::string_view word) {
  if (word == "confirmed" || word == "unchanged" || word == "match") return "32";
  if (word == "failed" || word == "mismatch" || word == "needs_action") return "31";
  return "33";
}

// Of a receipt, for people.
// The code point at `at`, and its length; what is no UTF-8 counts as one byte of Latin-1.
std::pair<char32_t, std::size_t> code_point(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) -> unsigned {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0U;
  };
  const auto follows = [&](std::size_t i) { return (byte(i) & 0xc0U) == 0x80U; };
  if ((byte(0) & 0xe0U) == 0xc0U && follows(1)) {
    return {((byte(0) & 0x1fU) << 6U) | (byte(1) & 0x3fU), 2};
  }
  if ((byte(0) & 0xf0U) == 0xe0U && follows(1) && follows(2)) {
    return {((byte(0) & 0x0fU) << 12U) | ((byte(1) & 0x3fU) << 6U) | (byte(2) & 0x3fU), 3};
  }
  // None of those with four bytes steers anything.
  if ((byte(0) & 0xf8U) == 0xf0U && follows(1) && follows(2) && follows(3)) return {0x10000, 4};
  return {byte(0), 1};
}

bool steers(char32_t c) {
  return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x202a && c <= 0x202e) ||
         (c >= 0x2066 && c <= 0x2069) || c == 0x200e || c == 0x200f;
}

// $'…', which bash, zsh and ksh understand.
std::string spelled_out(std::string_view text) {
  std::string out = "$'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c >= 0x20 && c < 0x7f) {
      out += c;
    } else {
      std::array<char, 8> octal{};
      (void)std::snprintf(octal.data(), octal.size(), "\\%03o", static_cast<unsigned char>(c));
      out += octal.data();
    }
  }
  return out + "'";
}

std::string padded(std::string text, std::size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  TRUED_ASSERT(text.size() >= width);
  return text;
}

std::string content_text(const json::Value* content) {
  if (content == nullptr || !content->is_object()) return "not read";
  if (content->find("absent") != nullptr) return "absent";
  if (const json::Value* why = content->find("unreadable")) {
    return "unreadable (" + (why->is_string() ? plain(why->as_string()) : "") + ")";
  }
  return number_text(*content, "bytes") + " bytes " + shown(*content, "sha256").substr(0, 12);
}

// What is not known is neither a change nor none.
std::string_view change_text(const json::Value& receipt) {
  const json::Value* changed = receipt.find("changed");
  if (changed == nullptr || !changed->is_bool()) return "not known whether anything changed";
  return changed->as_bool() ? "changed" : "nothing changed";
}

std::string artifact_lines(const json::Value& receipt, bool colour) {
  constexpr std::size_t kShownMax = 12;
  const json::Value* list = receipt.find("artifacts");
  if (list == nullptr || !list->is_array()) return "";
  std::string text;
  std::size_t lines = 0;
  for (const json::Value& artifact : list->items()) {
    if (++lines > kShownMax) break;
    std::string verdict = shown(artifact, "verdict");
    if (verdict.empty()) verdict = "not read";
    text += "  " + painted(padded(verdict, 10), colour_of(verdict), colour) + " " +
            padded(shown(artifact, "level"), 8) + shown(artifact, "name") + "  ";
    if (verdict == "match") {
      text += content_text(artifact.find("observed"));
    } else {
      text += "meant " + content_text(artifact.find("intended")) + ", found " +
              content_text(artifact.find("observed"));
    }
    text += '\n';
  }
  if (list->items().size() > kShownMax) {
    text += "  … and " + std::to_string(list->items().size() - kShownMax) + " more\n";
  }
  return text;
}

}  // namespace

std::string plain(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const auto [c, bytes] = code_point(text, at);
    TRUED_ASSERT(bytes > 0 && at + bytes <= text.size());
    if (steers(c)) {
      std::array<char, 8> spelled{};
      (void)std::snprintf(spelled.data(), spelled.size(), "\\u%04x", static_cast<unsigned>(c));
      out += spelled.data();
    } else {
      out += text.substr(at, bytes);
    }
    at += bytes;
  }
  return out;
}

std::string shell_quoted(const std::string& text) {
  constexpr std::string_view kPlain = "_-./:=@%+,";
  const bool needless = !text.empty() && std::ranges::all_of(text, [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           kPlain.find(c) != std::string_view::npos;
  });
  if (needless) return text;
  // Between plain quotes nothing can be spelled out, and as it is it would steer the terminal.
  if (plain(text) != text || !utf8_valid(text)) return spelled_out(text);
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  TRUED_ASSERT(out.size() > text.size());
  return out + "'";
}

std::string text_of(const json::Value& object, std::string_view name) {
  const json::Value* value = object.find(name);
  return value != nullptr && value->is_string() ? value->as_string() : "";
}

std::string shown(const json::Value& object, std::string_view name) {
  return plain(text_of(object, name));
}

std::int64_t number_of(const json::Value& object, std::string_view name) {
  const json::Value* value = object.find(name);
  return value != nullptr && value->is_int() ? value->as_int() : 0;
}

std::string number_text(const json::Value& object, std::string_view name) {
  const json::Value* value = object.find(name);
  return value != nullptr && value->is_int() ? std::to_string(value->as_int()) : "?";
}

bool is_true(const json::Value& object, std::string_view name) {
  const json::Value* value = object.find(name);
  return value != nullptr && value->is_bool() && value->as_bool();
}

const json::Value::Array& items_of(const json::Value& object, std::string_view name) {
  static const json::Value::Array kNone;
  const json::Value* value = object.find(name);
  return value != nullptr && value->is_array() ? value->items() : kNone;
}

const json::Value& member_of(const json::Value& object, std::string_view name) {
  static const json::Value kNothing;
  const json::Value* value = object.find(name);
  return value == nullptr ? kNothing : *value;
}

void print(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fputc('\n', stdout);
  std::fflush(stdout);
}

void say(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fputc('\n', stderr);
}

int complain(const Common& common, int code, std::string_view text) {
  TRUED_ASSERT(code != 0);  // what is complained of has not gone well
  if (common.json) {
    std::string line;
    json::Writer out(line);
    out.begin_object().member("error", text).member("exit_code", code).end_object();
    print(line);
  } else {
    say("trued: " + plain(text));
  }
  return code;
}

bool use_colour() {
  const char* no_colour = std::getenv("NO_COLOR");
  return isatty(STDOUT_FILENO) == 1 && (no_colour == nullptr || *no_colour == '\0');
}

ProgressLine::ProgressLine(std::string label)
    : label_(std::move(label)), terminal_(isatty(STDERR_FILENO) == 1) {}

ProgressLine::~ProgressLine() {
  if (shown_) std::fputs("\r\x1b[K", stderr);
}

void ProgressLine::update(std::uint64_t done, std::uint64_t total) {
  if (!terminal_ || total == 0) return;
  shown_ = true;
  std::fprintf(stderr, "\r%s %3llu %%", label_.c_str(),
               static_cast<unsigned long long>(done * 100 / total));
  std::fflush(stderr);
}

std::string receipt_line(const json::Value& receipt, bool colour) {
  const std::string state = shown(receipt, "state");
  std::string line = painted(padded(state, 13), colour_of(state), colour) + shown(receipt, "id") +
                     "  " + padded(shown(receipt, "target"), 12) + " " + shown(receipt, "key");
  const std::string tell = shown(receipt, "tell");
  if (!tell.empty()) line += "  [" + tell + "]";
  return line;
}

std::string receipt_text(const json::Value& receipt, bool colour, bool next) {
  const std::string state = shown(receipt, "state");
  std::string text = painted(state, colour_of(state), colour);
  if (state == "unchanged") text += " (it held already: no work was done)";
  if (state == "acknowledged") text += " (UNVERIFIED: nobody has read it back)";
  text += "  " + shown(receipt, "id") + "  key " + shown(receipt, "key");
  const std::string decision = shown(receipt, "decision");
  if (!decision.empty() && decision != "new") text += "  (" + decision + ")";
  // The attempt of an unchanged one only looked: to count it would say that something was sent.
  std::string work = "nothing was sent";
  if (state != "unchanged") {
    work = number_text(receipt, "attempts") + " attempt(s), " + std::string(change_text(receipt));
  }
  text += "\n  " + work + ", target " + shown(receipt, "target") + "\n" +
          artifact_lines(receipt, colour);
  const std::string tell = shown(receipt, "tell");
  if (!tell.empty()) text += "  caught: " + tell + " (docs/tells/" + tell + ".md)\n";
  const std::string reason = shown(receipt, "reason");
  if (!reason.empty()) text += "  " + reason + "\n";
  if (const json::Value* step = receipt.find("next"); next && step != nullptr) {
    const std::string detail = shown(*step, "detail");
    if (!detail.empty() && detail != reason) text += "  next: " + detail + "\n";
  }
  text.pop_back();
  return text;
}

std::string event_line(const json::Value& event) {
  std::string line = plain(text_of(event, "at")) + "  " + plain(text_of(event, "event"));
  for (const auto& [name, value] : event.members()) {
    const bool everywhere =
        name == "at" || name == "event" || name == "sequence" || name == "batch";
    if (everywhere || value.is_null()) continue;
    line += "  " + plain(name) + "=";
    if (value.is_string()) {
      line += plain(value.as_string());
    } else if (value.is_array() && value.items().size() > 1) {
      line += "[" + std::to_string(value.items().size()) + "]";
    } else {
      std::string text;
      json::write_canonical(value, text);
      line += plain(text);
    }
  }
  return line;
}

std::string problem_text(const json::Value& problem) {
  std::string text = shown(problem, "title") + ": " + shown(problem, "detail");
  const std::string pointer = shown(problem, "pointer");
  if (!pointer.empty()) text += " (at " + pointer + ")";
  return text;
}

}  // namespace trued::cli
