// The shapes of receipts and events, without a server.
#include "api/receipts.h"

#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "json/parse.h"

namespace trued::api {
namespace {

constexpr WallTime kNow{Duration{1'800'000'000'000}};

ContentId content(const std::string& text) { return {sha256(text), text.size()}; }

Accepted accepted() {
  Accepted event;
  event.identity = {"acme", "write", "k1"};
  event.fingerprint = Fingerprint(sha256("request"));
  event.definition = "write@1";
  event.target = "docs";
  event.has_serving = true;
  event.deadline = kNow + Duration{60'000};
  event.retention = Duration{24 * 3'600'000};
  event.artifacts = {{.name = "a.md", .absent = false, .id = content("ours")},
                     {.name = "old.md", .absent = true, .id = {}}};
  return event;
}

Operation operation() { return begin(OperationId(Uuid{}), accepted(), kNow); }

Observation found(std::uint32_t artifact, const std::string& text, Level level = Level::store) {
  Observation read;
  read.artifact = artifact;
  read.level = level;
  read.seen = Seen::found;
  read.id = content(text);
  read.version = "v7";
  read.served_by = "replica-2";
  read.read_at = kNow;
  read.latency = Duration{12};
  return read;
}

EffectEnded silent(AttemptNo attempt) {
  EffectEnded event;
  event.attempt = attempt;
  event.reason = "no answer";
  return event;
}

json::Value parsed(const std::string& text) {
  auto value = json::parse(text);
  EXPECT_TRUE(value.has_value()) << text;
  return value.has_value() ? std::move(value).value() : json::Value();
}

json::Value shown(const Operation& o, std::optional<SubmitDecision> decision = std::nullopt) {
  return parsed(receipt(o, decision, "fsync"));
}

json::Value shown(const Event& event) {
  std::string text;
  json::Writer out(text);
  write_event(
      out,
      {.sequence = 7, .batch = 3, .operation = OperationId(Uuid{}), .at = kNow, .event = event});
  return parsed(text);
}

std::string text(const json::Value& value, std::string_view name) {
  const json::Value* found_member = value.find(name);
  return found_member != nullptr && found_member->is_string() ? found_member->as_string() : "";
}

TEST(Receipts, T4_the_decision_is_shown_where_there_was_one) {
  EXPECT_EQ(shown(operation()).find("decision"), nullptr);
  EXPECT_EQ(text(shown(operation(), SubmitDecision::fresh), "decision"), "new");
  EXPECT_EQ(text(shown(operation(), SubmitDecision::in_flight), "decision"), "in_flight");
}

TEST(Receipts, V7_every_artifact_is_shown_at_every_level) {
  const json::Value receipt = shown(operation());
  const auto& artifacts = receipt.find("artifacts")->items();
  ASSERT_EQ(artifacts.size(), 4U);
  EXPECT_EQ(text(artifacts.at(0), "level"), "store");
  EXPECT_EQ(text(artifacts.at(1), "level"), "serving");
  EXPECT_EQ(text(artifacts.at(2), "name"), "old.md");
  EXPECT_TRUE(artifacts.at(2).find("intended")->find("absent")->as_bool());
}

TEST(Receipts, V3_unreadable_is_shown_as_such_and_not_as_a_mismatch) {
  Operation o = operation();
  LevelCheck& check = o.artifacts.at(0).store;
  Observation read = found(0, "");
  read.seen = Seen::unreadable;
  read.detail = "connection refused";
  check.verdict = Verdict::unreadable;
  check.last = read;
  check.reads = 3;
  const json::Value receipt = shown(o);
  const json::Value& shown_check = receipt.find("artifacts")->items().at(0);
  EXPECT_EQ(text(shown_check, "verdict"), "unreadable");
  EXPECT_EQ(text(*shown_check.find("observed"), "unreadable"), "connection refused");
  EXPECT_EQ(shown_check.find("reads")->as_int(), 3);
}

TEST(Receipts, V8_what_held_before_anything_was_sent_is_shown_as_read_once) {
  Operation o = operation();
  o.artifacts.at(0).store.baseline = found(0, "ours");
  const json::Value receipt = shown(o);
  const json::Value& check = receipt.find("artifacts")->items().at(0);
  EXPECT_EQ(text(check, "verdict"), "match");
  EXPECT_EQ(check.find("reads")->as_int(), 1);
  EXPECT_EQ(text(check, "version"), "v7");
  EXPECT_EQ(text(check, "served_by"), "replica-2");
}

TEST(Receipts, T10_results_of_targets_are_json_where_they_are_json) {
  Operation o = operation();
  EXPECT_TRUE(shown(o).find("result")->is_null());
  o.result = R"({"id": 7})";
  EXPECT_EQ(shown(o).find("result")->find("id")->as_int(), 7);
  o.result = "plain \"text\"";
  EXPECT_EQ(text(shown(o), "result"), "plain \"text\"");
}

TEST(Receipts, T10_states_have_their_word_for_people) {
  const std::vector<std::pair<State, std::string>> words{
      {State::accepted, "pending"},        {State::attempting, "pending"},
      {State::unknown, "pending"},         {State::verifying, "pending"},
      {State::confirmed, "confirmed"},     {State::unchanged, "confirmed"},
      {State::acknowledged, "unverified"}, {State::superseded, "superseded"},
      {State::failed, "failed"},           {State::needs_action, "needs_action"},
      {State::compensating, "pending"},    {State::compensated, "undone"},
      {State::canceled, "canceled"}};
  for (const auto& [state, word] : words) {
    Operation o = operation();
    o.state = state;
    const json::Value receipt = shown(o);
    EXPECT_EQ(text(receipt, "status"), word);
    EXPECT_EQ(text(receipt, "state"), to_string(state));
    EXPECT_FALSE(text(*receipt.find("next"), "action").empty());
  }
}

TEST(Receipts, V4_what_is_not_known_to_have_changed_is_neither_true_nor_false) {
  Operation o = operation();
  EXPECT_FALSE(shown(o).find("changed")->as_bool()) << "nothing was sent";
  o.state = State::unknown;
  o.sent = true;
  o.attempts = 1;
  o.effect = EffectKind::unknown;
  EXPECT_TRUE(shown(o).find("changed")->is_null());
  o.state = State::confirmed;
  o.effect = EffectKind::acknowledged;
  o.changed = true;
  EXPECT_TRUE(shown(o).find("changed")->as_bool());
  EXPECT_TRUE(shown(silent(AttemptNo(1))).find("changed")->is_null());
}

TEST(Events, T4_each_is_shown_with_its_name_and_its_fields) {
  History history;
  history.known = true;
  history.our_version = "v6";
  history.artifacts = {{.landed = true, .replaced_by = "v7 eve"}};
  const AttemptNo second(2);
  const std::vector<std::pair<Event, std::string>> events{
      {accepted(), "on_failure"},
      {AttemptStarted{second, kNow}, "report_by"},
      {BaselineRead{{found(0, "old")}}, "reads"},
      {silent(second), "outcome"},
      {ReadBack{second, {found(0, "old")}, history}, "history"},
      {ReadBack{second, {}, {}}, "history"},
      {WaitScheduled{Due::read, kNow, "settling"}, "due_at"},
      {LieCaught{second, Tell::empty_write, "0 bytes"}, "tell"},
      {Settled{.state = State::superseded, .reason = "", .tell = {}, .superseded_by = "v7"},
       "superseded_by"},
      {PersonActed{PersonAction::retry, "ada", "mended", kNow}, "who"},
      {Repeated{"duplicate", 4}, "count"},
      {LateEvidence{second, EffectKind::acknowledged, "too late"}, "outcome"},
      {Recovered{second}, "attempt"},
  };
  std::set<std::string> names;
  for (const auto& [event, member] : events) {
    const json::Value value = shown(event);
    EXPECT_EQ(text(value, "event"), name_of(event));
    EXPECT_EQ(text(value, "at"), format_rfc3339(kNow));
    EXPECT_EQ(value.find("sequence")->as_int(), 7);
    EXPECT_EQ(value.find("batch")->as_int(), 3);
    EXPECT_NE(value.find(member), nullptr) << text(value, "event");
    names.insert(text(value, "event"));
  }
  EXPECT_EQ(names.size(), std::variant_size_v<Event>);
}

}  // namespace
}  // namespace trued::api
