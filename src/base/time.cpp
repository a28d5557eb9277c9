#include "base/time.h"

#include <array>
#include <charconv>
#include <cstdint>
#include <cstdio>

#include "base/assert.h"

namespace trued {
namespace {

using std::chrono::days;
using std::chrono::sys_days;
using std::chrono::year_month_day;

struct Unit {
  std::string_view name;
  std::int64_t ms;
};
constexpr std::array<Unit, 5> kUnits{
    {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};
constexpr WallTime kTimeMin = sys_days(std::chrono::year(0) / 1 / 1);
constexpr WallTime kTimeEnd = sys_days(std::chrono::year(10'000) / 1 / 1);
constexpr std::int64_t kDurationMax = 1'000LL * 366 * 86'400'000;  // a thousand years

Error not_a_time(std::string_view text) {
  return {.code = ErrorCode::invalid_argument,
          .message = "'" + std::string(text) +
                     "' is not a time; expected RFC 3339 such as 2026-11-21T04:15:06Z"};
}

// Reads exactly `width` digits at the front of `text`.
bool take_number(std::string_view& text, std::size_t width, int& out) {
  if (text.size() < width) return false;
  out = 0;
  for (std::size_t i = 0; i < width; ++i) {
    if (text[i] < '0' || text[i] > '9') return false;
    out = out * 10 + (text[i] - '0');
  }
  text.remove_prefix(width);
  return true;
}

bool take_char(std::string_view& text, std::string_view allowed) {
  if (text.empty() || allowed.find(text.front()) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

bool take_fraction(std::string_view& text, int& ms) {
  ms = 0;
  if (text.empty() || text.front() != '.') return true;
  text.remove_prefix(1);
  int scale = 100;
  std::size_t digits = 0;
  while (!text.empty() && text.front() >= '0' && text.front() <= '9') {
    ms += (text.front() - '0') * scale;
    scale /= 10;
    ++digits;
    text.remove_prefix(1);
  }
  return digits > 0;
}

bool take_offset(std::string_view& text, int& minutes) {
  minutes = 0;
  if (take_char(text, "Zz")) return text.empty();
  if (text.empty() || (text.front() != '+' && text.front() != '-')) return false;
  const int sign = text.front() == '-' ? -1 : 1;
  text.remove_prefix(1);
  int hours = 0;
  int rest = 0;
  if (!take_number(text, 2, hours) || !take_char(text, ":") || !take_number(text, 2, rest)) {
    return false;
  }
  minutes = sign * (hours * 60 + rest);
  return text.empty() && hours < 24 && rest < 60;
}

}  // namespace

std::string format_rfc3339(WallTime time) {
  const auto day = std::chrono::floor<days>(time);
  const year_month_day date(day);
  const std::int64_t ms = (time - day).count();
  TRUED_ASSERT(ms >= 0 && ms < kUnits.front().ms);
  std::array<char, 40> buffer{};
  const int length =
      std::snprintf(buffer.data(), buffer.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ",
                    static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                    static_cast<unsigned>(date.day()), static_cast<int>(ms / 3'600'000),
                    static_cast<int>(ms / 60'000 % 60), static_cast<int>(ms / 1'000 % 60),
                    static_cast<int>(ms % 1'000));
  TRUED_ASSERT(length > 0 && static_cast<std::size_t>(length) < buffer.size());
  return {buffer.data(), static_cast<std::size_t>(length)};
}

Result<WallTime> parse_rfc3339(std::string_view text) {
  std::string_view rest = text;
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, ms = 0, offset = 0;
  const bool read =
      take_number(rest, 4, year) && take_char(rest, "-") && take_number(rest, 2, month) &&
      take_char(rest, "-") && take_number(rest, 2, day) && take_char(rest, "Tt ") &&
      take_number(rest, 2, hour) && take_char(rest, ":") && take_number(rest, 2, minute) &&
      take_char(rest, ":") && take_number(rest, 2, second) && take_fraction(rest, ms) &&
      take_offset(rest, offset);
  const year_month_day date{std::chrono::year(year),
                            std::chrono::month(static_cast<unsigned>(month)),
                            std::chrono::day(static_cast<unsigned>(day))};
  // A leap second is read as the second before it.
  if (!read || !date.ok() || hour > 23 || minute > 59 || second > 60) return not_a_time(text);
  if (second == 60) second = 59;
  const WallTime at = WallTime(sys_days(date)) + std::chrono::hours(hour) +
                      std::chrono::minutes(minute - offset) + std::chrono::seconds(second) +
                      Duration(ms);
  // In UTC, as it will be written, its year has four digits too.
  if (at < kTimeMin || at >= kTimeEnd) return not_a_time(text);
  return at;
}

Result<Duration> parse_duration(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view name = text.substr(static_cast<std::size_t>(end - text.data()));
  if (failure == std::errc{} && number >= 0) {
    for (const Unit& unit : kUnits) {
      if (unit.name == name && number <= kDurationMax / unit.ms) {
        return Duration(number * unit.ms);
      }
    }
  }
  return Error{.code = ErrorCode::invalid_argument,
               .message = "'" + std::string(text) +
                          "' is not a duration; expected a whole number with ms, s, m, h or d, "
                          "such as 250ms or 24h"};
}

std::string format_duration(Duration duration) {
  const std::int64_t ms = duration.count();
  static_assert(kUnits.back().ms == 1);  // so that every duration but none is whole in some unit
  for (const Unit& unit : kUnits) {
    if (ms != 0 && ms % unit.ms == 0) return std::to_string(ms / unit.ms) + std::string(unit.name);
  }
  return std::to_string(ms) + "ms";
}

}  // namespace trued
