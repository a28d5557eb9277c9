#include "target/memory/memory_connector.h"

#include <algorithm>
#include <charconv>
#include <ranges>
#include <utility>

#include "base/assert.h"
#include "base/digest.h"
#include "target/compare.h"
#include "target/outcome.h"

namespace trued {
namespace {

std::optional<std::uint64_t> parse_revision(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string describe(const std::optional<ContentId>& id) {
  return id ? "sha256 " + id->sha256.hex().substr(0, 12) : std::string("absent");
}

bool is_meant(const ArtifactIntent& meant, const std::optional<ContentId>& id) {
  return meant.absent ? !id.has_value() : id == meant.id;
}

}  // namespace

MemoryConnector::MemoryConnector(MemoryOptions options) : options_(options) {}

Capabilities MemoryConnector::capabilities() const {
  return {.idempotent = true, .deduplicates = false, .history = options_.history};
}

EffectResult MemoryConnector::perform(const EffectRequest& request) {
  const std::lock_guard lock(mutex_);
  ++performed_;
  for (const ArtifactIntent& artifact : request.intent->artifacts) {
    if (const std::string wrong = check_name(artifact.name); !wrong.empty()) {
      return effect_ended(EffectKind::rejected_final, "'" + artifact.name + "': " + wrong);
    }
  }
  if (faults_.empty()) return write(request);
  const MemoryFault fault = std::move(faults_.front());
  faults_.pop_front();
  EffectResult result;
  if (fault.lands) result = write(request);
  result.ended.kind = fault.kind;
  if (fault.kind == EffectKind::acknowledged) {
    result.ended.changed = true;
    result.ended.version = std::to_string(revision_);
  } else {
    result.ended.reason = fault.reason;
  }
  return result;
}

EffectResult MemoryConnector::write(const EffectRequest& request) {
  const Intent& intent = *request.intent;
  const bool first = request.attempt.value() == 1 && !came_before(request);
  const History proved = first ? History{}
                               : prove({.operation = request.operation,
                                        .intent = intent,
                                        .since = request.since,
                                        .reported = request.reported});
  if (!first && options_.history && !proved.known) {
    return effect_ended(EffectKind::unknown, "not written: the history since '" + request.since +
                                                 "' is forgotten, so ours may have landed");
  }
  if (std::string stale = stale_state(intent, proved); !stale.empty()) {
    return effect_ended(EffectKind::rejected_final, std::move(stale));
  }
  Change change;
  change.operation = request.operation;
  change.who = request.actor.empty() ? "trued" : request.actor;
  bool differs = false;
  for (std::size_t i = 0; i < intent.artifacts.size(); ++i) {
    const ArtifactIntent& artifact = intent.artifacts.at(i);
    if (proved.known && !proved.artifacts.at(i).replaced_by.empty()) continue;
    differs = differs || !is_meant(artifact, id_of(artifact.name));
    change.entries.push_back(
        set(artifact.name, artifact.absent ? nullptr : &artifact.content, artifact.id));
  }
  TRUED_ASSERT(!differs || !change.entries.empty());
  if (!differs) return effect_acknowledged(false, std::to_string(revision_));
  record(std::move(change));
  return effect_acknowledged(true, std::to_string(revision_));
}

// Even the first attempt may come late, after one that was sent in its place has landed.
bool MemoryConnector::came_before(const EffectRequest& request) const {
  constexpr std::size_t kBeginningUnknownMax = 256;
  const auto since = parse_revision(request.since);
  const std::size_t newest =
      since ? revision_ - std::min(*since, revision_) : std::uint64_t{kBeginningUnknownMax};
  return std::ranges::any_of(
      changes_ | std::views::reverse | std::views::take(newest),
      [&](const Change& change) { return change.operation == request.operation; });
}

std::string MemoryConnector::stale_state(const Intent& intent, const History& proved) const {
  if (!intent.base) return {};
  const auto base = parse_revision(*intent.base);
  if (!base || *base > revision_ || *base < oldest()) {
    return "stale-state: the base '" + *intent.base + "' is not known; the revision now is " +
           std::to_string(revision_);
  }
  for (std::size_t i = 0; i < intent.artifacts.size(); ++i) {
    const std::string& name = intent.artifacts.at(i).name;
    if (proved.known && proved.artifacts.at(i).landed) continue;
    for (const Change& change : changes_) {
      if (change.revision <= *base) continue;
      const auto entry = std::ranges::find(change.entries, name, &Entry::name);
      if (entry == change.entries.end()) continue;
      if (entry->before == id_of(name)) break;
      return "stale-state: '" + name + "': expected " + describe(entry->before) + " as of " +
             *intent.base + ", seen " + describe(id_of(name)) + " at " + std::to_string(revision_);
    }
  }
  return {};
}

History MemoryConnector::prove(const Question& question) const {
  History history;
  if (!options_.history) return history;
  for (const Change& change : changes_) {
    if (change.operation != question.operation) continue;
    history.ours_present = true;
    history.our_version = std::to_string(change.revision);
  }
  // What was forgotten could have been ours.
  const auto since = parse_revision(question.since);
  const bool complete = oldest() == 0 || (since && *since >= oldest());
  history.known = complete || history.ours_present;
  const auto reported = parse_revision(question.reported);
  history.reported_present = reported && *reported <= revision_;
  for (const ArtifactIntent& artifact : question.intent.artifacts) {
    history.artifacts.push_back(prove(question.operation, artifact, reported));
  }
  TRUED_ASSERT(history.artifacts.size() == question.intent.artifacts.size());
  return history;
}

// Oldest change first: landing resets what came before, every later change replaces it again. What
// was acknowledged without a change of ours counts as landed if it stood there at that revision.
ArtifactHistory MemoryConnector::prove(const OperationId& operation, const ArtifactIntent& artifact,
                                       std::optional<std::uint64_t> reported) const {
  ArtifactHistory proof;
  for (const Change& change : changes_) {
    const auto entry = std::ranges::find(change.entries, artifact.name, &Entry::name);
    if (entry == change.entries.end()) continue;
    if (reported && change.revision > *reported) {
      proof.landed = proof.landed || is_meant(artifact, entry->before);
      reported.reset();
    }
    const bool holds = is_meant(artifact, entry->after);
    proof.landed = proof.landed || (holds && change.operation == operation);
    if (!proof.landed) continue;
    if (holds) {
      proof.replaced_by.clear();
    } else if (change.operation != operation) {
      proof.replaced_by = std::to_string(change.revision) + " " + change.who;
    }
  }
  return proof;
}

MemoryConnector::Entry MemoryConnector::set(const std::string& name, const std::string* content,
                                            const ContentId& id) {
  Entry entry{.name = name, .before = id_of(name), .after = std::nullopt};
  if (content == nullptr) {
    items_.erase(name);
    return entry;
  }
  items_.insert_or_assign(name, Item{.content = *content, .id = id});
  entry.after = id;
  return entry;
}

void MemoryConnector::record(Change change) {
  change.revision = ++revision_;
  changes_.push_back(std::move(change));
  while (changes_.size() > options_.history_max) changes_.pop_front();
  TRUED_ASSERT(changes_.size() <= revision_ && changes_.size() <= options_.history_max);
  TRUED_ASSERT(changes_.empty() || changes_.back().revision == revision_);
}

std::uint64_t MemoryConnector::oldest() const { return revision_ - changes_.size(); }

std::optional<ContentId> MemoryConnector::id_of(const std::string& name) const {
  const auto item = items_.find(name);
  if (item == items_.end()) return std::nullopt;
  return item->second.id;
}

std::vector<RawRead> MemoryConnector::read(const ReadRequest& request) {
  const std::lock_guard lock(mutex_);
  std::vector<RawRead> reads;
  reads.reserve(request.artifacts.size());
  const bool refuse = unreadable_calls_ > 0;
  if (refuse) --unreadable_calls_;
  for (const std::uint32_t index : request.artifacts) {
    const auto item = items_.find(request.intent->artifacts.at(index).name);
    if (refuse) {
      reads.push_back(read_unreadable("scripted fault"));
    } else if (item == items_.end()) {
      reads.push_back(read_absent(std::to_string(revision_)));
    } else {
      reads.push_back(read_found(item->second.content, std::to_string(revision_)));
    }
  }
  return reads;
}

History MemoryConnector::history(const HistoryRequest& request) {
  const std::lock_guard lock(mutex_);
  return prove({.operation = request.operation,
                .intent = *request.intent,
                .since = request.since,
                .reported = request.reported});
}

Result<std::string> MemoryConnector::version() {
  const std::lock_guard lock(mutex_);
  return std::to_string(revision_);
}

std::string MemoryConnector::check_name(const std::string& name) const {
  return check_relative_path(name);
}

void MemoryConnector::put_outside(const std::string& name, std::optional<std::string> content,
                                  const std::string& who) {
  const std::lock_guard lock(mutex_);
  ContentId id;
  if (content) id = {.sha256 = sha256(*content), .bytes = content->size()};
  Change change;
  change.who = who;
  change.entries.push_back(set(name, content ? &*content : nullptr, id));
  record(std::move(change));
}

std::optional<std::string> MemoryConnector::content(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto item = items_.find(name);
  if (item == items_.end()) return std::nullopt;
  return item->second.content;
}

std::vector<std::string> MemoryConnector::names() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [name, item] : items_) names.push_back(name);
  return names;
}

void MemoryConnector::script(MemoryFault fault) {
  const std::lock_guard lock(mutex_);
  faults_.push_back(std::move(fault));
}

void MemoryConnector::script_unreadable(std::uint32_t calls) {
  const std::lock_guard lock(mutex_);
  unreadable_calls_ = calls;
}

std::uint64_t MemoryConnector::performed() const {
  const std::lock_guard lock(mutex_);
  return performed_;
}

}  // namespace trued
