// test_support.h: what the tests of the core share: operations, reads and histories in one word, a
// Life that drives decide() and keeps the log, and a complete dump of an operation for comparison.
//
// Included by tests only. Artifact `i` is meant to hold "ours-<i>", held "before-<i>" before, and
// another writer writes "other-<i>".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/operation.h"
#include "core/policy.h"
#include "core/verification.h"

namespace trued::test {

inline constexpr WallTime kBegin{Duration{1'700'000'000'000}};

inline ContentId content(const std::string& text) { return {sha256(text), text.size()}; }

inline ArtifactSummary meant(std::uint32_t index) {
  return {.name = "a" + std::to_string(index),
          .absent = false,
          .id = content("ours-" + std::to_string(index))};
}

/// What a read found.
enum class Found : std::uint8_t { ours, before, other, torn, absent, unreadable };

inline Observation seen(std::uint32_t artifact, Found found, Level level = Level::store) {
  Observation read;
  read.artifact = artifact;
  read.level = level;
  read.seen = Seen::found;
  const std::string number = std::to_string(artifact);
  switch (found) {
    case Found::ours:
      read.id = content("ours-" + number);
      break;
    case Found::before:
      read.id = content("before-" + number);
      break;
    case Found::other:
      read.id = content("other-" + number);
      break;
    case Found::torn:
      read.id = content("our");
      read.proper_prefix = true;
      break;
    case Found::absent:
      read.seen = Seen::absent;
      break;
    case Found::unreadable:
      read.seen = Seen::unreadable;
      read.detail = "connection refused";
      break;
  }
  return read;
}

/// One read of each artifact at the store, in order.
inline std::vector<Observation> at_store(const std::vector<Found>& found) {
  std::vector<Observation> reads;
  for (std::uint32_t i = 0; i < found.size(); ++i) reads.push_back(seen(i, found.at(i)));
  return reads;
}

/// The store holds what was meant everywhere; the serving level shows `found`.
inline std::vector<Observation> served(const std::vector<Found>& found) {
  std::vector<Observation> reads = at_store(std::vector<Found>(found.size(), Found::ours));
  for (std::uint32_t i = 0; i < found.size(); ++i) {
    reads.push_back(seen(i, found.at(i), Level::serving));
  }
  return reads;
}

/// What the history says of one artifact.
enum class Past : std::uint8_t { never, landed, replaced };

inline History history(const std::vector<Past>& past) {
  History told;
  told.known = true;
  for (const Past what : past) {
    const bool landed = what != Past::never;
    told.ours_present = told.ours_present || landed;
    told.artifacts.push_back(
        {.landed = landed, .replaced_by = what == Past::replaced ? "c0ffee somebody" : ""});
  }
  told.our_version = told.ours_present ? "f00d" : "";
  return told;
}

inline EffectEnded ended(EffectKind kind, std::string reason = {}) {
  EffectEnded effect;
  effect.kind = kind;
  effect.changed = kind == EffectKind::acknowledged;
  effect.version = kind == EffectKind::acknowledged ? "v1" : "";
  effect.version_before = "v0";
  effect.reason = std::move(reason);
  return effect;
}

/// A policy with round numbers: 3 attempts, 3 reads of each kind, a minute.
inline Policy policy_for(Capabilities capabilities = {}) {
  Policy policy;
  policy.retry = {.attempts_max = 3, .first = Duration{100}, .factor = 2, .cap = Duration{1'000}};
  policy.store = {
      .within = Duration{5'000}, .reads_max = 3, .first = Duration{50}, .cap = Duration{400}};
  policy.serving = policy.store;
  policy.unreadable = policy.store;
  policy.deadline = Duration{60'000};
  policy.effect_timeout = Duration{1'000};
  policy.compensable = true;
  policy.capabilities = capabilities;
  return policy;
}

inline Accepted accepted_with(std::uint32_t artifacts, const Policy& policy) {
  Accepted accepted;
  accepted.identity = {.scope = "default", .type = "write", .key = "k"};
  accepted.definition = "write@1";
  accepted.target = "docs";
  accepted.actor = "somebody";
  accepted.verify = policy.verify;
  accepted.has_serving = policy.has_serving;
  accepted.deadline = kBegin + policy.deadline;
  accepted.retention = policy.retention;
  accepted.on_failure = policy.on_failure;
  for (std::uint32_t i = 0; i < artifacts; ++i) accepted.artifacts.push_back(meant(i));
  return accepted;
}

// ---- A complete dump ----------------------------------------------------------------------------

class Dump {
 public:
  template <class Value>
  Dump& put(const char* name, const Value& value) {
    text_ += name;
    text_ += '=';
    add(value);
    text_ += '\n';
    return *this;
  }
  std::string take() { return std::move(text_); }

 private:
  void add(const std::string& value) { text_ += '"' + value + '"'; }
  void add(std::string_view value) { text_ += value; }
  void add(bool value) { text_ += value ? "true" : "false"; }
  void add(std::uint32_t value) { text_ += std::to_string(value); }
  void add(std::uint64_t value) { text_ += std::to_string(value); }
  void add(WallTime value) { text_ += std::to_string(value.time_since_epoch().count()); }
  void add(Duration value) { text_ += std::to_string(value.count()); }
  void add(const Digest& value) { text_ += value.hex(); }
  void add(const ContentId& value) {
    add(value.sha256);
    text_ += '/' + std::to_string(value.bytes);
  }
  void add(const ArtifactSummary& value) {
    add(value.name);
    add(value.absent);
    add(value.id);
  }
  template <class Value>
  void add(const std::optional<Value>& value) {
    if (!value) {
      text_ += '-';
    } else if constexpr (std::is_enum_v<Value>) {
      add(to_string(*value));
    } else {
      add(*value);
    }
  }
  void add(const Observation& read) {
    text_ += '[' + std::to_string(read.artifact) + ' ';
    add(to_string(read.level));
    text_ += ' ';
    add(to_string(read.seen));
    text_ += ' ';
    add(read.id);
    add(read.proper_prefix);
    add(read.version);
    add(read.served_by);
    add(read.detail);
    add(read.read_at);
    text_ += ' ';
    add(read.latency);
    text_ += ']';
  }
  void add(const LevelCheck& check) {
    add(check.verdict);
    text_ += " reads ";
    add(check.reads);
    text_ += " last ";
    add(check.last);
    text_ += " baseline ";
    add(check.baseline);
    add(check.replicas_disagreed);
  }
  void add(const History& history) {
    add(history.known);
    add(history.ours_present);
    add(history.reported_present);
    add(history.our_version);
    add(history.result);
    for (const ArtifactHistory& artifact : history.artifacts) {
      add(artifact.landed);
      add(artifact.replaced_by);
    }
  }

  std::string text_;
};

/// Every field, one a line: two operations are equal if and only if their dumps are.
inline std::string dump(const Operation& o) {
  Dump out;
  out.put("id", to_string(o.id))
      .put("scope", o.identity.scope)
      .put("type", o.identity.type)
      .put("key", o.identity.key)
      .put("fingerprint", o.fingerprint.value())
      .put("definition", o.definition)
      .put("target", o.target)
      .put("actor", o.actor)
      .put("priority", to_string(o.priority))
      .put("verify", o.verify)
      .put("has_serving", o.has_serving)
      .put("not_before", o.not_before)
      .put("deadline", o.deadline)
      .put("retention", o.retention)
      .put("on_failure", to_string(o.on_failure))
      .put("state", to_string(o.state))
      .put("reason", o.reason)
      .put("tell", o.tell);
  for (const CaughtTell& caught : o.tells) {
    out.put("caught", caught.attempt.value()).put("caught_tell", to_string(caught.tell));
  }
  out.put("superseded_by", o.superseded_by)
      .put("attempts", o.attempts)
      .put("attempts_counted", o.attempts_counted)
      .put("sent", o.sent)
      .put("effect", to_string(o.effect))
      .put("changed", o.changed)
      .put("version", o.version)
      .put("version_before", o.version_before)
      .put("result", o.result)
      .put("reads_done", o.reads_done)
      .put("unreadable_rounds", o.unreadable_rounds)
      .put("serving_rounds", o.serving_rounds)
      .put("effect_ended_at", o.effect_ended_at);
  for (const ArtifactState& artifact : o.artifacts) {
    out.put("meant", artifact.meant).put("store", artifact.store).put("serving", artifact.serving);
  }
  out.put("history", o.history)
      .put("due_for", to_string(o.due_for))
      .put("due_at", o.due_at)
      .put("events", o.events)
      .put("created_at", o.created_at)
      .put("updated_at", o.updated_at)
      .put("settled_at", o.settled_at);
  return out.take();
}

// ---- A life -------------------------------------------------------------------------------------

/// One operation from acceptance on: feeds decide(), keeps what it recorded.
class Life {
 public:
  struct Entry {
    WallTime at{};
    Event event;
  };

  explicit Life(Policy with = policy_for(), std::uint32_t artifacts = 1)
      : Life(with, accepted_with(artifacts, with)) {}
  Life(Policy with, const Accepted& accepted)
      : policy(std::move(with)), operation(begin(OperationId{}, accepted, kBegin)) {
    log.push_back({kBegin, accepted});
  }

  Policy policy;
  Operation operation;
  WallTime now = kBegin;
  std::uint64_t entropy = 0;
  std::vector<Entry> log;
  Decision last;  ///< of the newest input; `after` is in `operation`

  State state() const { return operation.state; }

  const Decision& take(const Input& input) {
    last = decide(operation, policy, input, {.now = now, .entropy = entropy});
    operation = last.after;
    for (const Event& event : last.events) log.push_back({now, event});
    return last;
  }
  const Decision& start() { return take(Start{}); }
  const Decision& recover() { return take(Recover{}); }
  const Decision& person(PersonAction action) {
    return take(PersonInput{.action = action, .who = "ada", .why = "she looked"});
  }
  /// What the current attempt came to; the reads before it show `before` everywhere.
  const Decision& report(EffectEnded effect, std::vector<Observation> reads = {},
                         History told = {}) {
    AttemptReport report;
    report.attempt = AttemptNo(operation.attempts);
    report.effect = std::move(effect);
    report.reads = std::move(reads);
    report.history = std::move(told);
    for (std::uint32_t i = 0; i < operation.artifacts.size() && !operation.sent; ++i) {
      report.baseline.push_back(seen(i, Found::before));
      if (operation.has_serving) {
        report.baseline.push_back(seen(i, Found::before, Level::serving));
      }
    }
    return take(report);
  }
  const Decision& read(std::vector<Observation> reads, History told = {}) {
    return take(ReadReport{.attempt = AttemptNo(operation.attempts),
                           .reads = std::move(reads),
                           .history = std::move(told)});
  }
  /// The timer fires when it is due.
  const Decision& timer() {
    if (operation.due_at && now < *operation.due_at) now = *operation.due_at;
    return take(TimerDue{});
  }
  /// The read that is due is made and shows `reads`.
  const Decision& timed_read(const std::vector<Observation>& reads, const History& told = {}) {
    timer();
    return read(reads, told);
  }
  /// The same reads until something else than reading follows; how often it was read.
  std::uint32_t read_until_decided(const std::vector<Observation>& reads,
                                   const History& told = {}) {
    std::uint32_t rounds = 0;
    while (operation.due_for == Due::read && rounds < 100) {
      timed_read(reads, told);
      ++rounds;
    }
    return rounds;
  }

  /// The operation rebuilt from the log alone.
  Operation refolded() const {
    Operation rebuilt = begin(OperationId{}, std::get<Accepted>(log.front().event), kBegin);
    for (std::size_t i = 1; i < log.size(); ++i) evolve(rebuilt, log.at(i).event, log.at(i).at);
    return rebuilt;
  }
  template <class Kind>
  std::size_t count() const {
    std::size_t found = 0;
    for (const Entry& entry : log) found += std::holds_alternative<Kind>(entry.event) ? 1U : 0U;
    return found;
  }
};

inline bool runs_attempt(const Decision& decision) {
  return decision.actions.size() == 1 &&
         std::holds_alternative<RunAttempt>(decision.actions.front());
}
inline bool runs_read(const Decision& decision) {
  return decision.actions.size() == 1 && std::holds_alternative<RunRead>(decision.actions.front());
}

}  // namespace trued::test
