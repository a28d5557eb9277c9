// Prints the decision tables that a reviewer reads, and compares them with the committed files.
// TRUED_UPDATE_SNAPSHOTS=1 rewrites the files.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "core/operation.h"
#include "core/test_support.h"
#include "core/verification.h"

namespace trued {
namespace {

using test::at_store;
using test::ended;
using test::Found;
using test::Life;

using Line = std::vector<std::string>;

// Columns as wide as their widest cell; no trailing blanks.
std::string aligned(const std::vector<Line>& lines) {
  std::vector<std::size_t> widths;
  for (const Line& line : lines) {
    widths.resize(std::max(widths.size(), line.size()));
    for (std::size_t i = 0; i < line.size(); ++i) {
      widths.at(i) = std::max(widths.at(i), line.at(i).size());
    }
  }
  std::string text;
  for (const Line& line : lines) {
    std::string row;
    for (std::size_t i = 0; i < line.size(); ++i) {
      row += line.at(i) + std::string(widths.at(i) - line.at(i).size() + 2, ' ');
    }
    row.erase(row.find_last_not_of(' ') + 1);
    text += row + '\n';
  }
  return text;
}

void compare_with_file(const std::string& text, const std::string& name) {
  const std::string path = std::string(TRUED_SOURCE_DIR) + "/src/core/" + name;
  const char* update = std::getenv("TRUED_UPDATE_SNAPSHOTS");
  if (update != nullptr && std::string_view(update) == "1") {
    std::ofstream(path) << text;
    return;
  }
  std::ifstream file(path);
  std::stringstream committed;
  committed << file.rdbuf();
  EXPECT_EQ(committed.str(), text)
      << name << " differs; if the change is meant, run this test with TRUED_UPDATE_SNAPSHOTS=1";
}

// ---- verification_table.txt ---------------------------------------------------------------------

using Flag = bool VerificationFacts::*;

struct NamedFlag {
  Flag flag;
  const char* name;
};

constexpr NamedFlag kFlags[] = {
    {&VerificationFacts::verify, "verify"},
    {&VerificationFacts::superseded, "superseded"},
    {&VerificationFacts::may_read_again, "may_read_again"},
    {&VerificationFacts::safe, "safe"},
    {&VerificationFacts::attempts_remain, "attempts_remain"},
};

// The lines that decide `facts` from flag `index` on; a flag that makes no difference shows as "-".
std::vector<Line> decided(VerificationFacts facts, std::size_t index) {
  if (index == std::size(kFlags)) return {{std::string(to_string(decide_follow(facts)))}};
  facts.*kFlags[index].flag = true;
  std::vector<Line> yes = decided(facts, index + 1);
  facts.*kFlags[index].flag = false;
  std::vector<Line> no = decided(facts, index + 1);
  const bool same = yes == no;
  std::vector<Line> all;
  const auto add = [&](std::vector<Line>& lines, const char* mark) {
    for (Line& line : lines) {
      line.insert(line.begin(), mark);
      all.push_back(std::move(line));
    }
  };
  add(yes, same ? "-" : "yes");
  if (!same) add(no, "no");
  return all;
}

TEST(Table, V1_V3_V6_V7_V10_verification_table) {
  std::vector<Line> lines{{"effect", "read-back"}};
  for (const NamedFlag& flag : kFlags) lines.front().emplace_back(flag.name);
  lines.front().emplace_back("follow");
  for (unsigned effect = 1; effect < 7; ++effect) {
    lines.emplace_back();
    for (unsigned overall = 0; overall < 4; ++overall) {
      VerificationFacts facts;
      facts.effect = static_cast<EffectKind>(effect);
      facts.overall = static_cast<Overall>(overall);
      for (Line& line : decided(facts, 0)) {
        line.insert(line.begin(), std::string(to_string(facts.overall)));
        line.insert(line.begin(), std::string(to_string(facts.effect)));
        lines.push_back(std::move(line));
      }
    }
  }
  compare_with_file(
      "What follows an attempt: decide_follow() of verification.h, generated from the code.\n"
      "\"-\": makes no difference. A repeat that was turned away after an attempt that may have\n"
      "happened is decided as unknown (follow.cpp).\n\n" +
          aligned(lines),
      "verification_table.txt");
}

// ---- operation_table.txt ------------------------------------------------------------------------

struct NamedLife {
  const char* name;
  Life life;
};

Life to_attempt_due() {
  Life life;
  life.start();
  life.report(ended(EffectKind::acknowledged), at_store({Found::before}));
  life.read_until_decided(at_store({Found::before}));
  return life;
}

Life in_second_attempt() {
  Life life = to_attempt_due();
  life.timed_read(at_store({Found::before}));
  return life;
}

Life after(EffectKind kind, Found found) {
  Life life;
  life.start();
  life.report(ended(kind, "because"), at_store({found}));
  return life;
}

Life forced(State state) {
  Life life = after(EffectKind::acknowledged, Found::ours);
  life.operation.state = state;
  return life;
}

Life undecided() {
  Life life = after(EffectKind::acknowledged, Found::other);
  life.read_until_decided(at_store({Found::other}));
  return life;
}

Life retried() {
  Life life = undecided();
  life.person(PersonAction::retry);
  return life;
}

Life turned_away_again() {
  Life life = in_second_attempt();
  life.report(ended(EffectKind::rejected_retryable, "busy"));
  return life;
}

Life superseded() {
  Life life;
  life.start();
  life.report(ended(EffectKind::acknowledged), at_store({Found::other}),
              test::history({test::Past::replaced}));
  return life;
}

Life unchanged() {
  Life life;
  life.start();
  AttemptReport report;
  report.effect = ended(EffectKind::skipped);
  report.baseline = at_store({Found::ours});
  life.take(report);
  return life;
}

Life opted_out() {
  Policy policy = test::policy_for();
  policy.verify = false;
  Life life(policy);
  life.start();
  life.report(ended(EffectKind::acknowledged));
  return life;
}

Life canceled() {
  Life life;
  life.person(PersonAction::cancel);
  return life;
}

Life begun() {
  Life life;
  life.start();
  return life;
}

Policy for_workers() {
  Policy policy = test::policy_for();
  policy.lease = Duration{30'000};
  return policy;
}

Life kept() {
  Life life(for_workers());
  life.start();
  return life;
}

Life leased() {
  Life life = kept();
  life.take(Heartbeat{.attempt = AttemptNo(1), .worker = "w1", .baseline = {}});
  return life;
}

std::vector<NamedLife> all_states() {
  return {
      {"accepted", Life()},
      {"accepted (backing off)", after(EffectKind::rejected_retryable, Found::before)},
      {"accepted (retried by a person)", retried()},
      {"attempting (first)", begun()},
      {"attempting (repeat)", in_second_attempt()},
      {"attempting (not handed out)", kept()},
      {"attempting (leased)", leased()},
      {"unknown (read due)", after(EffectKind::unknown, Found::before)},
      {"unknown (repeat turned away)", turned_away_again()},
      {"verifying (read due)", after(EffectKind::acknowledged, Found::before)},
      {"verifying (attempt due)", to_attempt_due()},
      {"confirmed", after(EffectKind::acknowledged, Found::ours)},
      {"unchanged", unchanged()},
      {"acknowledged", opted_out()},
      {"superseded", superseded()},
      {"failed", after(EffectKind::rejected_final, Found::before)},
      {"needs_action", undecided()},
      {"compensating", forced(State::compensating)},
      {"compensated", forced(State::compensated)},
      {"canceled", canceled()},
  };
}

struct NamedInput {
  std::string name;
  std::function<Input(const Operation&)> make;
};

NamedInput report_of(std::string name, EffectKind kind, std::vector<Observation> reads,
                     int offset = 0) {
  return {std::move(name), [=](const Operation& operation) -> Input {
            AttemptReport report;
            const int attempt = static_cast<int>(operation.attempts) + offset;
            report.attempt = AttemptNo(static_cast<std::uint32_t>(attempt));
            report.effect = ended(kind, "because");
            report.reads = reads;
            if (kind == EffectKind::skipped) report.baseline = at_store({Found::ours});
            return report;
          }};
}

NamedInput read_of(std::string name, Found found, int offset = 0) {
  return {std::move(name), [=](const Operation& operation) -> Input {
            const int attempt = static_cast<int>(operation.attempts) + offset;
            return ReadReport{.attempt = AttemptNo(static_cast<std::uint32_t>(attempt)),
                              .reads = at_store({found}),
                              .history = {}};
          }};
}

NamedInput beat_of(std::string name, int offset = 0) {
  return {std::move(name), [=](const Operation& operation) -> Input {
            const int attempt = static_cast<int>(operation.attempts) + offset;
            return Heartbeat{.attempt = AttemptNo(static_cast<std::uint32_t>(attempt)),
                             .worker = "w1",
                             .baseline = {}};
          }};
}

template <class Plain>
NamedInput plain(std::string name) {
  return {std::move(name), [](const Operation&) -> Input { return Plain{}; }};
}

NamedInput undone(std::string name, bool done) {
  return {std::move(name), [=](const Operation&) -> Input {
            return UndoReport{.by = "op_other", .done = done, .later = false, .reason = "because"};
          }};
}

NamedInput person(PersonAction action) {
  return {"person " + std::string(to_string(action)), [=](const Operation&) -> Input {
            return PersonInput{.action = action, .who = "ada", .why = ""};
          }};
}

std::vector<NamedInput> all_inputs() {
  return {
      plain<Start>("start"),
      report_of("report acknowledged, match", EffectKind::acknowledged, at_store({Found::ours})),
      report_of("report acknowledged, mismatch", EffectKind::acknowledged,
                at_store({Found::before})),
      report_of("report acknowledged, unreadable", EffectKind::acknowledged,
                at_store({Found::unreadable})),
      report_of("report unknown, match", EffectKind::unknown, at_store({Found::ours})),
      report_of("report unknown, not read", EffectKind::unknown, {}),
      report_of("report rejected_retryable", EffectKind::rejected_retryable, {}),
      report_of("report rejected_final", EffectKind::rejected_final, {}),
      report_of("report not_sent", EffectKind::not_sent, {}),
      report_of("report skipped, all held", EffectKind::skipped, {}),
      report_of("report none", EffectKind::none, {}),
      report_of("report of another attempt", EffectKind::acknowledged, at_store({Found::ours}), 1),
      read_of("read match", Found::ours),
      read_of("read mismatch", Found::before),
      read_of("read other content", Found::other),
      read_of("read unreadable", Found::unreadable),
      read_of("read of another attempt", Found::ours, 1),
      beat_of("heartbeat"),
      beat_of("heartbeat of another attempt", 1),
      plain<TimerDue>("timer"),
      plain<Recover>("recover"),
      person(PersonAction::it_happened),
      person(PersonAction::it_did_not),
      person(PersonAction::retry),
      person(PersonAction::cancel),
      person(PersonAction::compensate),
      undone("undone", true),
      undone("not undone", false),
  };
}

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : " ") + part;
  return text.empty() ? "-" : text;
}

Line decided(const NamedLife& from, const NamedInput& input) {
  Life life = from.life;
  life.now = life.operation.due_at.value_or(life.now);
  const Decision& decision = life.take(input.make(life.operation));
  std::vector<std::string> events;
  for (const Event& event : decision.events) {
    std::string name(name_of(event));
    if (const auto* wait = std::get_if<WaitScheduled>(&event)) {
      name += '(' + std::string(to_string(wait->due_for)) + ')';
    }
    if (const auto* lie = std::get_if<LieCaught>(&event)) {
      name += '(' + std::string(to_string(lie->tell)) + ')';
    }
    events.push_back(std::move(name));
  }
  std::vector<std::string> actions;
  for (const Action& action : decision.actions) {
    constexpr std::array kActions{"run_attempt", "run_read", "run_undo"};
    actions.emplace_back(kActions.at(action.index()));
  }
  const std::string next =
      life.state() == from.life.state() ? "=" : std::string(to_string(life.state()));
  return {from.name,
          input.name,
          next,
          joined(actions),
          decision.refusal ? decision.refusal->code : "-",
          joined(events)};
}

TEST(Table, V7_T1_every_state_and_input_is_decided) {
  std::vector<Line> lines{{"state", "input", "next", "action", "refusal", "events"}};
  std::vector<bool> seen(13);
  for (const NamedLife& from : all_states()) {
    seen.at(static_cast<std::size_t>(from.life.state())) = true;
    lines.emplace_back();
    for (const NamedInput& input : all_inputs()) lines.push_back(decided(from, input));
  }
  EXPECT_EQ(std::ranges::count(seen, true), 13) << "a state is missing from the table";
  compare_with_file(
      "Every state and every kind of input, decided: decide() of operation.h, generated from the\n"
      "code. One artifact, three attempts, a target that is idempotent and has no history; timers\n"
      "fire when they are due. \"=\": the state stays. Leases only where the state says so.\n\n" +
          aligned(lines),
      "operation_table.txt");
}

}  // namespace
}  // namespace trued
