// ./dev sim: many worlds, or one of them with its trace.
#include <chrono>
#include <cstdio>
#include <string>

#include <CLI/CLI.hpp>

#include "base/assert.h"
#include "base/random.h"
#include "sim/simulation.h"

namespace {

using namespace trued;       // NOLINT: this file is nothing but their command line
using namespace trued::sim;  // NOLINT

struct Arguments {
  std::uint64_t first = 1;
  std::uint64_t seeds = 1'000;
  std::optional<std::uint64_t> seed;
  bool minimize = false;
  bool once = false;
  bool coverage = false;
  bool fresh = false;
};

std::uint64_t seed_under_way = 0;

// An assertion ends the process; which world it was in is worth as much as what it says.
void say_seed(std::string_view expression, std::string_view file, int line) {
  const auto seed = static_cast<unsigned long long>(seed_under_way);
  std::printf("seed %llu: assertion failed: %.*s (%.*s:%d)\n  replay: ./dev sim --seed %llu\n",
              seed, static_cast<int>(expression.size()), expression.data(),
              static_cast<int>(file.size()), file.data(), line, seed);
  std::fflush(stdout);
}

int run_one(std::uint64_t seed, bool smaller) {
  seed_under_way = seed;
  Options options = draw_options(seed);
  Coverage coverage;
  Outcome outcome = simulate(options, true, coverage);
  if (smaller && !outcome.violation.empty()) {
    options = minimize(options);
    outcome = simulate(options, true, coverage);
  }
  std::printf("seed %llu\n%s\n%s", static_cast<unsigned long long>(seed),
              to_string(options).c_str(), outcome.trace.c_str());
  std::printf("digest %s\n%s\n", outcome.digest.hex().c_str(),
              outcome.violation.empty() ? "held" : ("VIOLATION " + outcome.violation).c_str());
  return outcome.violation.empty() ? 0 : 1;
}

void print(const Coverage& coverage) {
  for (const auto& [what, times] : coverage) {
    std::printf("  %-32s %llu\n", what.c_str(), static_cast<unsigned long long>(times));
  }
}

int run_many(const Arguments& arguments) {
  Coverage coverage;
  std::uint64_t operations = 0;
  std::uint64_t calls = 0;
  std::uint64_t lines = 0;
  const auto begin = std::chrono::steady_clock::now();
  for (std::uint64_t i = 0; i < arguments.seeds; ++i) {
    const std::uint64_t seed = arguments.first + i;
    seed_under_way = seed;
    const Options options = draw_options(seed);
    const Outcome outcome = simulate(options, false, coverage);
    std::string fault = outcome.violation;
    if (fault.empty() && !arguments.once) {
      Coverage unused;
      if (simulate(options, false, unused).digest != outcome.digest) {
        fault = "two runs of the seed differ: something real leaked into the simulation";
      }
    }
    operations += outcome.operations;
    calls += outcome.calls;
    lines += outcome.lines;
    if (fault.empty()) continue;
    std::printf("seed %llu: %s\n  replay: ./dev sim --seed %llu --minimize\n",
                static_cast<unsigned long long>(seed), fault.c_str(),
                static_cast<unsigned long long>(seed));
    return 1;
  }
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::printf(
      "%llu seeds held (%llu to %llu): %llu operations of %llu calls, %llu trace lines, "
      "%.1f s%s\n",
      static_cast<unsigned long long>(arguments.seeds),
      static_cast<unsigned long long>(arguments.first),
      static_cast<unsigned long long>(arguments.first + arguments.seeds - 1),
      static_cast<unsigned long long>(operations), static_cast<unsigned long long>(calls),
      static_cast<unsigned long long>(lines), seconds,
      arguments.once ? "" : "; each run twice, with equal digests");
  if (arguments.coverage) print(coverage);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Many simulated worlds, and what must never happen in any of them.", "sim");
  Arguments arguments;
  app.add_option("--seeds", arguments.seeds, "How many worlds (1000)");
  app.add_option("--first", arguments.first, "The first seed (1)");
  app.add_flag("--fresh", arguments.fresh, "Begin at a seed that nobody chose");
  app.add_option("--seed", arguments.seed, "One world, with its options and trace");
  app.add_flag("--minimize", arguments.minimize, "With --seed: leave out what does not matter");
  app.add_flag("--once", arguments.once, "Do not run each seed twice");
  app.add_flag("--coverage", arguments.coverage, "How often each state, event and fault was seen");
  CLI11_PARSE(app, argc, argv);
  // Short enough to be typed again.
  if (arguments.fresh) arguments.first = SystemRandom().next() % 1'000'000'000;
  set_assert_hook(&say_seed);
  if (arguments.seed) return run_one(*arguments.seed, arguments.minimize);
  return run_many(arguments);
}
