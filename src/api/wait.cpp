#include "api/wait.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

#include "api/text.h"
#include "base/assert.h"

namespace trued::api {
namespace {

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

// The text up to `separator`, which is taken off `rest`.
std::string_view take_part(std::string_view& rest, char separator) {
  const std::size_t end = std::min(rest.find(separator), rest.size());
  const std::string_view part = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return trimmed(part);
}

}  // namespace

std::optional<Duration> read_seconds(std::string_view text) {
  std::uint64_t seconds = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, failure] = std::from_chars(text.data(), end, seconds);
  if (stopped != end || failure == std::errc::invalid_argument) return std::nullopt;
  constexpr std::uint64_t kSecondsMax = kWaitMax.count() / 1'000;
  const bool more = failure == std::errc::result_out_of_range || seconds > kSecondsMax;
  const Duration span = std::chrono::seconds(more ? kSecondsMax : seconds);
  TRUED_ASSERT(span >= Duration{0} && span <= kWaitMax);
  return span;
}

Wait preferred_wait(const io::HttpRequest& request) {
  for (const io::Header& header : request.headers) {
    if (!is_word(header.name, "prefer")) continue;
    std::string_view rest = header.value;
    while (!rest.empty()) {
      std::string_view preference = take_part(rest, ',');
      preference = take_part(preference, ';');
      const std::string_view name = take_part(preference, '=');
      if (preference.size() >= 2 && preference.starts_with('"') && preference.ends_with('"')) {
        preference = preference.substr(1, preference.size() - 2);
      }
      if (!is_word(name, "wait")) continue;
      if (const auto span = read_seconds(trimmed(preference))) return {*span, true};
    }
  }
  return {};
}

void say_applied(const Wait& wait, io::HttpResponse& response) {
  if (!wait.asked) return;
  response.headers.push_back(
      {"Preference-Applied", "wait=" + std::to_string(wait.span.count() / 1'000)});
}

}  // namespace trued::api
