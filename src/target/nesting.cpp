#include "target/nesting.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "base/assert.h"

namespace trued {
namespace {

// Calls `visit` with each proper directory prefix of `path`.
template <class Visit>
void each_directory(std::string_view path, Visit visit) {
  for (std::size_t at = path.find('/'); at != std::string_view::npos; at = path.find('/', at + 1)) {
    visit(path.substr(0, at));
  }
}

}  // namespace

std::optional<Clash> find_clash(const Intent& intent) {
  std::unordered_map<std::string_view, std::size_t> files;
  for (std::size_t i = 0; i < intent.artifacts.size(); ++i) {
    const ArtifactIntent& artifact = intent.artifacts.at(i);
    if (!artifact.absent) files.emplace(artifact.name, i);
  }
  std::optional<Clash> first;
  const auto later = [](const Clash& clash) { return std::max(clash.file, clash.below); };
  for (std::size_t i = 0; i < intent.artifacts.size(); ++i) {
    const ArtifactIntent& artifact = intent.artifacts.at(i);
    if (artifact.absent) continue;
    each_directory(artifact.name, [&](std::string_view directory) {
      const auto found = files.find(directory);
      if (found == files.end()) return;
      TRUED_ASSERT(found->second != i);  // a directory's name is shorter than what is below it
      const Clash clash{.file = found->second, .below = i};
      if (!first || later(clash) < later(*first)) first = clash;
    });
  }
  return first;
}

std::string describe(const Intent& intent, const Clash& clash) {
  return "'" + intent.artifacts.at(clash.file).name + "' cannot be a file and hold '" +
         intent.artifacts.at(clash.below).name + "'";
}

std::vector<bool> giving_way(const Intent& intent) {
  std::vector<bool> gives(intent.artifacts.size(), false);
  if (std::ranges::none_of(intent.artifacts, &ArtifactIntent::absent)) return gives;
  std::unordered_set<std::string_view> directories;
  for (const ArtifactIntent& artifact : intent.artifacts) {
    if (artifact.absent) continue;
    each_directory(artifact.name,
                   [&](std::string_view directory) { directories.insert(directory); });
  }
  for (std::size_t i = 0; i < gives.size(); ++i) {
    const ArtifactIntent& artifact = intent.artifacts.at(i);
    gives.at(i) = artifact.absent && directories.contains(artifact.name);
  }
  return gives;
}

}  // namespace trued
