// A fixed set of worlds in every test run, and that the checkers can fail.
#include "sim/simulation.h"

#include <gtest/gtest.h>

#include "sim/auditor.h"

namespace trued::sim {
namespace {

TEST(Simulation, V1_V3_V6_V7_V10_T1_T2_T3_T5_T6_invariants_hold_in_many_worlds) {
  Coverage coverage;
  for (std::uint64_t seed = 1; seed <= 120; ++seed) {
    const Outcome outcome = simulate(draw_options(seed), false, coverage);
    ASSERT_EQ(outcome.violation, "") << "./dev sim --seed " << seed << " --minimize";
  }
  for (const char* reached : {"state confirmed",
                              "state unchanged",
                              "state superseded",
                              "state failed",
                              "state needs_action",
                              "state unknown",
                              "state acknowledged",
                              "state canceled",
                              "state retired",
                              "decision duplicate",
                              "decision in_flight",
                              "decision conflict",
                              "decision late",
                              "event recovered",
                              "event late_evidence",
                              "event lie_caught",
                              "event person_acted",
                              "lie swallowed",
                              "lie noop",
                              "lie empty",
                              "lie partial",
                              "lie truncated",
                              "tell swallowed_race",
                              "tell partial_landing",
                              "tell truncated",
                              "fault outage",
                              "seen held",
                              "seen breaker opened",
                              "seen leased",
                              "seen lease lost",
                              "seen worker killed",
                              "seen completion counted",
                              "seen completion repeated",
                              "seen completion too late",
                              "seen buggify: contents not kept in memory",
                              "seen buggify: a read that is asked for again while it runs",
                              "seen node stalled",
                              "seen node took over",
                              "seen node overtaken",
                              "seen commit fenced",
                              "state compensated"}) {
    EXPECT_GT(coverage[reached], 0U) << reached << " was never seen";
  }
}

// Every seed of the past that found something; the fault stays fixed.
TEST(Simulation, T6_seeds_that_found_something) {
  Coverage coverage;
  for (const std::uint64_t seed :
       {29ULL,        347ULL,         382ULL,       530ULL,       621ULL,
        795ULL,       1'073ULL,       1'167ULL,     3'016ULL,     4'013ULL,
        6'860ULL,     1'101'906ULL,   1'104'131ULL, 1'113'335ULL, 1'117'495ULL,
        1'138'885ULL, 749'571'952ULL, 14'736ULL,    7'448ULL,     1'234ULL}) {
    EXPECT_EQ(simulate(draw_options(seed), false, coverage).violation, "") << seed;
  }
}

TEST(Simulation, the_same_seed_is_the_same_world) {
  Coverage coverage;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const Outcome once = simulate(draw_options(seed), true, coverage);
    const Outcome again = simulate(draw_options(seed), true, coverage);
    ASSERT_EQ(once.trace, again.trace) << seed;
    EXPECT_EQ(once.digest, again.digest);
    EXPECT_GT(once.lines, 10U);
  }
}

}  // namespace
}  // namespace trued::sim
