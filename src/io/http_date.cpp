#include "io/http_date.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <limits>
#include <string>
#include <vector>

#include "base/assert.h"

namespace trued::io {
namespace {

using std::chrono::day;
using std::chrono::month;
using std::chrono::year;

std::vector<std::string_view> words_of(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> words;
  while (true) {
    const std::size_t begin = text.find_first_not_of(separators);
    if (begin == std::string_view::npos) return words;
    text.remove_prefix(begin);
    const std::size_t end = std::min(text.find_first_of(separators), text.size());
    words.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
}

std::optional<unsigned> number(std::string_view text) {
  unsigned value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<month> month_of(std::string_view text) {
  constexpr std::array<std::string_view, 12> kNames{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto found = std::ranges::find(kNames, text);
  if (found == kNames.end()) return std::nullopt;
  return month(static_cast<unsigned>(found - kNames.begin()) + 1);
}

std::optional<Duration> time_of_day(std::string_view text) {
  const auto parts = words_of(text, ":");
  if (parts.size() != 3) return std::nullopt;
  const auto hour = number(parts.at(0));
  const auto minute = number(parts.at(1));
  const auto second = number(parts.at(2));
  // 60 is a leap second.
  if (!hour || !minute || !second || *hour > 23 || *minute > 59 || *second > 60) {
    return std::nullopt;
  }
  return std::chrono::hours(*hour) + std::chrono::minutes(*minute) + std::chrono::seconds(*second);
}

// A year of two digits is the one of its century that is not over 50 years ahead.
unsigned full_year(unsigned two_digits, WallTime now) {
  TRUED_ASSERT(two_digits < 100);
  const std::chrono::year_month_day today(std::chrono::floor<std::chrono::days>(now));
  const unsigned this_year = static_cast<unsigned>(static_cast<int>(today.year()));
  unsigned full = this_year / 100 * 100 + two_digits;
  if (full > this_year + 50) full -= 100;
  return full;
}

}  // namespace

std::optional<WallTime> parse_http_date(std::string_view text, WallTime now) {
  // "Sun, 06 Nov 1994 08:49:37 GMT", with '-' in the old form; "Sun Nov  6 08:49:37 1994".
  const auto words = words_of(text, " ,-");
  const bool asctime = words.size() == 5;
  if (!asctime && (words.size() != 6 || words.at(5) != "GMT")) return std::nullopt;
  const auto day_no = number(words.at(asctime ? 2 : 1));
  const auto month_no = month_of(words.at(asctime ? 1 : 2));
  const std::string_view year_text = words.at(asctime ? 4 : 3);
  auto year_no = number(year_text);
  const auto time = time_of_day(words.at(asctime ? 3 : 4));
  if (!day_no || !month_no || !year_no || !time) return std::nullopt;
  if (year_text.size() == 2) year_no = full_year(*year_no, now);
  constexpr unsigned kYearMax = 9'999;
  if (*year_no > kYearMax) return std::nullopt;
  const std::chrono::year_month_day date(year(static_cast<int>(*year_no)), *month_no, day(*day_no));
  if (!date.ok()) return std::nullopt;
  return WallTime(std::chrono::sys_days(date)) + *time;
}

std::optional<Duration> parse_retry_after(std::string_view text, WallTime now, Duration bound) {
  TRUED_ASSERT(bound >= Duration{0});
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  const bool digits =
      !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
  if (digits) {
    const auto seconds = number(text);  // too many digits are a long time
    if (!seconds) return bound;
    return std::min(bound, Duration(std::chrono::seconds(*seconds)));
  }
  const auto date = parse_http_date(text, now);
  if (!date) return std::nullopt;
  return std::clamp(Duration(*date - now), Duration{0}, bound);
}

}  // namespace trued::io
