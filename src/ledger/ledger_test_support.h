// ledger_test_support.h: operations and the batches of their lives, as an engine would write them.
// Included by tests only.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/operation.h"
#include "ledger/codec.h"
#include "ledger/ledger.h"

namespace trued::test {

inline constexpr WallTime kStart{Duration{1'800'000'000'000}};

/// Makes operations and the batches of their lives, as the engine would.
class Lives {
 public:
  Operation accept(const std::string& key, std::vector<Event>& events,
                   const std::string& target = "docs") {
    const std::string intent = intent_of(key, target);
    const Accepted accepted{
        .identity = {"default", "write", key},
        .fingerprint = fingerprint_of(intent, "write"),
        .definition = "write@1",
        .target = target,
        .actor = "test",
        .priority = Priority::normal,
        .verify = true,
        .has_serving = false,
        .not_before = {},
        .deadline = kStart + Duration{900'000},
        .retention = Duration{60'000},
        .on_failure = OnFailure::replay,
        .artifacts = {{.name = key + ".md", .absent = false, .id = {sha256(key), key.size()}}}};
    Uuid uuid;
    uuid.bytes.at(14) = static_cast<std::uint8_t>(++number_ >> 8);
    uuid.bytes.at(15) = static_cast<std::uint8_t>(number_ & 0xff);
    events.emplace_back(accepted);
    Operation operation = begin(OperationId(uuid), accepted, kStart);
    record(operation, events, AttemptStarted{AttemptNo(1), kStart + Duration{60'000}});
    return operation;
  }

  static std::string intent_of(const std::string& key, const std::string& target = "docs") {
    return R"({"artifacts":[{"content":")" + key + R"(","path":")" + key + R"(.md"}],"target":")" +
           target + R"("})";
  }

  static void record(Operation& operation, std::vector<Event>& events, Event event,
                     WallTime at = kStart) {
    evolve(operation, event, at);
    events.push_back(std::move(event));
  }

  static Change change(Operation operation, std::vector<Event> events, bool insert) {
    std::string intent;
    if (insert) intent = intent_of(operation.identity.key, operation.target);
    return {.row = std::move(operation),
            .insert = insert,
            .intent = std::move(intent),
            .events = std::move(events),
            .at = kStart};
  }

  /// Accepts one operation in a batch of its own.
  Operation put(Ledger& ledger, const std::string& key, const std::string& target = "docs") {
    std::vector<Event> events;
    Operation operation = accept(key, events, target);
    EXPECT_EQ(ledger.commit({{change(operation, events, true)}, kStart}).outcome,
              CommitOutcome::committed);
    return operation;
  }

  /// Ends it, as a second batch: every attempt was turned away, for good or not.
  static Operation fail(Ledger& ledger, Operation operation, EffectKind kind,
                        WallTime at = kStart) {
    std::vector<Event> events;
    record(operation, events,
           EffectEnded{.attempt = AttemptNo(operation.attempts),
                       .kind = kind,
                       .changed = false,
                       .version = "",
                       .version_before = "",
                       .result = "",
                       .reason = "no"},
           at);
    record(operation, events, Settled{State::failed, "gave up: no", {}, ""}, at);
    commit(ledger, operation, events);
    return operation;
  }

  /// A person has it tried again, and it has begun.
  static Operation retry(Ledger& ledger, Operation operation) {
    std::vector<Event> events;
    record(operation, events,
           PersonActed{PersonAction::retry, "ada", "", kStart + Duration{900'000}});
    record(operation, events, WaitScheduled{Due::start, kStart, "asked to be tried again"});
    record(operation, events,
           AttemptStarted{AttemptNo(operation.attempts + 1), kStart + Duration{60'000}});
    commit(ledger, operation, events);
    return operation;
  }

  static void commit(Ledger& ledger, const Operation& operation, std::vector<Event> events) {
    EXPECT_EQ(ledger.commit({{change(operation, std::move(events), false)}, kStart}).outcome,
              CommitOutcome::committed);
  }

  /// Ends it, as a second batch.
  static Operation settle(Ledger& ledger, Operation operation, State state) {
    std::vector<Event> events;
    const ArtifactSummary meant = operation.artifacts.front().meant;
    Observation seen;
    seen.seen = Seen::found;
    seen.id = meant.id;
    seen.read_at = kStart;
    record(operation, events,
           EffectEnded{.attempt = AttemptNo(1),
                       .kind = EffectKind::acknowledged,
                       .changed = true,
                       .version = "v1",
                       .version_before = "",
                       .result = "",
                       .reason = ""});
    record(operation, events, ReadBack{AttemptNo(1), {seen}, {}});
    record(operation, events, Settled{state, "", {}, ""});
    EXPECT_EQ(ledger.commit({{change(operation, events, false)}, kStart}).outcome,
              CommitOutcome::committed);
    return operation;
  }

 private:
  unsigned number_ = 0;
};

}  // namespace trued::test
