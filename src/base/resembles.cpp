#include "base/resembles.h"

#include <algorithm>

namespace trued {
namespace {

// Levenshtein's: the insertions, removals and replacements that make one of the other.
std::size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row.at(j) = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row.at(0);
    row.at(0) = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row.at(j);
      const std::size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      row.at(j) = std::min({above + 1, row.at(j - 1) + 1, change});
      diagonal = above;
    }
  }
  return row.back();
}

}  // namespace

std::optional<std::string> resembles(const std::string& name,
                                     const std::vector<std::string>& known) {
  std::optional<std::string> best;
  std::size_t least = std::max<std::size_t>(name.size() / 3, 1) + 1;
  for (const std::string& each : known) {
    const std::size_t d = distance(name, each);
    if (d < least) {
      least = d;
      best = each;
    }
  }
  return best;
}

std::string did_you_mean(const std::string& name, const std::vector<std::string>& known) {
  if (const auto meant = resembles(name, known)) return "did you mean '" + *meant + "'?";
  std::string list;
  for (const std::string& each : known) list += (list.empty() ? "" : ", ") + each;
  return "known here: " + list;
}

}  // namespace trued
