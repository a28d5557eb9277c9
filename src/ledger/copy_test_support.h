// copy_test_support.h: ledgers worth copying, and copies that end at any point. Included by tests
// only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "ledger/copy.h"
#include "ledger/ledger_test_support.h"

namespace trued::test {

/// As few rows at a time as there can be: every table has several pages.
inline constexpr CopyPage kSmallPage{.rows = 2, .bytes = 1'000};

/// Every table has rows, the beginning of the log was dropped, keys hold any byte, one operation
/// is larger than a page.
inline void fill_for_copy(Ledger& ledger, Lives& lives) {
  Lives::settle(ledger, lives.put(ledger, "zero"), State::confirmed);
  ASSERT_EQ(*ledger.retire(kStart + Duration{60'000}, 10), 1U);
  Lives::settle(ledger, lives.put(ledger, "first"), State::confirmed);
  ASSERT_EQ(*ledger.retire(kStart + Duration{60'000}, 10), 1U);
  Lives::settle(ledger, lives.put(ledger, "second"), State::confirmed);
  lives.put(ledger, "third");
  Lives::retry(ledger, Lives::fail(ledger, lives.put(ledger, "again"), EffectKind::rejected_final));
  Lives::fail(ledger, lives.put(ledger, "failed"), EffectKind::rejected_final);
  lives.put(ledger, std::string("a\0b\"{},\\' \xff\n", 13));
  lives.put(ledger, "large" + std::string(3'000, 'x'));
}

/// Ends as a killed process does: at one of the calls that write, before it is carried out or
/// before its answer is heard.
class DyingDestination final : public CopyDestination {
 public:
  DyingDestination(CopyDestination& to, int call, bool carried_out)
      : to_(to), left_(call), carried_out_(carried_out) {}
  [[nodiscard]] bool died() const { return died_; }

  std::string name() const override { return to_.name(); }
  Result<std::string> identity() override { return to_.identity(); }
  Result<LedgerFrame> frame() override { return to_.frame(); }
  Result<std::array<std::uint64_t, kCopyTables>> counts() override { return to_.counts(); }
  Result<std::vector<CopyRow>> rows(const CopyTable& table, std::uint64_t after,
                                    const CopyPage& page) override {
    return to_.rows(table, after, page);
  }
  Result<AuditReport> audit(const CopyProgress& progress) override { return to_.audit(progress); }
  Result<Found> look() override { return to_.look(); }
  std::string how_to_remove() const override { return to_.how_to_remove(); }
  Result<CopyOrigin> origin() override { return to_.origin(); }
  Result<std::uint64_t> last(const CopyTable& table) override { return to_.last(table); }

  Result<void> resume() override {
    return perhaps([&] { return to_.resume(); });
  }
  Result<void> begin_anew(const CopyOrigin& origin) override {
    return perhaps([&] { return to_.begin_anew(origin); });
  }
  Result<void> create(const CopyOrigin& origin) override {
    return perhaps([&] { return to_.create(origin); });
  }
  Result<void> add(const CopyTable& table, const std::vector<CopyRow>& rows) override {
    return perhaps([&] { return to_.add(table, rows); });
  }
  Result<void> set_frame(const LedgerFrame& frame) override {
    return perhaps([&] { return to_.set_frame(frame); });
  }
  Result<void> finish() override {
    return perhaps([&] { return to_.finish(); });
  }

 private:
  template <class Call>
  Result<void> perhaps(const Call& call) {
    if (left_-- != 0) return call();
    died_ = true;
    if (carried_out_) TRUED_TRY_VOID(call());
    return Error{.code = ErrorCode::cancelled, .message = "killed"};
  }

  CopyDestination& to_;
  int left_;
  const bool carried_out_;
  bool died_ = false;
};

using OpenSource = std::function<Result<std::unique_ptr<CopySource>>()>;
using OpenDestination = std::function<Result<std::unique_ptr<CopyDestination>>()>;

/// One run of 'trued ledger copy', with small pages.
inline Result<CopyReport> copy_once(const OpenSource& open_source,
                                    const OpenDestination& open_destination) {
  TRUED_TRY(const auto to, open_destination());
  TRUED_TRY(const auto from, open_source());
  return LedgerCopy(*from, *to, {}, kSmallPage).run();
}

/// One run that is killed at a call that writes; false if it came to its end before that.
inline bool copy_killed(const OpenSource& open_source, const OpenDestination& open_destination,
                        int call, bool carried_out) {
  const auto to = open_destination();
  const auto from = open_source();
  EXPECT_TRUE(to.has_value() && from.has_value());
  DyingDestination dying(**to, call, carried_out);
  const auto report = LedgerCopy(**from, dying, {}, kSmallPage).run();
  EXPECT_EQ(report.has_value(), !dying.died())
      << (report.has_value() ? "" : report.error().message);
  return dying.died();
}

/// The finding of an audit as one line; empty if it is clean.
inline std::string finding_of(const Result<AuditReport>& report) {
  if (!report.has_value()) return "error: " + report.error().message;
  return report->first ? report->first->what + " " + report->first->where : "";
}

inline std::string message_of(const Result<CopyReport>& report) {
  return report.has_value() ? "copied" : report.error().message;
}

/// Both audits are clean and say the same.
inline void expect_same(const Result<AuditReport>& a, const Result<AuditReport>& b) {
  ASSERT_EQ(finding_of(a), "");
  ASSERT_EQ(finding_of(b), "");
  EXPECT_EQ(a->head, b->head);
  EXPECT_EQ(a->batches, b->batches);
  EXPECT_EQ(a->events, b->events);
  EXPECT_EQ(a->operations, b->operations);
  EXPECT_EQ(a->intents, b->intents);
  EXPECT_EQ(a->tombstones, b->tombstones);
  EXPECT_GT(a->tombstones, 0U);
}

}  // namespace trued::test
