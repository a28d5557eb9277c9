// sim_node.h: one process over the ledger: it acts, stands by, stalls, ends without a word, and may
// be overtaken without knowing. One thread.
//
//   down ──► stands by ──nobody renewed for a lease──► acts ──ends, or finds itself overtaken──►
//   down
//
// Where a node is alone, it acts as soon as it is there, and no lease is looked at.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "engine/engine.h"
#include "sim/sim_ledger.h"
#include "sim/sim_types.h"

namespace trued::sim {

/// Strikes at each site as often as the world says.
class SimBuggify final : public Buggify {
 public:
  SimBuggify(Auditor& auditor, Chance& chance, const Options& options, const bool& calm)
      : auditor_(auditor), chance_(chance), options_(options), calm_(calm) {}
  bool strikes(std::string_view site) override {
    if (calm_ || options_.buggify == 0 || !chance_.in_thousand(options_.buggify)) return false;
    auditor_.see("buggify: " + std::string(site));
    return true;
  }

 private:
  Auditor& auditor_;
  Chance& chance_;
  const Options& options_;
  const bool& calm_;
};

/// What every node of a world has in common.
struct NodePorts {
  const Targets& targets;
  const SimTypes& types;
  SharedLog& log;
  Auditor& auditor;
  Trace& trace;
  Agenda& agenda;
  Chance& chance;
  SimClock& clock;
  Random& entropy;
  SimBuggify& buggify;
  const Options& options;
  const bool& calm;
};

class Node {
 public:
  Node(const NodePorts& ports, std::uint32_t number);
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  void begin();
  /// Ends without a word. Effects that were under way may still reach their end.
  void crash();
  /// Nothing of it moves for a while: neither its engine, nor what it has begun, nor its lease.
  void stall(Duration span);
  void wake();
  /// Steps its engine until that has nothing to do.
  void pump();

  /// Null while it does not act, as far as it knows.
  [[nodiscard]] Engine* engine() const { return engine_.get(); }
  /// It acts, and nobody has overtaken it.
  [[nodiscard]] bool leads() const { return engine_ != nullptr && ledger_.current(); }
  [[nodiscard]] bool stalled() const { return ports_.agenda.now() < stalled_until_; }
  /// Of the process; what an older one answers is not heard.
  [[nodiscard]] std::uint64_t life() const { return life_; }
  /// When its engine wants to be stepped; nothing while it cannot be.
  [[nodiscard]] std::optional<Duration> due() const;
  void poke() { due_ = ports_.agenda.now(); }
  /// Whose work runs right now, for what hangs in the middle of it.
  static Node*& running();

 private:
  class Lease final : public Tenure {
   public:
    explicit Lease(const Node& node) : node_(node) {}
    bool holds() const override { return node_.ports_.agenda.now() < node_.holds_until_; }

   private:
    const Node& node_;
  };

  void act();
  void look();
  void renew();
  void stand_by();

  NodePorts ports_;
  const std::uint32_t number_;
  const bool alone_;
  Lease lease_{*this};
  SimFloor floor_;
  SimRunner runner_;
  SimLedger ledger_;
  std::unique_ptr<Engine> engine_;
  std::optional<Duration> due_;
  Duration holds_until_{0};
  Duration stalled_until_{0};
  std::uint64_t life_ = 0;
  // While it stands by: the last renewal it saw, and when.
  std::uint64_t seen_epoch_ = 0;
  std::uint64_t seen_beat_ = 0;
  Duration seen_at_{0};
};

}  // namespace trued::sim
