#include "ledger/memory/memory_ledger.h"

#include "ledger/ledger_conformance.h"

namespace trued::test {
namespace {

INSTANTIATE_TEST_SUITE_P(Memory, LedgerConformance, testing::Values(MakeLedger([] {
                           return std::make_unique<MemoryLedger>();
                         })));

TEST(MemoryLedger, T6_injected_faults_end_as_they_say) {
  MemoryLedger ledger;
  Lives lives;
  ledger.inject({CommitFault::rolled_back, CommitFault::unknown_applied});
  std::vector<Event> events;
  const Operation operation = lives.accept("a", events);
  const Batch batch{{Lives::change(operation, events, true)}, kStart};
  EXPECT_EQ(ledger.commit(batch).outcome, CommitOutcome::rolled_back);
  EXPECT_EQ(ledger.commit(batch).outcome, CommitOutcome::unknown);
  EXPECT_EQ(ledger.settle_unknown().outcome, CommitOutcome::committed);
  EXPECT_EQ(ledger.commit(batch).outcome, CommitOutcome::conflict);
}

}  // namespace
}  // namespace trued::test
