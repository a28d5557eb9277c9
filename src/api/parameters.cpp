#include "api/parameters.h"

#include <charconv>

#include "api/text.h"

namespace trued::api {
namespace {

Problem wrong(std::string detail) { return {.name = "malformed", .detail = std::move(detail)}; }

// The number that `text` is as a whole.
template <class Number>
std::optional<Number> whole_number(const std::string& text) {
  Number number = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, failure] = std::from_chars(text.data(), end, number);
  if (failure != std::errc{} || stopped != end) return std::nullopt;
  return number;
}

}  // namespace

Problem no_such_word(const std::string& name, const std::string& text, const std::string& words) {
  return wrong("there is no " + name + " '" + shown(text) + "'; there are " + words);
}

bool read_time(const std::string& name, const std::string& text, std::optional<WallTime>& out,
               Problem& problem) {
  auto at = parse_rfc3339(text);
  if (!at.has_value()) {
    problem = wrong(name + ": " + at.error().message);
    return false;
  }
  out = *at;
  return true;
}

bool read_span(const std::string& name, const std::string& text, std::optional<Duration>& out,
               Problem& problem) {
  auto span = parse_duration(text);
  if (!span.has_value()) {
    problem = wrong(name + ": " + span.error().message);
    return false;
  }
  out = *span;
  return true;
}

bool read_limit(const std::string& text, std::uint32_t& out, Problem& problem) {
  constexpr std::uint32_t kLimitMax = 1'000;
  const auto number = whole_number<std::uint32_t>(text);
  if (!number || *number < 1 || *number > kLimitMax) {
    problem = wrong("limit must be a number from 1 to 1000");
    return false;
  }
  out = *number;
  return true;
}

bool read_flag(const std::string& name, const std::string& text, std::optional<bool>& out,
               Problem& problem) {
  if (text == "true" || text == "false") {
    out = text == "true";
    return true;
  }
  problem = wrong(name + " must be true or false");
  return false;
}

bool read_position(const std::string& text, std::uint64_t& out, Problem& problem) {
  constexpr std::uint64_t kPositionMax = std::uint64_t{1} << 62;
  const auto number = whole_number<std::uint64_t>(text);
  if (!number || *number == 0 || *number > kPositionMax) {
    problem = wrong("cursor must be one that an earlier page gave");
    return false;
  }
  out = *number;
  return true;
}

Problem ledger_problem(const Error& error) {
  return {.name = "ledger-unavailable",
          .detail = "the ledger cannot be read: " + error.message,
          .retry_after = Duration{1'000}};
}

}  // namespace trued::api
