#include "ledger/durability_watch.h"

#include <atomic>
#include <mutex>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace trued {
namespace {

class HandClock final : public Clock {
 public:
  WallTime wall() override { return WallTime(Duration{1'800'000'000'000} + now.load()); }
  std::chrono::nanoseconds monotonic() override { return now.load(); }
  std::atomic<Duration> now{Duration{0}};
};

Durability at(DurabilityLevel level, const std::string& because = "so it is set") {
  Durability out;
  out.level = level;
  out.sentence = because;
  return out;
}

/// A ledger that promises what the test says, or cannot be asked; asked by hand alone.
class Watched : public ::testing::Test {
 protected:
  std::unique_ptr<DurabilityWatch> watch(DurabilityLevel floor) {
    return std::make_unique<DurabilityWatch>(
        DurabilityWatchOptions{
            .floor = floor,
            .every = std::chrono::hours(1),
            .stale_after = Duration{10'000},
            .ask = [this]() -> Result<Durability> {
              if (meanwhile) meanwhile();
              if (!away.empty()) {
                return Error{.code = ErrorCode::unavailable, .message = away};
              }
              return promise;
            },
            .on_change =
                [this](const DurabilityReport& before, const DurabilityReport& now) {
                  const std::scoped_lock lock(mutex);
                  changes.push_back(std::string(to_string(before.now.level)) + " to " +
                                    std::string(to_string(now.now.level)));
                }},
        clock);
  }

  HandClock clock;
  Durability promise = at(DurabilityLevel::quorum);
  std::string away;
  std::function<void()> meanwhile;
  std::mutex mutex;
  std::vector<std::string> changes;
};

TEST_F(Watched, C6_it_knows_from_the_start_and_hears_of_changes) {
  const auto one = watch(DurabilityLevel::quorum);
  EXPECT_EQ(one->report().now.level, DurabilityLevel::quorum);
  EXPECT_EQ(one->below(), "");
  promise = at(DurabilityLevel::none, "fsync is off");
  one->look();
  EXPECT_TRUE(one->report().below);
  EXPECT_NE(one->below().find("fsync is off"), std::string::npos) << one->below();
  EXPECT_NE(one->below().find("'quorum'"), std::string::npos) << one->below();
  promise = at(DurabilityLevel::quorum);
  one->look();
  EXPECT_EQ(one->below(), "");
  EXPECT_EQ(changes,
            (std::vector<std::string>{"unknown to quorum", "quorum to none", "none to quorum"}));
}

TEST_F(Watched, C6_nobody_is_told_twice_of_the_same) {
  const auto one = watch(DurabilityLevel::none);
  one->look();
  promise.sentence = "another reason";
  one->look();
  EXPECT_EQ(changes.size(), 2U) << "another reason is news";
}

TEST_F(Watched, T6_what_was_not_confirmed_for_too_long_is_unknown_and_passes_no_floor) {
  for (const DurabilityLevel floor :
       {DurabilityLevel::fsync, DurabilityLevel::standby, DurabilityLevel::quorum}) {
    promise = at(DurabilityLevel::quorum);
    away.clear();
    const auto one = watch(floor);
    away = "connection refused";
    clock.now = clock.now.load() + Duration{10'000};
    one->look();
    EXPECT_EQ(one->report().now.level, DurabilityLevel::quorum) << "not for too long yet";
    EXPECT_EQ(one->report().age, Duration{10'000});
    clock.now = clock.now.load() + Duration{1};
    EXPECT_EQ(one->report().now.level, DurabilityLevel::unknown);
    EXPECT_FALSE(one->report().now.standbys) << "who was seen then says nothing of now";
    EXPECT_TRUE(one->report().below);
    EXPECT_NE(one->below().find("connection refused"), std::string::npos) << one->below();
    EXPECT_NE(one->below().find("as 'quorum'"), std::string::npos) << one->below();
    away.clear();
    one->look();
    EXPECT_EQ(one->below(), "");
  }
}

TEST_F(Watched, T6_without_a_floor_nothing_is_refused_whatever_is_known) {
  away = "never there";
  const auto one = watch(DurabilityLevel::none);
  EXPECT_EQ(one->report().now.level, DurabilityLevel::unknown);
  EXPECT_FALSE(one->report().seen_at);
  EXPECT_EQ(one->below(), "");
  EXPECT_FALSE(one->report().below);
}

TEST_F(Watched, T6_an_answer_is_as_old_as_its_question) {
  const auto one = watch(DurabilityLevel::quorum);
  meanwhile = [this] { clock.now = clock.now.load() + Duration{9'000}; };
  one->look();
  meanwhile = {};
  EXPECT_EQ(one->report().age, Duration{9'000});
}

TEST_F(Watched, T6_what_a_commit_found_out_counts_over_an_answer_that_was_asked_for_before) {
  const auto one = watch(DurabilityLevel::fsync);
  meanwhile = [&] { EXPECT_FALSE(one->told(at(DurabilityLevel::none))); };
  one->look();
  EXPECT_EQ(one->report().now.level, DurabilityLevel::none);
  meanwhile = {};
  EXPECT_TRUE(one->told(at(DurabilityLevel::standby)));
  EXPECT_EQ(one->below(), "");
}

TEST(Durability, C6_words_and_levels_are_one) {
  for (std::size_t i = 0; i < kDurabilityLevels; ++i) {
    const auto level = static_cast<DurabilityLevel>(i);
    EXPECT_EQ(durability_level(to_string(level)), level);
  }
  EXPECT_FALSE(durability_level("paper"));
  EXPECT_EQ(fixed_durability("fsync").level, DurabilityLevel::fsync);
  EXPECT_EQ(fixed_durability("memory").level, DurabilityLevel::memory);
  EXPECT_EQ(fixed_durability("paper").level, DurabilityLevel::unknown);
}

}  // namespace
}  // namespace trued
