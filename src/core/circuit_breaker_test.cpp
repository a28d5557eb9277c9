#include "core/circuit_breaker.h"

#include <charconv>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace trued {
namespace {

constexpr Duration kPatience{60'000};
constexpr std::uint64_t kLongest = std::numeric_limits<std::uint64_t>::max();

// The pauses without chance: entropy that gives the shortest, half of what is meant.
BreakerPolicy policy() {
  return {.enabled = true,
          .consecutive = 3,
          .rate_permille = 500,
          .minimum = 10,
          .window = Duration{30'000},
          .open = Duration{4'000},
          .open_max = Duration{20'000}};
}

using Ballot = CircuitBreaker::Ballot;

// One line, one step: "f1" operation 1 fails, "a1" it is answered, "+500" time goes on, "p" a probe
// is sent, "P" a probe fails, "A" a probe is answered, "e" a probe says nothing.
std::string run(const std::string& script, BreakerPolicy given = policy()) {
  CircuitBreaker breaker(given, kPatience);
  std::vector<Ballot> ballots(10);
  Duration now{1'000'000};
  Ballot nobody;
  for (std::size_t i = 0; i < script.size(); ++i) {
    const char c = script.at(i);
    if (c == ' ') continue;
    if (c == '+') {
      int span = 0;
      const char* const end =
          std::from_chars(&script.at(i + 1), script.data() + script.size(), span).ptr;
      now += Duration{span};
      i = static_cast<std::size_t>(end - script.data()) - 1;
    }
    breaker.pass(now);
    const auto whose = [&] { return static_cast<std::size_t>(script.at(++i) - '0'); };
    if (c == 'f') breaker.failed(ballots.at(whose()), now, 0, false);
    if (c == 'a') breaker.answered(ballots.at(whose()), now, false);
    if (c == 'p') breaker.begin_probe(now);
    if (c == 'P') breaker.failed(nobody, now, 0, true);
    if (c == 'A') breaker.answered(nobody, now, true);
    if (c == 'e') breaker.end_probe();
  }
  return std::string(to_string(breaker.state())) + (breaker.admits() ? " admits" : " holds");
}

TEST(CircuitBreaker, T5_its_table) {
  const struct {
    const char* script;
    const char* expected;
  } kTable[] = {
      {"", "closed admits"},
      {"f1 f2", "closed admits"},
      {"f1 f2 f3", "open holds"},
      {"f1 f2 a4 f3", "closed admits"},     // an answer ends the row
      {"f1 f1 f1 f1 f1", "closed admits"},  // one operation, one vote
      {"f1 f2 a4 f1 f2 f3", "open holds"},  // a new row counts everybody anew
      {"f1 f2 f3 +1999", "open holds"},     // the shortest pause is half of open
      {"f1 f2 f3 +2000", "half_open admits"},
      {"f1 f2 f3 +2000 p", "half_open admits"},
      {"f1 f2 f3 +2000 p p", "half_open holds"},     // a few
      {"f1 f2 f3 +2000 p p e", "half_open admits"},  // one of them was never made
      {"f1 f2 f3 +2000 p A", "closed admits"},
      {"f1 f2 f3 +2000 p P", "open holds"},
      {"f1 f2 f3 +2000 p P +3999", "open holds"},  // twice as long
      {"f1 f2 f3 +2000 p P +4000", "half_open admits"},
      {"f1 f2 f3 +2000 p a1", "half_open admits"},  // a late answer closes nothing
      {"f1 f2 f3 +2000 p f4 f5 f6", "half_open admits"},
      {"f1 f2 f3 a1", "open holds"},
      {"f1 f2 f3 +2000 p A f1 f2", "closed admits"},        // what was before is forgotten
      {"f1 f2 f3 +2000 p A f1 f2 f3 +2000", "open holds"},  // back too soon: twice as long
      {"f1 f2 f3 +2000 p A +30000 f1 f2 f3 +2000", "half_open admits"},  // it had stayed closed
  };
  for (const auto& row : kTable) EXPECT_EQ(run(row.script), row.expected) << row.script;
}

TEST(CircuitBreaker, T5_half_of_twenty_operations_open_it_and_one_of_nineteen_do_not) {
  BreakerPolicy given = policy();
  given.consecutive = 1'000;
  given.minimum = 20;
  for (const int operations : {19, 20}) {
    CircuitBreaker breaker(given, kPatience);
    std::vector<Ballot> ballots(20);
    for (int i = 0; i < operations; ++i) {
      const auto at = static_cast<std::size_t>(i);
      if (i % 2 == 0) breaker.answered(ballots.at(at), Duration{1'000'000}, false);
      if (i % 2 == 1) breaker.failed(ballots.at(at), Duration{1'000'000}, 0, false);
    }
    EXPECT_EQ(breaker.state() == BreakerState::open, operations == 20);
  }
}

TEST(CircuitBreaker, T5_votes_older_than_the_window_are_forgotten) {
  BreakerPolicy given = policy();
  given.consecutive = 1'000;
  given.minimum = 4;
  CircuitBreaker breaker(given, kPatience);
  std::vector<Ballot> ballots(8);
  Duration now{1'000'000};
  for (std::size_t i = 0; i < 3; ++i) breaker.failed(ballots.at(i), now, 0, false);
  now += given.window;
  breaker.failed(ballots.at(3), now, 0, false);
  EXPECT_EQ(breaker.state(), BreakerState::closed);
  for (std::size_t i = 0; i < 3; ++i) breaker.failed(ballots.at(i), now, 0, false);
  EXPECT_EQ(breaker.state(), BreakerState::open) << "and who failed then may say so again";
}

TEST(CircuitBreaker, T5_a_probe_that_never_ends_is_overdue) {
  CircuitBreaker breaker(policy(), kPatience);
  std::vector<Ballot> ballots(3);
  Duration now{1'000'000};
  for (Ballot& ballot : ballots) breaker.failed(ballot, now, 0, false);
  now = breaker.open_until();
  breaker.pass(now);
  breaker.begin_probe(now);
  EXPECT_FALSE(breaker.overdue(now + kPatience));
  EXPECT_TRUE(breaker.overdue(now + kPatience + Duration{1}));
}

TEST(CircuitBreaker, T5_switched_off_it_never_opens) {
  BreakerPolicy given = policy();
  given.enabled = false;
  EXPECT_EQ(run("f1 f2 f3 f4 f5 f6", given), "closed admits");
}

RC_GTEST_PROP(CircuitBreaker, T5_pauses_grow_and_are_bounded, ()) {
  BreakerPolicy given = policy();
  given.open = Duration{*rc::gen::inRange(1, 10'000)};
  given.open_max = given.open * *rc::gen::inRange(1, 100);
  CircuitBreaker breaker(given, kPatience);
  Duration now{1'000'000};
  Duration meant = given.open;
  std::vector<Ballot> ballots(3);
  for (Ballot& ballot : ballots)
    breaker.failed(ballot, now, *rc::gen::arbitrary<std::uint64_t>(), false);
  for (int i = 0; i < 20; ++i) {
    RC_ASSERT(breaker.state() == BreakerState::open);
    const Duration pause = breaker.open_until() - now;
    RC_ASSERT(pause >= meant / 2 && pause <= meant);
    now = breaker.open_until();
    breaker.pass(now);
    RC_ASSERT(breaker.state() == BreakerState::half_open);
    breaker.begin_probe(now);
    Ballot ballot;
    breaker.failed(ballot, now, *rc::gen::element(std::uint64_t{0}, kLongest, std::uint64_t{77}),
                   true);
    meant = std::min(meant * 2, given.open_max);
  }
}

// Whatever comes in whatever order: nothing passes while it is open, few while it is half-open.
RC_GTEST_PROP(CircuitBreaker, T5_never_lets_more_through_than_it_says, ()) {
  CircuitBreaker breaker(policy(), kPatience);
  std::vector<Ballot> ballots(6);
  Duration now{1'000'000};
  std::uint32_t probes = 0;
  std::uint64_t opening = 0;
  for (int i = 0; i < 300; ++i) {
    now += Duration{*rc::gen::inRange(0, 2'000)};
    breaker.pass(now);
    if (breaker.openings() != opening) {
      opening = breaker.openings();
      probes = 0;
    }
    RC_ASSERT(breaker.admits() ==
              (now >= breaker.open_until() &&
               (breaker.state() == BreakerState::closed || probes < CircuitBreaker::kProbesMax)));
    Ballot& ballot = ballots.at(*rc::gen::inRange<std::size_t>(0, ballots.size()));
    const bool probing = breaker.probes() && probes > 0 && *rc::gen::arbitrary<bool>();
    if (breaker.probes() && breaker.admits()) {
      breaker.begin_probe(now);
      ++probes;
    }
    if (*rc::gen::inRange(0, 3) == 0) {
      breaker.answered(ballot, now, probing);
    } else {
      breaker.failed(ballot, now, *rc::gen::arbitrary<std::uint64_t>(), probing);
    }
    if (breaker.state() == BreakerState::closed) probes = 0;
  }
}

}  // namespace
}  // namespace trued
