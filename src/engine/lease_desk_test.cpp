// The desk alone, without an engine: what becomes of a lease on its way to a worker.
#include <gtest/gtest.h>

#include "engine/leases.h"
#include "engine/leases_test_support.h"

namespace trued {
namespace {

using Mono = Leases::Mono;

class LeaseDesk : public ::testing::Test {
 protected:
  LeaseDesk() { leases.add_target("mailers", 0); }

  /// One operation has been handed over at `now`, durably, and its poll is not answered yet.
  void hand_over(Mono now, Mono decided) {
    operation->target = "mailers";
    operation->identity = {"default", "write", "a"};
    operation->attempts = 1;
    leases.ask({.worker = "w1", .max = 2}, now + Mono{1'000}, WallTime{}, [this](LeaseAnswer said) {
      ++replies;
      answer = std::move(said);
    });
    leases.follow(*operation, true);
    const auto offer = leases.next_offer(now);
    ASSERT_TRUE(offer);
    leases.reserve(*offer);
    operation->state = State::attempting;
    leases.prepare(operation->id, std::make_shared<std::optional<std::string>>("{}"));
    ASSERT_NE(leases.taker(*operation), nullptr);
    ASSERT_TRUE(leases.hand_over(operation->id,
                                 {.operation = operation,
                                  .intent = nullptr,
                                  .payload = {},
                                  .until = WallTime{},
                                  .span = kLease},
                                 now, decided));
    EXPECT_EQ(replies, 0U);
  }
  void hand_over(Mono now) { hand_over(now, now); }
  [[nodiscard]] std::size_t told() const { return std::get<std::vector<Lease>>(answer).size(); }

  Leases leases;
  std::shared_ptr<Operation> operation = std::make_shared<Operation>();
  std::uint32_t replies = 0;
  LeaseAnswer answer;
};

constexpr Mono kBegin{1'000'000};
const Mono kLast = kBegin + kLease / kLeaseAhead;

TEST_F(LeaseDesk, T5_a_lease_in_time_is_told_and_does_not_come_back) {
  hand_over(kBegin);
  EXPECT_TRUE(leases.settle(kLast).empty());
  leases.send();
  EXPECT_EQ(replies, 1U);
  EXPECT_EQ(told(), 1U);
}

// It began when its commit was sent, not when it was found out that it was in.
TEST_F(LeaseDesk, T5_a_lease_that_was_in_doubt_for_too_long_comes_back) {
  hand_over(kBegin, kLast + Mono{1});
  const auto returned = leases.settle(kLast + Mono{1'000});
  ASSERT_EQ(returned.size(), 1U);
  EXPECT_EQ(returned.front().id, operation->id);
  leases.send();
  EXPECT_EQ(told(), 0U);
}

TEST_F(LeaseDesk, T5_a_lease_that_would_be_told_too_late_comes_back) {
  hand_over(kBegin);
  const auto returned = leases.settle(kLast + Mono{1});
  ASSERT_EQ(returned.size(), 1U);
  EXPECT_EQ(returned.front().id, operation->id);
  EXPECT_EQ(returned.front().attempt.value(), 1U);
  leases.send();
  EXPECT_EQ(replies, 1U);
  EXPECT_EQ(told(), 0U);
}

TEST_F(LeaseDesk, T5_dismissed_in_time_it_is_told) {
  hand_over(kBegin);
  EXPECT_TRUE(leases.dismiss(std::nullopt, kLast).empty());
  leases.send();
  EXPECT_EQ(told(), 1U);
}

TEST_F(LeaseDesk, T5_dismissed_too_late_it_comes_back_and_the_worker_hears_why) {
  hand_over(kBegin);
  EngineProblem stopping;
  stopping.code = ProblemCode::draining;
  EXPECT_EQ(leases.dismiss(stopping, kLast + Mono{1}).size(), 1U);
  leases.send();
  EXPECT_EQ(replies, 1U);
  EXPECT_EQ(std::get<EngineProblem>(answer).code, ProblemCode::draining);
}

TEST_F(LeaseDesk, T5_whoever_has_gone_is_told_nothing_and_it_comes_back) {
  bool gone = false;
  leases.ask({.worker = "w0", .gone = [&] { return gone; }}, kBegin + Mono{1'000}, WallTime{},
             [](const LeaseAnswer&) {});
  gone = true;
  hand_over(kBegin);
  EXPECT_TRUE(leases.settle(kBegin).empty()) << "it was handed to who is there";
  leases.send();
  EXPECT_EQ(told(), 1U);
}

}  // namespace
}  // namespace trued
