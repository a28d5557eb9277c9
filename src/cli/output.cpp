#include "cli/output.h"

#include <cstdio>
#include <cstdlib>
#include <unistd.h>

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

std::string padded(std::string text, std::size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text;
}

std::string number_of(const json::Value& object, std::string_view name) {
  const json::Value* value = object.find(name);
  return value != nullptr && value->is_int() ? std::to_string(value->as_int()) : "?";
}

std::string content_text(const json::Value* content) {
  if (content == nullptr || !content->is_object()) return "not read";
  if (content->find("absent") != nullptr) return "absent";
  if (const json::Value* why = content->find("unreadable")) {
    return "unreadable (" + (why->is_string() ? why->as_string() : "") + ")";
  }
  return number_of(*content, "bytes") + " bytes " + text_of(*content, "sha256").substr(0, 12);
}

std::string artifact_lines(const json::Value& receipt, bool colour) {
  constexpr std::size_t kShownMax = 12;
  const json::Value* list = receipt.find("artifacts");
  if (list == nullptr || !list->is_array()) return "";
  std::string text;
  std::size_t shown = 0;
  for (const json::Value& artifact : list->items()) {
    if (++shown > kShownMax) break;
    std::string verdict = text_of(artifact, "verdict");
    if (verdict.empty()) verdict = "not read";
    text += "  " + painted(padded(verdict, 10), colour_of(verdict), colour) + " " +
            padded(text_of(artifact, "level"), 8) + text_of(artifact, "name") + "  ";
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

std::string text_of(const json::Value& object, std::string_view name) {
  const json::Value* value = object.find(name);
  return value != nullptr && value->is_string() ? value->as_string() : "";
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
  if (common.json) {
    std::string line;
    json::Writer out(line);
    out.begin_object().member("error", text).member("exit_code", code).end_object();
    print(line);
  } else {
    say("trued: " + std::string(text));
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
  const std::string state = text_of(receipt, "state");
  std::string line = painted(padded(state, 13), colour_of(state), colour) + text_of(receipt, "id") +
                     "  " + padded(text_of(receipt, "target"), 12) + text_of(receipt, "key");
  const std::string tell = text_of(receipt, "tell");
  if (!tell.empty()) line += "  [" + tell + "]";
  return line;
}

std::string receipt_text(const json::Value& receipt, bool colour) {
  const std::string state = text_of(receipt, "state");
  const json::Value* changed = receipt.find("changed");
  const bool worked = changed != nullptr && changed->is_bool() && changed->as_bool();
  std::string text = painted(state, colour_of(state), colour);
  if (state == "unchanged") text += " (it held already: no work was done)";
  if (state == "acknowledged") text += " (UNVERIFIED: nobody has read it back)";
  text += "  " + text_of(receipt, "id") + "  key " + text_of(receipt, "key");
  const std::string decision = text_of(receipt, "decision");
  if (!decision.empty() && decision != "new") text += "  (" + decision + ")";
  text += "\n  " + number_of(receipt, "attempts") + " attempt(s), " +
          (worked ? "changed" : "nothing changed") + ", target " + text_of(receipt, "target") +
          "\n" + artifact_lines(receipt, colour);
  const std::string tell = text_of(receipt, "tell");
  if (!tell.empty()) text += "  caught: " + tell + " (docs/tells/" + tell + ".md)\n";
  const std::string reason = text_of(receipt, "reason");
  if (!reason.empty()) text += "  " + reason + "\n";
  if (const json::Value* next = receipt.find("next")) {
    const std::string detail = text_of(*next, "detail");
    if (!detail.empty() && detail != reason) text += "  next: " + detail + "\n";
  }
  text.pop_back();
  return text;
}

std::string problem_text(const json::Value& problem) {
  std::string text = text_of(problem, "title") + ": " + text_of(problem, "detail");
  const std::string pointer = text_of(problem, "pointer");
  if (!pointer.empty()) text += " (at " + pointer + ")";
  return text;
}

}  // namespace trued::cli
