// sql_text.h: what can be said of an SQL text without a server: how many statements, which
// parameters, which first words.
//
// PostgreSQL's lexical rules (comments that nest, '', E'', "", $tag$) with
// standard_conforming_strings = on. It does not parse: the server still judges what it lets
// through. Pure.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace trued::pg {

struct SqlText {
  unsigned statements = 0;         ///< not counting empty ones
  std::set<unsigned> parameters;   ///< the n of every $n
  std::vector<std::string> words;  ///< the first words, in upper case; at most kWordsMax
  std::string fault;               ///< what never ends ("a quoted text", …); else empty

  static constexpr std::size_t kWordsMax = 3;
};

[[nodiscard]] SqlText scan_sql(std::string_view text);

}  // namespace trued::pg
