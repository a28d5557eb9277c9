// Every enum is spelled in one way, and read back from that spelling only.
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "core/evidence.h"
#include "core/identity.h"
#include "core/operation.h"
#include "core/verification.h"

namespace trued {
namespace {

bool lower_snake(std::string_view text) {
  return !text.empty() && text.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == text.npos;
}

template <class Enum>
std::set<std::string> names(unsigned count) {
  std::set<std::string> spelled;
  for (unsigned i = 0; i < count; ++i) {
    const std::string_view text = to_string(static_cast<Enum>(i));
    EXPECT_TRUE(lower_snake(text)) << text;
    spelled.emplace(text);
  }
  EXPECT_EQ(spelled.size(), count) << "two values with one name";
  return spelled;
}

template <class Enum>
void round_trip(unsigned count, std::optional<Enum> (*parse)(std::string_view)) {
  names<Enum>(count);
  for (unsigned i = 0; i < count; ++i) {
    const auto value = static_cast<Enum>(i);
    EXPECT_EQ(parse(to_string(value)), value) << to_string(value);
  }
  for (const std::string_view wrong : {"", "?", "CONFIRMED", "store ", " read", "none\n"}) {
    EXPECT_FALSE(parse(wrong).has_value()) << wrong;
  }
}

TEST(Names, T10_round_trip) {
  round_trip<State>(13, parse_state);
  round_trip<Status>(8, parse_status);
  round_trip<Priority>(3, parse_priority);
  round_trip<EffectKind>(7, parse_effect_kind);
  round_trip<Due>(5, parse_due);
  round_trip<PersonAction>(4, parse_person_action);
  round_trip<OnFailure>(3, parse_on_failure);
  round_trip<Level>(2, parse_level);
  round_trip<Verdict>(3, parse_verdict);
  round_trip<Tell>(9, parse_tell);
  round_trip<Seen>(3, parse_seen);
  round_trip<SubmitDecision>(5, parse_submit_decision);
}

TEST(Names, T10_what_is_only_written) {
  EXPECT_TRUE(names<NextAction>(5).contains("decide"));
  EXPECT_TRUE(names<Overall>(4).contains("nothing_to_read"));
  EXPECT_TRUE(names<Follow>(7).contains("attempt_again"));
}

TEST(Names, T4_a_new_submission_is_spelled_new) {
  EXPECT_EQ(to_string(SubmitDecision::fresh), "new");
  EXPECT_EQ(parse_submit_decision("new"), SubmitDecision::fresh);
  EXPECT_FALSE(parse_submit_decision("fresh").has_value());
}

TEST(Names, T11_every_event_has_its_name) {
  const Event events[] = {Accepted{},    AttemptStarted{}, BaselineRead{}, EffectEnded{},
                          ReadBack{},    WaitScheduled{},  LieCaught{},    Settled{},
                          PersonActed{}, Repeated{},       LateEvidence{}, Recovered{}};
  static_assert(std::size(events) == std::variant_size_v<Event>);
  const std::string_view want[] = {"accepted",     "attempt_started", "baseline_read",
                                   "effect_ended", "read_back",       "wait_scheduled",
                                   "lie_caught",   "settled",         "person_acted",
                                   "repeated",     "late_evidence",   "recovered"};
  for (std::size_t i = 0; i < std::size(events); ++i) EXPECT_EQ(name_of(events[i]), want[i]);
}

}  // namespace
}  // namespace trued
