#include "base/resembles.h"

#include <algorithm>
#include <cstddef>

#include "base/assert.h"

namespace trued {
namespace {

// How many characters to add, drop, change, or swap with their neighbour.
std::size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> before_last(b.size() + 1);
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row.at(j) = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before_last.swap(last);
    last.swap(row);
    row.at(0) = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = last.at(j - 1) + (a[i - 1] == b[j - 1] ? 0 : 1);
      row.at(j) = std::min({last.at(j) + 1, row.at(j - 1) + 1, change});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row.at(j) = std::min(row.at(j), before_last.at(j - 2) + 1);
    }
  }
  TRUED_ASSERT(row.back() <= std::max(a.size(), b.size()));
  return row.back();
}

}  // namespace

std::optional<std::string> resembles(const std::string& name,
                                     const std::vector<std::string>& known) {
  constexpr std::size_t kNameMax = 256;  // longer ones are no misspelling, and cost their square
  std::optional<std::string> best;
  if (name.size() > kNameMax) return best;
  std::size_t least = std::max<std::size_t>(name.size() / 3, 1) + 1;
  for (const std::string& each : known) {
    if (each.size() > kNameMax) continue;
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
  constexpr std::size_t kShown = 24;
  std::string list;
  for (std::size_t i = 0; i < known.size() && i < kShown; ++i) {
    list += (list.empty() ? "" : ", ") + known.at(i);
  }
  return "known here: " + list + (known.size() > kShown ? ", …" : "");
}

}  // namespace trued
