#include "target/git/message.h"

#include <algorithm>
#include <vector>

namespace trued::git {
namespace {

constexpr std::string_view kOperation = "Trued-Operation: ";
constexpr std::string_view kAttempt = "Trued-Attempt: ";

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\f\v") == std::string_view::npos;
}

bool starts_with_ours(std::string_view line) {
  constexpr std::string_view kOurs = "trued-";
  if (line.size() < kOurs.size()) return false;
  return std::ranges::equal(line.substr(0, kOurs.size()), kOurs, [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
  });
}

// Lines without their ends; blank ones at either end are gone, control characters are spaces.
std::vector<std::string> clean_lines(std::string_view message) {
  std::vector<std::string> lines(1);
  for (std::size_t i = 0; i < message.size(); ++i) {
    const char c = message[i];
    if (c == '\r' && i + 1 < message.size() && message[i + 1] == '\n') continue;
    if (c == '\n' || c == '\r') {
      lines.emplace_back();
    } else {
      const auto byte = static_cast<unsigned char>(c);
      lines.back() += (byte < 0x20 && c != '\t') || byte == 0x7f ? ' ' : c;
    }
  }
  for (std::string& line : lines) {
    line.erase(line.find_last_not_of(" \t") + 1);
    if (starts_with_ours(line) || line.starts_with("---")) line.insert(0, "> ");
  }
  while (!lines.empty() && is_blank(lines.back())) lines.pop_back();
  const auto first = std::ranges::find_if_not(lines, [](const auto& l) { return is_blank(l); });
  lines.erase(lines.begin(), first);
  return lines;
}

bool looks_like_trailer(std::string_view line) {
  if (line.starts_with(' ') || line.starts_with('\t')) return true;  // goes on from the line above
  const std::size_t colon = line.find(": ");
  if (colon == std::string_view::npos || colon == 0) return false;
  return std::ranges::all_of(line.substr(0, colon), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
  });
}

// True if the last paragraph, which is not the only one, is all trailers.
bool ends_in_trailers(const std::vector<std::string>& lines) {
  for (std::size_t i = lines.size(); i-- > 0;) {
    if (is_blank(lines[i])) return true;
    if (!looks_like_trailer(lines[i])) return false;
  }
  return false;
}

std::string subject_of(const Intent& intent) {
  const auto& artifacts = intent.artifacts;
  if (artifacts.empty()) return "Write";
  const std::string first =
      (artifacts.front().absent ? "Remove " : "Write ") + artifacts.front().name;
  if (artifacts.size() == 1) return first;
  return first + " and " + std::to_string(artifacts.size() - 1) + " more";
}

}  // namespace

std::string compose_message(const Intent& intent, const OperationId& operation, AttemptNo attempt) {
  std::vector<std::string> lines = clean_lines(intent.message);
  if (lines.empty()) lines.push_back(subject_of(intent));
  std::string text;
  for (const std::string& line : lines) text += line + '\n';
  if (!ends_in_trailers(lines)) text += '\n';
  text += std::string(kOperation) + to_string(operation) + '\n';
  text += std::string(kAttempt) + std::to_string(attempt.value()) + '\n';
  return text;
}

bool carries(std::string_view message, const OperationId& operation) {
  const std::string wanted = std::string(kOperation) + to_string(operation);
  while (!message.empty()) {
    const std::size_t end = message.find('\n');
    std::string_view line = message.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line == wanted) return true;
    if (end == std::string_view::npos) return false;
    message.remove_prefix(end + 1);
  }
  return false;
}

}  // namespace trued::git
