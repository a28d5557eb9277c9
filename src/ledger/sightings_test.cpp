#include "ledger/sightings.h"

#include <rapidcheck.h>

#include <gtest/gtest.h>

namespace trued {
namespace {

using std::chrono::nanoseconds;

constexpr LedgerPosition at(std::uint64_t batch, std::uint8_t ledger = 1) {
  LedgerPosition position{.batch = batch};
  position.ledger.bytes[0] = ledger;
  return position;
}

TEST(Sightings, C1_a_copy_is_whole_until_the_last_sighting_that_it_covers) {
  Sightings seen;
  EXPECT_FALSE(seen.newest());
  EXPECT_FALSE(seen.whole_at(100));
  EXPECT_TRUE(seen.add(nanoseconds(10), at(7)));
  EXPECT_TRUE(seen.add(nanoseconds(20), at(9)));
  EXPECT_TRUE(seen.add(nanoseconds(30), at(9)));
  EXPECT_TRUE(seen.add(nanoseconds(40), at(12)));
  EXPECT_FALSE(seen.whole_at(6)) << "nobody looked when it was whole: that is not known";
  EXPECT_EQ(seen.whole_at(7), nanoseconds(10));
  EXPECT_EQ(seen.whole_at(8), nanoseconds(10));
  EXPECT_EQ(seen.whole_at(11), nanoseconds(30));
  EXPECT_EQ(seen.whole_at(12), nanoseconds(40));
  EXPECT_EQ(seen.whole_at(13), nanoseconds(40)) << "a copy may be ahead of what was seen";
  EXPECT_EQ(seen.newest(), at(12));
}

TEST(Sightings, C1_a_ledger_that_was_set_back_or_is_another_makes_the_past_worthless) {
  for (const LedgerPosition& next : {at(3), at(20, 2)}) {
    Sightings seen;
    EXPECT_TRUE(seen.add(nanoseconds(10), at(7)));
    EXPECT_FALSE(seen.add(nanoseconds(20), next));
    EXPECT_EQ(seen.newest(), next);
    EXPECT_EQ(seen.whole_at(next.batch), nanoseconds(20));
    EXPECT_FALSE(seen.whole_at(2));
  }
}

TEST(Sightings, C1_forgetting_makes_the_bound_looser_and_never_wrong) {
  const bool holds =
      rc::check("against every sighting kept", [](const std::vector<std::uint8_t>& steps) {
        Sightings all(1'000'000);
        Sightings few(8);
        std::uint64_t batch = 0;
        std::int64_t now = 0;
        for (const std::uint8_t step : steps) {
          batch += step % 4;
          (void)all.add(nanoseconds(++now), at(batch));
          (void)few.add(nanoseconds(now), at(batch));
        }
        for (std::uint64_t copy = 0; copy <= batch; ++copy) {
          const auto exact = all.whole_at(copy);
          const auto kept = few.whole_at(copy);
          RC_ASSERT(!kept || (exact && *kept <= *exact));
        }
        if (!steps.empty()) RC_ASSERT(few.whole_at(batch) == all.whole_at(batch));
      });
  EXPECT_TRUE(holds);
}

}  // namespace
}  // namespace trued
