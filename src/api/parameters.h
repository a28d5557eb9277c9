// parameters.h: values of a query's parameters, and what is wrong with them. Pure.
//
// Each reader leaves `out` alone and fills in `problem` where it answers false.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "api/problems.h"
#include "base/result.h"
#include "base/time.h"

namespace trued::api {

/// "malformed": there is no such word; `words` are those there are.
[[nodiscard]] Problem no_such_word(const std::string& name, const std::string& text,
                                   const std::string& words);
[[nodiscard]] bool read_time(const std::string& name, const std::string& text,
                             std::optional<WallTime>& out, Problem& problem);
/// A span of time such as "15m".
[[nodiscard]] bool read_span(const std::string& name, const std::string& text,
                             std::optional<Duration>& out, Problem& problem);
/// 1 to 1000.
[[nodiscard]] bool read_limit(const std::string& text, std::uint32_t& out, Problem& problem);
/// "true" or "false".
[[nodiscard]] bool read_flag(const std::string& name, const std::string& text,
                             std::optional<bool>& out, Problem& problem);
/// A position that an earlier page gave.
[[nodiscard]] bool read_position(const std::string& text, std::uint64_t& out, Problem& problem);

/// `last` is the last of the enum.
template <class Enum>
[[nodiscard]] bool read_word(const std::string& name, const std::string& text,
                             std::optional<Enum>& out,
                             std::optional<Enum> (*parse)(std::string_view), Enum last,
                             Problem& problem) {
  const auto parsed = parse(text);
  if (parsed) {
    out = parsed;
    return true;
  }
  std::string words;
  for (unsigned i = 0; i <= std::to_underlying(last); ++i) {
    words += (i == 0 ? "" : ", ") + std::string(to_string(static_cast<Enum>(i)));
  }
  problem = no_such_word(name, text, words);
  return false;
}

/// "ledger-unavailable".
[[nodiscard]] Problem ledger_problem(const Error& error);

}  // namespace trued::api
