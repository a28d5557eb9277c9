// A configuration is taken or refused with its faults, as `trued check` does it; it never ends the
// program. SCRATCH stands for a directory of our own, in which there are repositories and secrets.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "base/assert.h"
#include "config/config.h"
#include "embed/definitions.h"
#include "target/exec/exec_target.h"
#include "target/http/http_reader.h"
#include "target/http/http_target.h"
#include "target/postgres/postgres_target.h"

namespace {

using namespace trued;  // NOLINT: this file is nothing but their caller
namespace fs = std::filesystem;

class Scratch {
 public:
  Scratch() {
    std::string made = fs::temp_directory_path() / "trued-fuzz-XXXXXX";
    TRUED_ASSERT(::mkdtemp(made.data()) != nullptr);
    place_ = made;
    fs::create_directories(place_ / "repository" / ".git" / "worktrees" / "tree");
    fs::create_directories(place_ / "tree");
    fs::create_directories(place_ / "state");
    write("repository/.git/worktrees/tree/commondir", "../..\n");
    write("tree/.git", "gitdir: ../repository/.git/worktrees/tree\n");
    write("secret", "sixteen characters at least\r\n");
    write("empty", "\n");
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(place_, ignored);
  }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(place_ / name) << text;
  }
  [[nodiscard]] std::string path() const { return place_.string(); }

 private:
  fs::path place_;
};

std::map<std::string, define::Faults> wrong_operations(const config::Config& config) {
  const Targets targets = targets_to_check(config.targets);
  const define::Surroundings around{.targets = targets,
                                    .definitions = config.operations,
                                    .remembers = remembers_of(config.targets)};
  std::map<std::string, define::Faults> faults;
  for (const auto& [name, definition] : config.operations) {
    faults.emplace(name, check_definition(*definition, around));
  }
  return faults;
}

config::Rules rules_in(const Scratch& scratch) {
  return {.serving =
              [](const ServingSpec& spec) {
                const auto reader = HttpReader::open({.url = spec.url, .headers = spec.headers});
                return reader.has_value() ? std::string() : reader.error().message;
              },
          .http = [](const HttpSpec& spec) { return wrong_with(spec); },
          .postgres = [](const PostgresSpec& spec) { return wrong_with(spec); },
          .exec = [](const ExecSpec& spec) { return wrong_with(spec); },
          .operations = wrong_operations,
          .state_dir_default = scratch.path() + "/state"};
}

void say_all(const config::Loaded& loaded) {
  for (const config::Fault& fault : loaded.faults) {
    TRUED_ASSERT(!config::to_string(fault).empty());
  }
}

// What is no file is refused as well.
bool refuses_no_file(const Scratch& scratch, const config::Rules& rules) {
  for (const std::string& path : {scratch.path(), scratch.path() + "/nothing"}) {
    const config::Loaded loaded = config::load(path, rules);
    TRUED_ASSERT(loaded.faults.size() == 1);
    say_all(loaded);
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  static const Scratch scratch;
  static const config::Rules rules = rules_in(scratch);
  static const bool refused = refuses_no_file(scratch, rules);
  TRUED_ASSERT(refused);
  std::string text(reinterpret_cast<const char*>(data), size);
  constexpr std::string_view kPlace = "SCRATCH";
  for (std::size_t at = 0; (at = text.find(kPlace, at)) != std::string::npos;) {
    text.replace(at, kPlace.size(), scratch.path());
    at += scratch.path().size();
  }
  say_all(config::parse(text, "trued.toml", rules));
  return 0;
}
