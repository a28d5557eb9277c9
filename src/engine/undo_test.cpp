// Undoing: by another operation, once what was undone can land no more, and never by an older one.
#include <gtest/gtest.h>

#include "engine/engine_test_support.h"
#include "json/writer.h"

namespace trued {
namespace {

constexpr Duration kDeadline{200'000};

/// One type, "put": a write to `docs` whose definition says that it is undone by removing it.
class PutType final : public OperationTypes {
 public:
  explicit PutType(std::shared_ptr<MemoryConnector> store, std::function<void()>& during)
      : target_([&] {
          Policy policy = quick_policy();
          policy.compensable = true;
          policy.deadline = kDeadline;
          policy.retry.cap = Duration{10'000};
          return make_target("docs", "memory",
                             std::make_unique<SlowConnector>(std::move(store), during, nothing_),
                             nullptr, "", policy);
        }()) {}

  const Target* target(std::string_view) const override { return &target_; }
  std::shared_ptr<const Intent> restore(std::string_view, const json::Value& input,
                                        const Identity&) const override {
    InputFault fault;
    auto parsed = parse_write_input(input, nullptr, fault);
    return parsed ? std::move(parsed->intent) : nullptr;
  }
  std::vector<std::string> turns(std::string_view, const Intent& intent,
                                 const Identity&) const override {
    return {intent.artifacts.front().name};
  }
  Result<UndoInput> undo(std::string_view, const Intent& intent, const Identity&,
                         const OperationId&, std::string_view) const override {
    const std::string input = R"({"target":"docs","artifacts":[{"path":")" +
                              intent.artifacts.front().name + R"(","absent":true}]})";
    return UndoInput{.type = std::string(kWriteType), .input = json::parse(input).value()};
  }
  Result<Begun> begin(std::string_view, const json::Value&, const std::string&,
                      const std::string&) const override {
    return Error{.code = ErrorCode::not_found, .message = "there is one type alone"};
  }

 private:
  std::function<void()> nothing_;
  Target target_;
};

class UndoWorld : public World {
 public:
  explicit UndoWorld(MemoryOptions kept = {})
      : World(quick_policy(), {}, kept), types(store, during_effect) {
    start();
  }

  void start() {
    engine.reset();
    runner.queue.clear();
    engine = std::make_unique<Engine>(EnginePorts{ledger, targets, runner, clock, random, &types},
                                      options_);
    TRUED_ASSERT(engine->recover().has_value());
  }

  /// Submits it and lets it come to rest.
  OperationId put(const std::string& key) {
    Submission submission = prepared(key, key + ".md", "hello");
    submission.identity.type = "put";
    submission.definition = "put@1";
    submit_prepared(std::move(submission), Duration{0});
    settle();
    return id_under("put", key);
  }
  void decide(OperationId id, PersonAction action) {
    person(id, action);
    settle();
  }
  OperationId id_under(const std::string& type, const std::string& key) {
    return ledger.load(std::vector<Identity>{{"default", type, key}})->front().operation->id;
  }
  OperationId undoing_of(OperationId id) { return id_under("write", "undo:" + to_string(id)); }
  Operation now(OperationId id) { return *ledger.load(std::vector<OperationId>{id})->front(); }
  void lose_all_attempts() {
    for (std::uint32_t i = 0; i < quick_policy().retry.attempts_max; ++i) {
      store->script({.kind = EffectKind::unknown, .lands = false});
    }
  }

  PutType types;
};

TEST(Undo, T12_is_done_by_another_operation_and_called_undone_only_then) {
  UndoWorld world;
  const OperationId id = world.put("a");
  ASSERT_EQ(world.now(id).state, State::confirmed) << world.now(id).reason;
  world.person(id, PersonAction::compensate);
  while (world.engine->step().worked) {
  }
  EXPECT_EQ(world.now(id).state, State::compensating);
  world.settle();
  EXPECT_EQ(world.now(id).state, State::compensated);
  EXPECT_EQ(world.now(id).superseded_by, to_string(world.undoing_of(id)));
  EXPECT_EQ(world.store->content("a.md"), std::nullopt);
}

TEST(Undo, T12_an_undoing_that_was_under_way_in_a_crash_is_found_again) {
  UndoWorld world;
  const OperationId id = world.put("a");
  world.person(id, PersonAction::compensate);
  while (world.engine->step().worked) {
  }
  world.start();
  world.settle();
  EXPECT_EQ(world.now(id).state, State::compensated);
  EXPECT_EQ(world.store->performed(), 2U);
}

TEST(Undo, T12_nothing_is_undone_that_may_still_land) {
  UndoWorld world({.history = false});
  OperationId id;
  bool waited = false;
  // It hangs at the target until its time is over and a person wants it undone.
  world.during_effect = [&] {
    id = world.id_under("put", "a");
    world.clock.now += quick_policy().effect_timeout * 3;
    world.live(2'000, [&] { return world.now(id).state == State::needs_action; });
    world.person(id, PersonAction::compensate);
    world.live(50, [] { return false; });
    waited = world.now(id).state == State::compensating &&
             world.now(id).reason.contains("has not come back");
  };
  world.put("a");
  EXPECT_TRUE(waited) << world.now(id).reason;
  // Then it came back, and landed; what undoes it came after that.
  EXPECT_EQ(world.now(id).state, State::compensated) << world.now(id).reason;
  EXPECT_EQ(world.store->content("a.md"), std::nullopt);
}

TEST(Undo, T12_what_was_undone_before_it_was_done_again_is_not_undone) {
  UndoWorld world({.history = false});
  const OperationId id = world.put("a");
  world.store->script({.kind = EffectKind::rejected_final, .lands = false});
  world.decide(id, PersonAction::compensate);
  const OperationId by = world.undoing_of(id);
  ASSERT_EQ(world.now(by).state, State::failed);
  ASSERT_EQ(world.now(id).state, State::needs_action);
  world.decide(by, PersonAction::retry);
  ASSERT_EQ(world.now(by).state, State::confirmed) << world.now(by).reason;
  // Somebody is wrong about it, and it is carried out a second time.
  world.clock.now += Duration{10};
  world.decide(id, PersonAction::it_did_not);
  world.decide(id, PersonAction::retry);
  ASSERT_EQ(world.store->content("a.md"), "hello") << world.now(id).reason;
  ASSERT_EQ(world.now(id).state, State::confirmed);
  world.decide(id, PersonAction::compensate);
  EXPECT_EQ(world.now(id).state, State::needs_action);
  EXPECT_TRUE(world.now(id).reason.contains("was asked for before")) << world.now(id).reason;
}

// Not about undoing, but this is where operations are of a declared type.
TEST(Turns, V6_nothing_begins_while_it_cannot_be_read_whose_turn_it_is) {
  UndoWorld world({.history = false});
  world.lose_all_attempts();
  const OperationId older = world.put("a");
  ASSERT_EQ(world.now(older).state, State::needs_action);
  const std::uint64_t before = world.store->performed();
  bool unreadable = true;
  world.ledger.fail_intents([&] { return unreadable; });
  world.during_effect = [&] {
    world.person(older, PersonAction::retry);
    world.live(50, [] { return false; });
    EXPECT_EQ(world.now(older).due_for, Due::start);
    EXPECT_NE(world.now(older).reason.find("cannot be read"), std::string::npos)
        << world.now(older).reason;
    unreadable = false;
    world.live(50, [] { return false; });
    EXPECT_EQ(world.now(older).due_for, Due::start);
    EXPECT_NE(world.now(older).reason.find("same artifact"), std::string::npos)
        << world.now(older).reason;
    EXPECT_EQ(world.store->performed(), before) << "the newer one is at work";
  };
  Submission newer = world.prepared("b", "a.md", "newer");
  newer.identity.type = "put";
  newer.definition = "put@1";
  world.submit_prepared(std::move(newer), Duration{0});
  world.settle();
  EXPECT_EQ(world.now(world.id_under("put", "b")).state, State::confirmed);
  EXPECT_NE(world.now(older).state, State::unknown);
}

}  // namespace
}  // namespace trued
