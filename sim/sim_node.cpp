#include "sim/sim_node.h"

#include <algorithm>

namespace trued::sim {
namespace {

constexpr int kStepsMax = 200'000;  // of an engine that says it has work, without time going on

}  // namespace

Node*& Node::running() {
  static thread_local Node* node = nullptr;
  return node;
}

Node::Node(const NodePorts& ports, std::uint32_t number)
    : ports_(ports),
      number_(number),
      alone_(ports.options.nodes == 1),
      floor_(ports.log),
      runner_(ports.agenda, ports.chance, ports.options, ports.calm,
              [this](const std::function<void()>& work) {
                if (stalled()) return false;
                Node* const before = std::exchange(running(), this);
                work();
                running() = before;
                return true;
              }),
      ledger_(ports.log, ports.auditor, ports.trace, ports.chance, ports.options, ports.calm) {}

void Node::begin() {
  if (alone_) return act();
  stand_by();
}

void Node::act() {
  ++life_;
  ledger_.take();
  ports_.auditor.on_takeover();
  engine_ = std::make_unique<Engine>(
      EnginePorts{ledger_, ports_.targets, runner_, ports_.clock, ports_.entropy, &ports_.types,
                  alone_ ? nullptr : &lease_, &ports_.buggify, &floor_},
      ports_.options.engine);
  ports_.log.starting = true;
  const auto recovered = engine_->recover();
  ports_.log.starting = false;
  if (!recovered.has_value()) ports_.trace.violation("(4) the ledger cannot be recovered");
  poke();
}

void Node::crash() {
  ports_.trace.say("CRASH of node ", number_);
  engine_.reset();
  due_.reset();
  Node* const before = std::exchange(running(), this);
  runner_.crash();
  running() = before;
  ledger_.forget_question();
  stalled_until_ = Duration{0};
  ++life_;
  begin();
}

void Node::stall(Duration span) {
  if (stalled()) return;
  ports_.trace.say("node ", number_, " stalls for ", span.count());
  ports_.auditor.see("node stalled");
  stalled_until_ = ports_.agenda.now() + span;
  ports_.agenda.after(span, [this] { poke(); });
}

void Node::wake() {
  stalled_until_ = Duration{0};
  poke();
}

std::optional<Duration> Node::due() const {
  if (engine_ == nullptr || stalled()) return std::nullopt;
  return due_;
}

void Node::pump() {
  try {
    for (int i = 0; i < kStepsMax; ++i) {
      const Turn turn = engine_->step();
      if (turn.worked) continue;
      due_ = ports_.agenda.now() + std::max(turn.next_in.value_or(Duration{1'000}), Duration{1});
      return;
    }
    ports_.trace.violation("(4) the engine is busy without end");
  } catch (const Crash&) {
    crash();
  }
}

// ---- Who acts

void Node::stand_by() {
  seen_epoch_ = ports_.log.epoch;
  seen_beat_ = ports_.log.beat;
  seen_at_ = ports_.agenda.now();
  const std::uint64_t life = life_;
  // The first of all finds a ledger that nobody has taken yet.
  const Duration first = ports_.log.epoch == 0 ? Duration{1} : ports_.options.node_lease / 4;
  ports_.agenda.after(first + ports_.chance.span(0, 20), [this, life] {
    if (life == life_) look();
  });
}

// The margin stands for clocks that do not run at the same speed.
void Node::look() {
  const Duration lease = ports_.options.node_lease;
  const std::uint64_t life = life_;
  ports_.agenda.after(lease / 4, [this, life] {
    if (life == life_) look();
  });
  if (stalled()) return;
  if (engine_ != nullptr) return renew();
  SharedLog& log = ports_.log;
  const bool moved = log.epoch != seen_epoch_ || log.beat != seen_beat_;
  if (moved) {
    seen_epoch_ = log.epoch;
    seen_beat_ = log.beat;
    seen_at_ = ports_.agenda.now();
    return;
  }
  if (log.epoch != 0 && ports_.agenda.now() - seen_at_ < lease + lease / 4) return;
  ports_.trace.say("node ", number_, " takes over, epoch ", log.epoch + 1);
  if (log.epoch != 0) ports_.auditor.see("node took over");
  holds_until_ = ports_.agenda.now() + lease;
  act();
  // act() has begun another life, which looks after its own lease.
  const std::uint64_t now = life_;
  ports_.agenda.after(lease / 4, [this, now] {
    if (now == life_) look();
  });
}

void Node::renew() {
  const bool lost = !ports_.calm && ports_.chance.in_thousand(ports_.options.renewal_lost);
  if (lost) return;
  if (ledger_.current()) {
    ++ports_.log.beat;
    holds_until_ = ports_.agenda.now() + ports_.options.node_lease;
    return;
  }
  ports_.trace.say("node ", number_, " finds that it was overtaken");
  ports_.auditor.see("node overtaken");
  crash();
}

}  // namespace trued::sim
