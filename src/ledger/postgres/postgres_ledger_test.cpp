#include "ledger/postgres/postgres_ledger.h"

#include "ledger/ledger_conformance.h"
#include "ledger/postgres/postgres_test_support.h"

namespace trued::test {
namespace {

std::unique_ptr<Ledger> scratch_ledger() { return Area().open(); }

INSTANTIATE_TEST_SUITE_P(Postgres, LedgerConformance, testing::Values(MakeLedger(&scratch_ledger)));

}  // namespace
}  // namespace trued::test
