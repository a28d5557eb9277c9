// sim_workers.h: workers that carry effects out: they are killed, stall, say late or twice what
// came of it, or go away while they wait for work. One thread.
//
// They keep to what docs/workers.md asks of a worker: right before anything lands they look at
// their own clock, and leave it be if they were not heard for the time of a lease.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "engine/engine.h"
#include "sim/agenda.h"
#include "sim/auditor.h"
#include "sim/sim_target.h"

namespace trued::sim {

/// A store whose effects workers carry out; everything else of it is as it is.
class HandedStore final : public Connector {
 public:
  explicit HandedStore(std::unique_ptr<SimStore> store) : store_(std::move(store)) {}

  Capabilities capabilities() const override { return store_->capabilities(); }
  EffectResult perform(const EffectRequest& request) override;
  std::vector<RawRead> read(const ReadRequest& request) override { return store_->read(request); }
  History history(const HistoryRequest& request) override { return store_->history(request); }
  Result<std::string> version() override { return store_->version(); }
  std::string check_name(const std::string& name) const override {
    return store_->check_name(name);
  }

  [[nodiscard]] SimStore& store() { return *store_; }
  /// What was prepared to be handed out.
  [[nodiscard]] const EffectRequest& prepared(const OperationId& id, AttemptNo attempt) const {
    return prepared_.at({id, attempt.value()});
  }

 private:
  std::unique_ptr<SimStore> store_;
  std::map<std::pair<OperationId, std::uint32_t>, EffectRequest> prepared_;
};

class SimWorkers {
 public:
  /// `reach`: the engine that somebody comes to, and is woken; null if there is none just now.
  SimWorkers(std::function<Engine*()> reach, Agenda& agenda, Trace& trace, Auditor& auditor,
             Chance& chance, const Options& options, const bool& calm)
      : reach_(std::move(reach)),
        agenda_(agenda),
        trace_(trace),
        auditor_(auditor),
        chance_(chance),
        options_(options),
        calm_(calm) {}

  void add(const std::string& target, HandedStore& store) { stores_[target] = &store; }
  /// Every one of them asks for work from now on.
  void start();

 private:
  struct Held {
    std::string worker;
    OperationId id;
    AttemptNo attempt{1};
    std::string target;
    Duration heard{};  ///< when it last asked and was told that the lease is its own
    Duration until{};  ///< it is at work until then
    bool done = false;
  };
  using HeldPtr = std::shared_ptr<Held>;

  void ask(const std::string& worker);
  void take(const std::string& worker, const Lease& lease);
  void beat(const HeldPtr& held);
  void finish(const HeldPtr& held);
  AttemptReport carry_out(Held& held);
  void tell(const HeldPtr& held, const AttemptReport& report, int times);
  bool strikes(std::uint32_t permille) { return !calm_ && chance_.in_thousand(permille); }

  std::function<Engine*()> reach_;
  Agenda& agenda_;
  Trace& trace_;
  Auditor& auditor_;
  Chance& chance_;
  const Options& options_;
  const bool& calm_;
  std::map<std::string, HandedStore*> stores_;
};

}  // namespace trued::sim
