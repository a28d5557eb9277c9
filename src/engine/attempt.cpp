#include "engine/attempt.h"

#include <algorithm>
#include <exception>
#include <numeric>

#include "base/assert.h"
#include "core/verification.h"
#include "target/compare.h"

namespace trued {
namespace {

std::vector<std::uint32_t> all_of(const Intent& intent) {
  std::vector<std::uint32_t> indexes(intent.artifacts.size());
  std::iota(indexes.begin(), indexes.end(), 0U);
  return indexes;
}

std::vector<RawRead> unreadable(std::size_t count, const std::string& why) {
  RawRead read;
  read.seen = Seen::unreadable;
  read.detail = why;
  return std::vector<RawRead>(count, read);
}

// The serving level is another system: only the store speaks for the target.
Answered answered_by(const std::vector<RawRead>& reads) {
  Answered answered = Answered::not_asked;
  for (const RawRead& read : reads) {
    if (read.elsewhere) continue;
    if (read.seen != Seen::unreadable) return Answered::yes;
    answered = Answered::no;
  }
  return answered;
}

/// A level that was read, and whether the target answered.
struct Looked {
  std::vector<Observation> seen;
  Answered answered = Answered::not_asked;
};

Looked read_level(Reader& reader, const ReadRequest& request, Level level, Clock& clock) {
  const Intent& intent = *request.intent;
  const std::vector<std::uint32_t>& wanted = request.artifacts;
  std::vector<RawRead> raw;
  try {
    raw = reader.read(request);
    if (raw.size() != wanted.size()) {
      raw = unreadable(wanted.size(), "the reader answered for other artifacts than asked");
    }
  } catch (const std::exception& e) {
    raw = unreadable(wanted.size(), std::string("the reader failed: ") + e.what());
  }
  TRUED_ASSERT(raw.size() == wanted.size());
  Looked looked;
  looked.answered = answered_by(raw);
  looked.seen.reserve(wanted.size());
  const WallTime now = clock.wall();
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const std::uint32_t index = wanted.at(i);
    looked.seen.push_back(
        observe(intent.artifacts.at(index), index, level, std::move(raw.at(i)), now));
  }
  return looked;
}

bool all_match(const Intent& intent, const std::vector<Observation>& reads) {
  return std::ranges::all_of(reads, [&](const Observation& read) {
    return judge(intent.artifacts.at(read.artifact), read) == Verdict::match;
  });
}

bool any_mismatch(const Intent& intent, const std::vector<Observation>& reads) {
  return std::ranges::any_of(reads, [&](const Observation& read) {
    return judge(intent.artifacts.at(read.artifact), read) == Verdict::mismatch;
  });
}

bool any_unreadable(const std::vector<Observation>& reads) {
  return std::ranges::any_of(reads,
                             [](const Observation& read) { return read.seen == Seen::unreadable; });
}

History ask_history(const Target& target, const HistoryRequest& request) {
  const Capabilities& can = target.policy.capabilities;
  if (!can.history && !can.probes && !(can.dated && request.untouched_since)) return {};
  try {
    return target.store->history(request);
  } catch (const std::exception&) {
    return {};
  }
}

// A refusal, too, is an answer; one that asks to come again because something there is out of
// order is not.
Answered answered_by(const EffectResult& result) {
  if (!result.asked) return Answered::not_asked;
  switch (result.ended.kind) {
    case EffectKind::acknowledged:
    case EffectKind::rejected_final:
    case EffectKind::skipped:
      return Answered::yes;
    case EffectKind::rejected_retryable:
      return result.throttled ? Answered::throttled : Answered::no;
    case EffectKind::unknown:
    case EffectKind::not_sent:
    case EffectKind::none:
      return Answered::no;
  }
  return Answered::no;
}

EffectResult perform(const Target& target, const AttemptJob& job, const std::string& since,
                     Duration timeout) {
  try {
    return target.store->perform({.operation = job.operation,
                                  .attempt = job.attempt,
                                  .identity = job.identity,
                                  .key = job.key,
                                  .scope = job.scope,
                                  .actor = job.actor,
                                  .intent = job.intent,
                                  .since = since,
                                  .reported = job.reported,
                                  .restage = job.restage,
                                  .timeout = timeout});
  } catch (const std::exception& e) {
    EffectResult result;
    result.ended.kind = EffectKind::unknown;
    result.ended.reason = std::string("the connector failed: ") + e.what();
    return result;
  }
}

void append(std::vector<Observation>& to, std::vector<Observation> from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

// Reads before the first attempt; true when everything already holds at every level. `answered`:
// whether the target did.
bool already_holds(const Target& target, const AttemptJob& job, Clock& clock, AttemptReport& report,
                   Answered& answered) {
  const ReadRequest request{.intent = job.intent,
                            .artifacts = all_of(*job.intent),
                            .operation = job.operation,
                            .identity = job.identity,
                            .key = job.key,
                            .scope = job.scope};
  Looked store = read_level(*target.store, request, Level::store, clock);
  answered = store.answered;
  report.baseline = std::move(store.seen);
  if (job.has_serving && target.serving) {
    append(report.baseline, read_level(*target.serving, request, Level::serving, clock).seen);
  }
  return !report.baseline.empty() && all_match(*job.intent, report.baseline);
}

}  // namespace

AttemptReport run_attempt(const Target& target, const AttemptJob& job, Clock& clock,
                          const std::function<bool()>& may_begin) {
  TRUED_ASSERT(target.store != nullptr && job.intent != nullptr && may_begin != nullptr);
  AttemptReport report;
  report.attempt = job.attempt;
  std::string since = job.since;
  Answered looked = Answered::not_asked;
  if (job.first && job.verify) {
    auto version = target.store->version();
    if (version.has_value() && since.empty()) since = std::move(version.value());
    if (already_holds(target, job, clock, report, looked)) {
      report.effect.kind = EffectKind::skipped;
      report.effect.attempt = job.attempt;
      report.effect.version_before = since;
      report.answered = looked;
      return report;
    }
  }
  if (auto held = held_back(*job.intent, job.expected, report.baseline)) {
    report.answered = looked;
    // What was first found stays what the next try is held to.
    report.baseline.clear();
    report.effect.kind = held->kind;
    report.effect.attempt = job.attempt;
    report.effect.version_before = since;
    report.effect.reason = std::move(held->reason);
    return report;
  }
  const Duration left = job.deadline - std::min(clock.wall(), job.deadline);
  if (left.count() <= 0) {
    report.effect = never_sent(job.attempt, "the deadline passed before it was sent").effect;
    report.effect.version_before = since;
    return report;
  }
  if (!may_begin()) return never_sent(job.attempt, "its time was over before it could begin");
  EffectResult result = perform(target, job, since, std::min(target.policy.effect_timeout, left));
  if (result.handed_over && job.handed_over) {
    *job.handed_over = std::move(result.handed_over);
    return report;
  }
  report.answered = answered_by(result);
  report.effect = std::move(result.ended);
  report.effect.attempt = job.attempt;
  report.effect.version_before = since;
  report.retry_after = result.retry_after;
  const bool to_read = job.verify && (report.effect.kind == EffectKind::acknowledged ||
                                      report.effect.kind == EffectKind::unknown);
  // Where there is nothing to read, a yes is all there is; silence is followed by a question.
  const bool nothing = job.intent->artifacts.empty();
  if (!to_read || (nothing && report.effect.kind == EffectKind::acknowledged)) return report;
  const auto indexes = all_of(*job.intent);
  ReadReport read =
      run_read(target,
               {.operation = job.operation,
                .attempt = job.attempt,
                .since = since,
                .reported = report.effect.version,
                .store_artifacts = indexes,
                .serving_artifacts = job.has_serving ? indexes : std::vector<std::uint32_t>{},
                .untouched_since = {},
                .identity = job.identity,
                .key = job.key,
                .scope = job.scope,
                .result = report.effect.result,
                .has_serving = job.has_serving,
                .intent = job.intent},
               clock);
  report.reads = std::move(read.reads);
  report.history = std::move(read.history);
  return report;
}

AttemptReport never_sent(AttemptNo attempt, std::string reason) {
  TRUED_ASSERT(!reason.empty());
  AttemptReport report;
  report.attempt = attempt;
  report.effect.attempt = attempt;
  report.effect.kind = EffectKind::not_sent;
  report.effect.reason = std::move(reason);
  return report;
}

std::size_t bytes_of(const Intent& intent) {
  std::size_t bytes = intent.input.size();
  for (const ArtifactIntent& artifact : intent.artifacts) bytes += artifact.content.size();
  return bytes;
}

ReadReport run_read(const Target& target, const ReadJob& job, Clock& clock) {
  TRUED_ASSERT(target.store != nullptr && job.intent != nullptr);
  TRUED_ASSERT(job.has_serving || job.serving_artifacts.empty());
  ReadReport report;
  report.attempt = job.attempt;
  ReadRequest request{.intent = job.intent,
                      .artifacts = job.store_artifacts,
                      .operation = job.operation,
                      .identity = job.identity,
                      .result = job.result,
                      .key = job.key,
                      .scope = job.scope};
  Looked store = read_level(*target.store, request, Level::store, clock);
  report.reads = std::move(store.seen);
  report.answered = store.answered;
  // What cannot be read may be what hangs on an answer that never came.
  const bool lacks_result =
      target.policy.capabilities.probes && job.result.empty() && any_unreadable(report.reads);
  if (job.intent->artifacts.empty() || any_mismatch(*job.intent, report.reads) || lacks_result) {
    report.history = ask_history(target, {.operation = job.operation,
                                          .intent = job.intent,
                                          .since = job.since,
                                          .reported = job.reported,
                                          .untouched_since = job.untouched_since,
                                          .identity = job.identity,
                                          .result = job.result,
                                          .key = job.key,
                                          .scope = job.scope,
                                          .attempt = job.attempt});
    return report;
  }
  const bool store_holds = all_match(*job.intent, report.reads);
  if (store_holds && job.has_serving && target.serving && !job.serving_artifacts.empty()) {
    request.artifacts = job.serving_artifacts;
    append(report.reads, read_level(*target.serving, request, Level::serving, clock).seen);
  }
  return report;
}

}  // namespace trued
