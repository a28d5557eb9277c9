// Properties of the machine over any interleaving of inputs, and over a target that lies for ever.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/overloaded.h"
#include "base/random.h"
#include "core/operation.h"
#include "core/test_support.h"

namespace trued {
namespace {

using test::Found;
using test::Life;
using test::Past;

// More cases than rapidcheck's default; a value given from outside wins.
const bool kConfigured = [] { return setenv("RC_PARAMS", "max_success=400", 0) == 0; }();

// Choices drawn from one list of words: the same words give the same run, and fewer words a shorter
// one, so that a failing run shrinks.
class Choices {
 public:
  explicit Choices(std::vector<std::uint64_t> words) : words_(std::move(words)) {}
  bool more() const { return next_ < words_.size(); }
  void advance() {
    mixer_ = SeededRandom(words_.at(next_));
    ++next_;
  }
  std::uint64_t word() { return mixer_.next(); }
  std::uint32_t below(std::uint32_t bound) { return static_cast<std::uint32_t>(word() % bound); }
  bool chance(std::uint32_t of) { return below(of) == 0; }

 private:
  std::vector<std::uint64_t> words_;
  std::size_t next_ = 0;
  SeededRandom mixer_{0};
};

Policy any_policy(Choices& choices) {
  Policy policy = test::policy_for({.idempotent = !choices.chance(4),
                                    .deduplicates = choices.chance(4),
                                    .history = choices.chance(2)});
  policy.retry.attempts_max = 1 + choices.below(4);
  policy.store.reads_max = choices.below(5);
  policy.serving.reads_max = choices.below(5);
  policy.unreadable.reads_max = choices.below(5);
  policy.has_serving = choices.chance(2);
  policy.verify = !choices.chance(5);
  policy.on_failure = static_cast<OnFailure>(choices.below(3));
  policy.compensable = choices.chance(2);
  if (choices.chance(3)) policy.lease = Duration{1'000 + choices.below(60'000)};
  return policy;
}

Found any_found(Choices& choices) { return static_cast<Found>(choices.below(6)); }

std::vector<Observation> any_reads(Choices& choices, const Operation& operation) {
  std::vector<Observation> reads;
  const bool all_ours = choices.chance(3);
  for (std::uint32_t i = 0; i < operation.artifacts.size(); ++i) {
    if (choices.chance(12)) continue;
    const Found found = all_ours ? Found::ours : any_found(choices);
    reads.push_back(test::seen(i, found));
    if (!operation.has_serving || found != Found::ours) continue;
    reads.push_back(test::seen(i, all_ours ? Found::ours : any_found(choices), Level::serving));
    reads.back().served_by = choices.chance(2) ? "east" : "west";
  }
  if (choices.chance(20)) reads.push_back(test::seen(9, Found::other));
  return reads;
}

History any_history(Choices& choices, const Operation& operation) {
  if (choices.chance(2)) return {};
  std::vector<Past> past;
  for (std::size_t i = 0; i < operation.artifacts.size(); ++i) {
    past.push_back(static_cast<Past>(choices.below(3)));
  }
  if (choices.chance(20)) past.push_back(Past::landed);
  History told = test::history(past);
  told.reported_present = choices.chance(2);
  return told;
}

AttemptReport any_report(Choices& choices, const Operation& operation, std::uint32_t attempt) {
  AttemptReport report;
  report.attempt = AttemptNo(attempt);
  report.effect = test::ended(static_cast<EffectKind>(choices.below(7)), "as the dice fell");
  report.effect.attempt = AttemptNo(choices.below(5));
  report.reads = any_reads(choices, operation);
  report.history = any_history(choices, operation);
  if (choices.chance(2)) report.baseline = any_reads(choices, operation);
  if (choices.chance(4)) report.retry_after = Duration{choices.below(90'000)};
  return report;
}

std::uint32_t any_attempt(Choices& choices, const Operation& operation) {
  return choices.chance(4) ? choices.below(6) : operation.attempts;
}

Input any_input(Choices& choices, Life& life) {
  const Operation& operation = life.operation;
  switch (choices.below(20)) {
    case 0:
    case 1:
      return Start{};
    case 2:
    case 3:
    case 4:
    case 5:
      return any_report(choices, operation, any_attempt(choices, operation));
    case 6:
    case 7:
    case 8:
      return ReadReport{.attempt = AttemptNo(any_attempt(choices, operation)),
                        .reads = any_reads(choices, operation),
                        .history = any_history(choices, operation)};
    case 9:
    case 10:
    case 11:
      life.now = std::max(life.now, operation.due_at.value_or(life.now));
      return TimerDue{};
    case 12:
      return TimerDue{};
    case 13:
      return Recover{};
    case 14:
      return PersonInput{static_cast<PersonAction>(choices.below(5)), "ada", ""};
    case 15:
      return UndoReport{.by = "op_other",
                        .done = choices.chance(2),
                        .later = choices.chance(4),
                        .reason = "because"};
    case 16:
    case 17:
    case 18:
      return Heartbeat{AttemptNo(any_attempt(choices, operation)), "w1",
                       any_reads(choices, operation)};
    default:
      // The wall clock may go back a little, or ahead beyond every deadline.
      life.now += Duration{static_cast<int>(choices.below(40'000)) - 4'000};
      return TimerDue{};
  }
}

// ---- An independent account of what was sent and seen, from the log alone -----------------------

struct Shadow {
  std::map<std::pair<std::uint32_t, Level>, Observation> seen;  ///< since the last attempt ended
  std::map<std::uint32_t, Observation> baseline;                ///< at the store
  std::map<std::uint32_t, Observation> newest;                  ///< ever read back at the store
  std::map<std::uint32_t, Observation> shown;                   ///< when a person said to try again
  History history;
  bool sent = false;
  bool denied = false;  ///< a person said that the last of it did not happen
};

void follow_log(Shadow& shadow, const Event& event) {
  const auto take = [&](const Observation& read) {
    shadow.seen[{read.artifact, read.level}] = read;
    if (read.level == Level::store) shadow.newest[read.artifact] = read;
  };
  std::visit(Overloaded{
                 [](const Accepted&) {},
                 [&](const AttemptStarted&) {
                   shadow.seen.clear();
                   shadow.history = {};
                 },
                 [&](const BaselineRead& e) {
                   for (const Observation& read : e.reads) {
                     if (read.level == Level::store) shadow.baseline[read.artifact] = read;
                   }
                 },
                 [&](const EffectEnded& e) {
                   const bool maybe =
                       e.kind == EffectKind::acknowledged || e.kind == EffectKind::unknown;
                   shadow.sent = shadow.sent || maybe;
                   shadow.denied = shadow.denied && !maybe;
                 },
                 [&](const ReadBack& e) {
                   for (const Observation& read : e.reads) take(read);
                   shadow.history = e.history;
                 },
                 [](const WaitScheduled&) {},
                 [](const LieCaught&) {},
                 [](const Settled&) {},
                 [&](const PersonActed& e) {
                   shadow.denied = shadow.denied || e.action == PersonAction::it_did_not;
                   if (e.action == PersonAction::retry) shadow.shown = shadow.newest;
                 },
                 [](const Repeated&) {},
                 [](const LateEvidence&) {},
                 [&](const Recovered&) {
                   shadow.sent = true;
                   shadow.denied = false;
                 },
             },
             event);
}

bool all_matched(const Operation& operation, const Shadow& shadow) {
  for (std::uint32_t i = 0; i < operation.artifacts.size(); ++i) {
    for (const Level level : {Level::store, Level::serving}) {
      if (level == Level::serving && !operation.has_serving) continue;
      const auto found = shadow.seen.find({i, level});
      if (found == shadow.seen.end()) return false;
      if (judge(operation.artifacts.at(i).meant, found->second) != Verdict::match) return false;
    }
  }
  return true;
}

// Invariant (6): what the last look at the store allows. Empty if it allows to write.
std::string forbidden(const Operation& operation, const Shadow& shadow, bool deduplicates) {
  for (std::uint32_t i = 0; i < operation.artifacts.size(); ++i) {
    const auto found = shadow.seen.find({i, Level::store});
    if (found == shadow.seen.end()) return "not looked at";
    const Observation& now = found->second;
    const Verdict verdict = judge(operation.artifacts.at(i).meant, now);
    if (verdict == Verdict::match) continue;
    if (verdict == Verdict::unreadable) {
      // Unless nothing is verified, and a person asked: it is the first attempt since.
      if (!operation.verify && operation.attempts_counted <= 1) continue;
      return "unreadable";
    }
    if (shadow.history.known) {
      const ArtifactHistory& entry = shadow.history.artifacts.at(i);
      if (entry.landed && !entry.replaced_by.empty()) return "replaced by a later writer";
      continue;
    }
    if (now.proper_prefix) continue;
    // A person has seen it, and has said to try again: it is the first attempt since.
    const auto shown = shadow.shown.find(i);
    const bool as_shown = shown != shadow.shown.end() && shown->second.seen == now.seen &&
                          (now.seen == Seen::absent || shown->second.id == now.id);
    if (as_shown && operation.attempts_counted <= 1) continue;
    const auto before = shadow.baseline.find(i);
    const bool known = before != shadow.baseline.end() && before->second.seen != Seen::unreadable;
    if (!known && deduplicates) continue;
    if (before == shadow.baseline.end() || before->second.seen == Seen::unreadable) {
      if (now.seen == Seen::absent && before == shadow.baseline.end()) continue;
      return "what stood there before is not known";
    }
    const bool same = now.seen == before->second.seen &&
                      (now.seen == Seen::absent || now.id == before->second.id);
    if (!same) return "neither the content before nor ours";
  }
  return {};
}

std::uint32_t reads_bound(const Policy& policy) {
  const auto of = [](const SettlePolicy& settle) { return std::max(settle.reads_max, 1U); };
  return of(policy.store) + of(policy.serving) + 2 * of(policy.unreadable) + 2;
}

const char* broken_bound(const Life& life) {
  const Operation& o = life.operation;
  if (o.attempts_counted > life.policy.retry.attempts_max) return "attempts past the bound";
  if (o.reads_done > reads_bound(life.policy)) return "reads past the bound";
  if (o.unreadable_rounds + o.serving_rounds > o.reads_done) return "rounds do not add up";
  const bool moves =
      o.due_for != Due::none || o.state == State::accepted || o.state == State::compensating;
  if (!is_settled(o.state) && !moves) return "open, and nothing will move it";
  if (is_settled(o.state) && o.due_for != Due::none) return "settled, and a timer is left";
  if (o.due_for != Due::none && !o.due_at) return "due at no time";
  const bool counts = is_settled(o.state) && o.state != State::needs_action;
  if (o.settled_at.has_value() != counts) return "settled_at";
  return nullptr;
}

// (8) What a worker has in its hands is nobody else's to forget, and what no worker had never left
// us.
std::string broken_lease(const Operation& before, const Input& input, const Life& life) {
  const Operation& o = life.operation;
  const auto* beat = std::get_if<Heartbeat>(&input);
  const bool runs = before.state == State::attempting;
  if (beat != nullptr) {
    const bool current = runs && beat->attempt.value() == before.attempts;
    if (!current && !life.last.refusal) return "(8) a lease of an attempt that does not run";
    if (life.last.refusal && life.last.refusal->code != "lease-lost") return "(8) refused how?";
    if (o.state != before.state || o.attempts != before.attempts) return "(8) a heartbeat moved it";
    if (o.due_at > before.deadline + life.policy.lease && o.due_at != before.due_at) {
      return "(8) a lease past the deadline";
    }
    return {};
  }
  if (!runs || o.state == State::attempting) return {};
  if (std::holds_alternative<Recover>(input) && is_leased(before)) return "(8) a lease forgotten";
  if (!std::holds_alternative<TimerDue>(input)) return {};
  const bool never_left = life.policy.lease.count() > 0 && !is_leased(before);
  for (const Event& event : life.last.events) {
    const auto* ended = std::get_if<EffectEnded>(&event);
    if (ended != nullptr && (ended->kind == EffectKind::not_sent) != never_left) {
      return "(8) silence taken for what it is not";
    }
  }
  return {};
}

// Everything that holds after one input; empty, or what is broken.
std::string broken(const Operation& before, const Input& input, const Life& life,
                   const Shadow& shadow_before, const Shadow& shadow) {
  const Operation& o = life.operation;
  const Decision& decision = life.last;
  if (const char* bound = broken_bound(life)) return bound;
  const bool settled_now = o.state != before.state;
  if (settled_now && o.state == State::confirmed && (!o.verify || !all_matched(o, shadow))) {
    return "(1) confirmed without reads that match";
  }
  if (settled_now && o.state == State::unchanged && (!o.verify || shadow.sent)) {
    return "(1) unchanged after something was sent";
  }
  if (settled_now && o.state == State::failed && shadow.sent && !shadow.denied) {
    return "(7) failed although an attempt may have happened";
  }
  const bool person = std::holds_alternative<PersonInput>(input);
  const auto* report = std::get_if<AttemptReport>(&input);
  const bool done_after_all = before.state == State::compensated && report != nullptr &&
                              o.state == State::needs_action &&
                              o.effect == EffectKind::acknowledged;
  if (is_settled(before.state) && o.state != before.state && !person && !done_after_all) {
    return "moved out of a settled state without a person";
  }
  std::size_t started = 0;
  for (const Event& event : decision.events) {
    started += std::holds_alternative<AttemptStarted>(event) ? 1U : 0U;
    if (const auto* lie = std::get_if<LieCaught>(&event)) {
      const bool claimed = o.effect == EffectKind::acknowledged;
      if (!claimed && lie->tell != Tell::overwritten) return "accused without a claim";
    }
  }
  std::size_t run = 0;
  for (const Action& action : decision.actions) {
    run += std::holds_alternative<RunAttempt>(action) ? 1U : 0U;
  }
  if (run != started || started > 1) return "an attempt is run if and only if it was recorded";
  const bool repeat = shadow_before.sent && before.state != State::accepted;
  if (started == 1 && repeat && !o.artifacts.empty()) {
    if (!std::holds_alternative<ReadReport>(input)) return "(6) a repeat without a look before";
    Shadow look = shadow_before;
    for (const Event& event : decision.events) {
      if (std::holds_alternative<ReadBack>(event)) follow_log(look, event);
    }
    if (const std::string why = forbidden(o, look, life.policy.capabilities.deduplicates);
        !why.empty()) {
      return "(6) written again: " + why;
    }
  }
  if (decision.refusal && !(decision.events.empty() && decision.actions.empty())) {
    return "refused, and acted on";
  }
  return broken_lease(before, input, life);
}

// (2): an answer of another attempt than the current one changes nothing.
bool fenced(const Operation& before, const Input& input, const Operation& after) {
  const auto* report = std::get_if<AttemptReport>(&input);
  const auto* read = std::get_if<ReadReport>(&input);
  const auto* beat = std::get_if<Heartbeat>(&input);
  if (beat != nullptr && beat->attempt.value() != before.attempts) {
    return test::dump(after) == test::dump(before);
  }
  if (report == nullptr && read == nullptr) return true;
  const AttemptNo attempt = report != nullptr ? report->attempt : read->attempt;
  if (attempt.value() == before.attempts) return true;
  Operation same = after;
  same.events = before.events;
  return after.events == before.events + 1 && test::dump(same) == test::dump(before);
}

// What the runs came by, so that a test can tell that nothing was left out.
struct Reached {
  std::set<State> states;
  std::set<std::string> events;
  bool looked_and_wrote = false;
  bool looked_and_stopped = false;
};

void note(Reached& reached, const Operation& before, const Life& life) {
  reached.states.insert(life.state());
  for (const Event& event : life.last.events) reached.events.emplace(name_of(event));
  if (before.due_for != Due::attempt || !before.sent || life.last.events.empty()) return;
  reached.looked_and_wrote |= life.state() == State::attempting;
  reached.looked_and_stopped |= life.state() == State::needs_action;
}

// One run of any inputs in any order; empty, or what went wrong and where.
std::string run(Choices choices, Reached& reached) {
  if (!choices.more()) return {};
  choices.advance();
  const Policy policy = any_policy(choices);
  Life life(policy, choices.below(4));
  Shadow shadow;
  for (std::size_t step = 1; choices.more(); ++step) {
    choices.advance();
    const Operation before = life.operation;
    const Shadow shadow_before = shadow;
    const Input input = any_input(choices, life);
    life.entropy = choices.word();
    life.take(input);
    for (const Event& event : life.last.events) follow_log(shadow, event);
    note(reached, before, life);
    std::string wrong = broken(before, input, life, shadow_before, shadow);
    if (wrong.empty() && !fenced(before, input, life.operation)) wrong = "(2) not fenced";
    if (wrong.empty() && test::dump(life.refolded()) != test::dump(life.operation)) {
      wrong = "(5) not the fold of its events";
    }
    const Decision again =
        decide(before, policy, input, {.now = life.now, .entropy = life.entropy});
    if (wrong.empty() && test::dump(again.after) != test::dump(life.operation)) {
      wrong = "the same input decided in two ways";
    }
    if (!wrong.empty()) {
      return wrong + " at step " + std::to_string(step) + "\nbefore:\n" + test::dump(before) +
             "after:\n" + test::dump(life.operation);
    }
  }
  return {};
}

RC_GTEST_PROP(Fold, V1_V3_V6_V7_V10_T1_invariants_hold_for_any_interleaving, ()) {
  const auto words = *rc::gen::container<std::vector<std::uint64_t>>(
      rc::gen::noShrink(rc::gen::resize(100, rc::gen::arbitrary<std::uint64_t>())));
  Reached reached;
  const std::string wrong = run(Choices(words), reached);
  if (!wrong.empty()) RC_FAIL(wrong);
}

TEST(Fold, V1_V3_V6_V7_V10_T1_invariants_hold_over_many_seeds) {
  Reached reached;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    SeededRandom mixer(seed);
    std::vector<std::uint64_t> words(60);
    for (std::uint64_t& word : words) word = mixer.next();
    ASSERT_EQ(run(Choices(words), reached), "") << "seed " << seed;
  }
  // All states, and all events that the machine itself records after acceptance.
  EXPECT_EQ(reached.states.size(), 13U);
  EXPECT_EQ(reached.events.size(), std::variant_size_v<Event> - 2U);
  EXPECT_TRUE(reached.looked_and_wrote);
  EXPECT_TRUE(reached.looked_and_stopped);
}

// V3 by itself: whatever comes, an artifact that cannot be read at the store is never written
// again.
RC_GTEST_PROP(Fold, V3_unreadable_never_leads_to_a_write, ()) {
  Choices choices(*rc::gen::container<std::vector<std::uint64_t>>(
      rc::gen::noShrink(rc::gen::resize(100, rc::gen::arbitrary<std::uint64_t>()))));
  if (!choices.more()) return;
  choices.advance();
  Life life(any_policy(choices), 2);
  life.start();
  life.report(test::ended(choices.chance(2) ? EffectKind::acknowledged : EffectKind::unknown));
  while (choices.more()) {
    choices.advance();
    Input input = any_input(choices, life);
    if (std::holds_alternative<PersonInput>(input)) continue;
    const auto blind = [](std::vector<Observation>& reads) {
      std::erase_if(reads, [](const Observation& read) { return read.artifact == 1; });
      reads.push_back(test::seen(1, Found::unreadable));
    };
    if (auto* report = std::get_if<AttemptReport>(&input)) blind(report->reads);
    if (auto* read = std::get_if<ReadReport>(&input)) blind(read->reads);
    life.entropy = choices.word();
    life.take(input);
    RC_ASSERT(life.operation.attempts == 1U);
    RC_ASSERT(life.state() != State::confirmed);
  }
}

// ---- Bounded: timers are always fired, the target lies for ever ---------------------------------

// Plays until it settles; how many inputs that took.
std::uint32_t steps_to_settle(Life& life, Choices& choices, bool may_stay_unsent) {
  constexpr std::uint32_t kGivenUp = 100'000;
  life.start();
  for (std::uint32_t step = 1; step < kGivenUp; ++step) {
    if (is_settled(life.state())) return step;
    life.entropy = choices.word();
    if (life.state() == State::attempting) {
      AttemptReport report = any_report(choices, life.operation, life.operation.attempts);
      const bool unsent = report.effect.kind == EffectKind::not_sent;
      if (unsent && !may_stay_unsent) report.effect.kind = EffectKind::acknowledged;
      std::erase_if(report.reads, [](const Observation& read) { return read.artifact == 0; });
      // Nor does it show what was meant before another attempt.
      std::erase_if(report.baseline, [&](const Observation& read) {
        return judge(life.operation.artifacts.front().meant, read) == Verdict::match;
      });
      report.reads.push_back(test::seen(0, choices.chance(2) ? Found::before : Found::unreadable));
      life.now += Duration{1 + choices.below(50)};
      life.take(report);
      continue;
    }
    life.timer();
    if (!test::runs_read(life.last)) continue;
    life.now += Duration{1 + choices.below(50)};
    life.read({test::seen(0, choices.chance(2) ? Found::before : Found::unreadable)},
              any_history(choices, life.operation));
  }
  return kGivenUp;
}

TEST(Fold, V7_a_lying_target_is_answered_in_a_bounded_number_of_steps) {
  for (std::uint64_t seed = 0; seed < 3'000; ++seed) {
    Choices choices({seed});
    choices.advance();
    Life life(any_policy(choices), 1);
    const std::uint32_t attempts = life.policy.retry.attempts_max;
    // For each attempt: its report, and for each read a timer and an answer.
    const std::uint32_t bound = attempts * (3 + 2 * reads_bound(life.policy)) + 2;
    ASSERT_LE(steps_to_settle(life, choices, false), bound) << "seed " << seed;
    EXPECT_NE(life.state(), State::confirmed);
  }
}

TEST(Fold, V7_what_never_leaves_us_is_bounded_by_the_deadline) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    Choices choices({seed});
    choices.advance();
    Life life(any_policy(choices), 1);
    ASSERT_LE(steps_to_settle(life, choices, true), 5'000U) << "seed " << seed;
    const Duration rest = life.policy.retry.cap + 20 * life.policy.unreadable.within;
    EXPECT_LE(life.now, life.operation.deadline + rest) << "seed " << seed;
  }
}

}  // namespace
}  // namespace trued
