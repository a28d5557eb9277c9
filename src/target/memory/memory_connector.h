// memory_connector.h: a target inside the process, for tests, the lab and benchmarks.
//
// It behaves like the strictest real one: revisions count up by one with each change, a bounded
// history says who changed what, a changed `base` is refused, and what another writer put over
// ours is never written again. Faults are scripted, so that a test can make it lie.
//
// Any thread; one mutex. Nothing blocks beyond that mutex, so calls may run inline.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "target/target.h"

namespace trued {

struct MemoryOptions {
  bool history = true;               ///< false: like a plain store that keeps no history
  std::size_t history_max = 10'000;  ///< changes remembered; older ones cannot be proved
};

/// What the next effect does instead of the truth.
struct MemoryFault {
  EffectKind kind = EffectKind::unknown;  ///< how it claims to have ended
  bool lands = false;                     ///< whether it is carried out all the same
  std::string reason = "scripted fault";
};

class MemoryConnector final : public Connector {
 public:
  explicit MemoryConnector(MemoryOptions options = {});

  [[nodiscard]] Capabilities capabilities() const override;
  [[nodiscard]] EffectResult perform(const EffectRequest& request) override;
  [[nodiscard]] std::vector<RawRead> read(const ReadRequest& request) override;
  [[nodiscard]] History history(const HistoryRequest& request) override;
  /// The revision now, "0" at first; never fails.
  [[nodiscard]] Result<std::string> version() override;
  [[nodiscard]] std::string check_name(const std::string& name) const override;
  [[nodiscard]] bool is_inline() const override { return true; }

  /// A change by somebody else, behind our back; nothing as content removes. A revision of its own.
  void put_outside(const std::string& name, std::optional<std::string> content,
                   const std::string& who = "outside");
  /// What stands there now.
  [[nodiscard]] std::optional<std::string> content(const std::string& name) const;
  /// Every name there now, sorted.
  [[nodiscard]] std::vector<std::string> names() const;
  /// Queues a fault; each one is used up by one effect, in order.
  void script(MemoryFault fault);
  /// The next `calls` reads answer unreadable for every artifact.
  void script_unreadable(std::uint32_t calls);
  /// Effects that were carried out or were asked to be, faults included.
  [[nodiscard]] std::uint64_t performed() const;

 private:
  struct Item {
    std::string content;
    ContentId id;
  };
  struct Entry {
    std::string name;
    std::optional<ContentId> before;
    std::optional<ContentId> after;
  };
  struct Change {
    std::uint64_t revision = 0;
    std::optional<OperationId> operation;
    std::string who;
    std::vector<Entry> entries;
  };

  struct Question {
    const OperationId& operation;
    const Intent& intent;
    const std::string& since;
    std::string reported;
  };

  // All of these need `mutex_` held.
  EffectResult write(const EffectRequest& request);
  bool came_before(const EffectRequest& request) const;
  std::string stale_state(const Intent& intent, const History& proved) const;
  History prove(const Question& question) const;
  ArtifactHistory prove(const OperationId& operation, const ArtifactIntent& artifact,
                        std::optional<std::uint64_t> reported) const;
  /// The oldest revision that the history still knows the state of.
  std::uint64_t oldest() const;
  Entry set(const std::string& name, const std::string* content, const ContentId& id);
  void record(Change change);
  std::optional<ContentId> id_of(const std::string& name) const;

  const MemoryOptions options_;
  mutable std::mutex mutex_;
  std::map<std::string, Item, std::less<>> items_;
  std::deque<Change> changes_;
  std::uint64_t revision_ = 0;
  std::deque<MemoryFault> faults_;
  std::uint32_t unreadable_calls_ = 0;
  std::uint64_t performed_ = 0;
};

}  // namespace trued
