#include "config/places.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <sys/stat.h>
#include <system_error>
#include <utility>

namespace trued::config {
namespace {

namespace fs = std::filesystem;

std::string canonical_url(std::string url) {
  const std::size_t path = url.find('/', url.find("://") + 3);
  const std::size_t host_end = std::min(path, url.size());
  std::ranges::transform(
      url.begin(), url.begin() + static_cast<std::ptrdiff_t>(host_end), url.begin(),
      [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  while (url.ends_with('/')) url.pop_back();
  if (url.ends_with(".git")) url.resize(url.size() - 4);
  return url;
}

fs::path canonical_path(const fs::path& text) {
  std::error_code failure;
  fs::path path = fs::weakly_canonical(fs::absolute(text, failure), failure);
  if (failure) return text.lexically_normal();
  return path.has_filename() ? path : path.parent_path();
}

using FileId = std::pair<dev_t, ino_t>;

std::optional<FileId> id_of(const fs::path& path) {
  struct stat found{};
  if (::stat(path.c_str(), &found) != 0) return std::nullopt;
  return FileId(found.st_dev, found.st_ino);
}

/// A place in the file system, whether or not there is something yet.
class Place {
 public:
  explicit Place(const fs::path& text) : path_(canonical_path(text)), id_(id_of(path_)) {
    for (fs::path at = path_; at != at.parent_path(); at = at.parent_path()) {
      if (const auto id = id_of(at)) way_.push_back(*id);
    }
    if (const auto root = id_of("/")) way_.push_back(*root);
  }

  /// It is `other`, or somewhere below it. By path and by what stands there: a directory may be
  /// mounted twice, and names may differ only in case.
  [[nodiscard]] bool within(const Place& other) const {
    if (other.id_ && std::ranges::find(way_, *other.id_) != way_.end()) return true;
    const auto ends = std::ranges::mismatch(other.path_, path_);
    return ends.in1 == other.path_.end();
  }
  [[nodiscard]] bool same(const Place& other) const { return within(other) && other.within(*this); }
  [[nodiscard]] std::string shown() const { return "'" + path_.string() + "'"; }

 private:
  fs::path path_;
  std::optional<FileId> id_;
  std::vector<FileId> way_;  ///< of it and of all above it, as far as they exist
};

std::string first_line(const fs::path& file) {
  std::ifstream input(file);
  std::string line;
  std::getline(input, line);
  return line;
}

// Where git keeps what it knows: the repository itself if it is bare, and one place for all working
// trees of a repository.
fs::path git_directory(const fs::path& repository) {
  constexpr std::string_view kPointer = "gitdir: ";
  std::error_code failure;
  fs::path directory = repository;
  if (fs::exists(repository / ".git", failure)) directory /= ".git";
  if (fs::is_regular_file(directory, failure)) {
    const std::string line = first_line(directory);
    if (line.starts_with(kPointer)) directory = repository / line.substr(kPointer.size());
  }
  const std::string common = first_line(directory / "commondir");
  return common.empty() ? directory : directory / common;
}

/// Where one target writes.
struct Ground {
  const TargetSpec* spec;
  std::string url;             ///< of a remote repository
  std::optional<Place> place;  ///< of all others
};

std::optional<Ground> ground_of(const TargetSpec& spec) {
  if (spec.location.empty()) return std::nullopt;
  if (spec.kind == "file") return Ground{&spec, "", Place(spec.location)};
  if (spec.kind != "git") return std::nullopt;
  if (is_http_url(spec.location)) return Ground{&spec, canonical_url(spec.location), std::nullopt};
  fs::path directory = git_directory(canonical_path(spec.location));
  // Nothing is there yet: a repository and its ".git" are one.
  std::error_code failure;
  if (directory.filename() == ".git" && !fs::exists(directory, failure)) {
    directory = directory.parent_path();
  }
  return Ground{&spec, "", Place(directory)};
}

// A branch that is not named may be any.
bool may_be_one_branch(const TargetSpec& a, const TargetSpec& b) {
  return a.branch == b.branch || a.branch.empty() || b.branch.empty();
}

constexpr const char* kTurns = "writes through the two would not take turns: ";

std::string wrong_with_repositories(const Ground& one, const Ground& other) {
  const bool same = one.place && other.place ? one.place->same(*other.place)
                                             : !one.url.empty() && one.url == other.url;
  if (!same || !may_be_one_branch(*one.spec, *other.spec)) return "";
  const bool open = one.spec->branch != other.spec->branch;
  return "is the same place as that of target '" + other.spec->name + "'" +
         (open ? " unless both name their branch" : "") + "; " + kTurns + "use one target for it";
}

std::string wrong_with_directories(const Ground& one, const Ground& other) {
  const std::string name = "target '" + other.spec->name + "'";
  if (one.place->same(*other.place)) {
    return "is the same place as that of " + name + "; " + kTurns + "use one target for it";
  }
  const bool inside = one.place->within(*other.place);
  if (!inside && !other.place->within(*one.place)) return "";
  return one.place->shown() + (inside ? " lies inside that of " : " contains that of ") + name +
         " (" + other.place->shown() + "); " + kTurns +
         "give each a directory outside the other, or use one target for both";
}

// One is a directory, the other a repository. Beside the working tree there is nothing wrong.
std::string wrong_with_mixture(const Ground& one, const Ground& other) {
  const bool inside = one.place->within(*other.place);
  if (!inside && !other.place->within(*one.place)) return "";
  return one.place->shown() + (inside ? " lies inside that of " : " contains that of ") +
         "target '" + other.spec->name + "' (" + other.place->shown() +
         "); a file could be written into the repository itself: keep them apart";
}

std::string wrong_between(const Ground& one, const Ground& other) {
  const bool repository = one.spec->kind == "git";
  if (repository && other.spec->kind == "git") return wrong_with_repositories(one, other);
  if (!one.place || !other.place) return "";
  return one.spec->kind == other.spec->kind ? wrong_with_directories(one, other)
                                            : wrong_with_mixture(one, other);
}

// A file of a target must not be able to replace what the server records.
void check_own_files(const Config& config, const Rules& rules, const Ground& ground,
                     std::vector<Wrong>& out) {
  std::string state = rules.state_dir_option;
  if (state.empty()) state = config.state_dir;
  if (state.empty()) state = rules.state_dir_default;
  const std::string ledger = ledger_path(config.ledger).value_or("");
  for (const auto& [what, path] :
       {std::pair("the ledger", ledger), {"the state directory", state}}) {
    if (path.empty() || !Place(path).within(*ground.place)) continue;
    out.push_back({{"target", ground.spec->name, "directory"},
                   ground.place->shown() + " holds " + what + " (" + Place(path).shown() +
                       "), so a write could replace what is recorded: keep them apart"});
    return;
  }
}

}  // namespace

void check_places(const Config& config, const Rules& rules, std::vector<Wrong>& out) {
  std::vector<Ground> seen;
  for (const TargetSpec& spec : config.targets) {
    auto ground = ground_of(spec);
    if (!ground) continue;
    for (const Ground& other : seen) {
      std::string wrong = wrong_between(*ground, other);
      if (wrong.empty()) continue;
      out.push_back({{"target", spec.name, spec.kind == "file" ? "directory" : "repository"},
                     std::move(wrong)});
      break;
    }
    if (spec.kind == "file") check_own_files(config, rules, *ground, out);
    seen.push_back(*std::move(ground));
  }
}

}  // namespace trued::config
