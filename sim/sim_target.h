// sim_target.h: a target that loses, refuses, hangs and lies, and a reader that lags. One thread.
//
// The truth is kept by a MemoryConnector underneath, which behaves like the strictest real target;
// everything else happens around it, and the auditor is told.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sim/auditor.h"
#include "target/memory/memory_connector.h"

namespace trued::sim {

class SimStore final : public Connector {
 public:
  SimStore(std::string name, bool history, Auditor& auditor, Trace& trace, Chance& chance,
           const Options& options, const Agenda& agenda, const bool& calm);

  Capabilities capabilities() const override { return inner_.capabilities(); }
  EffectResult perform(const EffectRequest& request) override;
  std::vector<RawRead> read(const ReadRequest& request) override;
  History history(const HistoryRequest& request) override;
  Result<std::string> version() override;
  std::string check_name(const std::string& name) const override { return inner_.check_name(name); }

  /// How time goes on while an effect hangs inside the target; false if the process ended
  /// meanwhile.
  void on_hang(std::function<bool(Duration)> sleep) { sleep_ = std::move(sleep); }
  /// No effect may begin while that is true. Not of what workers carry out.
  void heed_floor(const bool& below) { below_ = &below; }
  /// Nobody gets an answer until it is said again that it is not down.
  void down(bool is_down);
  [[nodiscard]] bool is_down() const { return down_; }
  /// Somebody who does not know of us changes something.
  void outsider(const std::string& path);
  /// What a consumer is handed: what stood there `lag` ago, or something worse.
  std::vector<RawRead> serve(const ReadRequest& request, Duration lag);

 private:
  enum class Fate {
    honest,
    lost_before,
    lost_after,
    rejected,
    refused,
    not_sent,
    thrown,
    swallowed,
    noop,
    empty,
    partial,
    truncated
  };
  using Content = std::optional<std::string>;

  Fate draw_fate();
  Fate draw_lie();
  EffectResult land(const EffectRequest& request, std::shared_ptr<const Intent> intent);
  EffectResult lie(const EffectRequest& request, Fate fate);
  EffectResult carry_out(const EffectRequest& request);
  EffectResult claim(std::string version, bool changed);
  static EffectResult turned_away(EffectKind kind, std::string reason);
  std::shared_ptr<const Intent> altered(const EffectRequest& request, Fate fate);
  void note_changes(const std::vector<std::string>& names, std::optional<OperationId> writer);
  void note_held(const EffectRequest& request);
  void maybe_outsider(const Intent& intent);
  RawRead read_one(const ArtifactIntent& artifact, Level level, Duration age, bool true_now);
  const Content& at(const std::string& name, Duration time);
  bool strikes(std::uint32_t permille) { return !calm_ && chance_.in_thousand(permille); }

  const std::string name_;
  MemoryConnector inner_;
  Auditor& auditor_;
  Trace& trace_;
  Chance& chance_;
  const Options& options_;
  const Agenda& agenda_;
  const bool& calm_;
  std::function<bool(Duration)> sleep_;
  std::uint64_t outsiders_ = 0;
  bool down_ = false;
  const bool* below_ = nullptr;
  bool lying_ = false;  ///< what is carried out now is not what was asked for
  /// What stood under each name since when.
  std::map<std::string, std::vector<std::pair<Duration, Content>>> past_;
};

/// The level that consumers read, some way behind the store.
class SimServing final : public Reader {
 public:
  SimServing(SimStore& store, Duration lag) : store_(store), lag_(lag) {}
  std::vector<RawRead> read(const ReadRequest& request) override {
    return store_.serve(request, lag_);
  }

 private:
  SimStore& store_;
  const Duration lag_;
};

}  // namespace trued::sim
