#include "sim/simulation.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "engine/write_input.h"
#include "json/parse.h"
#include "json/writer.h"
#include "sim/sim_node.h"
#include "sim/sim_target.h"
#include "sim/sim_types.h"
#include "sim/sim_workers.h"

namespace trued::sim {
namespace {

constexpr int kSleepersMax = 3;
constexpr Duration kRestMax{4'000'000};

class World {
 public:
  World(const Options& options, bool keep_trace, Coverage& coverage);
  Outcome run();

 private:
  struct Request {
    std::string key;
    std::string payload;    ///< JSON of the input
    bool declared = false;  ///< of a type that says what undoes it
  };
  struct Client {
    std::uint32_t number = 0;
    std::vector<Request> sent;
  };

  Node* reach();
  Engine* reach_engine();
  Node* leader() const;
  bool sleep(Duration span);
  void live_until(Duration end, bool to_rest);
  Duration next_time(Duration end);
  bool at_rest() const;

  void schedule_act(Client& client);
  void act(Client& client);
  void send(Client& client, const Request& request, bool again);
  void wait_on_something();
  void schedule_crash();
  void schedule_stall();
  void schedule_jump();
  void schedule_person();
  void schedule_outsider();
  void schedule_outage();
  void schedule_floor();
  void check_gates_at_rest();
  void person();
  std::string payload();
  std::string path() { return "p" + std::to_string(chance_.below(options_.paths)); }

  const Options options_;
  bool calm_ = false;
  Duration jumped_{0};  ///< the wall clock, in all
  Chance chance_;
  Agenda agenda_;
  Trace trace_;
  Auditor auditor_;
  SimClock clock_;
  SeededRandom entropy_;
  SimBuggify buggify_;
  SharedLog log_;
  Targets targets_;
  std::optional<SimTypes> types_;
  std::vector<SimStore*> stores_;
  std::vector<Client> clients_;
  std::vector<std::unique_ptr<Node>> nodes_;
  SimWorkers workers_;
  std::uint64_t payloads_ = 0;
  int sleeping_ = 0;  ///< effects that hang
};

World::World(const Options& options, bool keep_trace, Coverage& coverage)
    : options_(options),
      chance_(options.seed),
      trace_(agenda_, keep_trace),
      auditor_(trace_, options_, coverage),
      clock_(agenda_),
      entropy_(options.seed ^ 0x656e74726f7079ULL),
      buggify_(auditor_, chance_, options_, calm_),
      workers_([this] { return reach_engine(); }, agenda_, trace_, auditor_, chance_, options_,
               calm_) {
  for (std::uint32_t i = 0; i < options_.targets; ++i) {
    const std::string name = "t" + std::to_string(i);
    auto store = std::make_unique<SimStore>(name, chance_.in_thousand(options_.with_history),
                                            auditor_, trace_, chance_, options_, agenda_, calm_);
    stores_.push_back(store.get());
    store->on_hang([this](Duration span) { return sleep(span); });
    std::unique_ptr<Reader> serving;
    if (chance_.in_thousand(options_.with_serving)) {
      serving = std::make_unique<SimServing>(*store, chance_.span(0, 1'000));
    }
    const std::string kind = serving ? "simulated" : "";
    Policy policy = options_.policy;
    std::unique_ptr<Connector> connector;
    if (options_.with_workers > 0 && chance_.in_thousand(options_.with_workers)) {
      // What hangs there is the worker, not the store.
      store->on_hang([](Duration) { return true; });
      policy.lease = options_.lease;
      auto handed = std::make_unique<HandedStore>(std::move(store));
      workers_.add(name, *handed);
      connector = std::move(handed);
    } else {
      store->heed_floor(log_.below);
      connector = std::move(store);
    }
    targets_.emplace(name, make_target(name, "simulated", std::move(connector), std::move(serving),
                                       kind, policy));
  }
  types_.emplace(targets_, options_.undoing > 0);
  log_.ledger.fail_intents(
      [this] { return !calm_ && !log_.starting && chance_.in_thousand(options_.load_fails); });
  const NodePorts ports{targets_, *types_, log_,     auditor_, trace_,   agenda_,
                        chance_,  clock_,  entropy_, buggify_, options_, calm_};
  for (std::uint32_t i = 0; i < options_.nodes; ++i) {
    nodes_.push_back(std::make_unique<Node>(ports, i));
  }
  clients_.resize(options_.clients);
  for (std::uint32_t i = 0; i < options_.clients; ++i) clients_.at(i).number = i;
}

// Whoever comes does not know which node acts; one that was overtaken may think that it does.
Node* World::reach() {
  std::vector<Node*> acting;
  for (const auto& node : nodes_) {
    if (node->engine() != nullptr) acting.push_back(node.get());
  }
  if (acting.empty()) return nullptr;
  Node* const node = acting.size() == 1 ? acting.front() : chance_.pick(acting);
  node->poke();
  return node;
}

Engine* World::reach_engine() {
  Node* const node = reach();
  return node == nullptr ? nullptr : node->engine();
}

Node* World::leader() const {
  const auto found = std::ranges::find_if(nodes_, [](const auto& node) { return node->leads(); });
  return found == nodes_.end() ? nullptr : found->get();
}

// Inside a target: everything else goes on. Not for ever inside one another.
bool World::sleep(Duration span) {
  Node* const node = Node::running();
  if (sleeping_ >= kSleepersMax || calm_ || node == nullptr || !node->leads()) return true;
  ++sleeping_;
  const std::uint64_t life = node->life();
  live_until(agenda_.now() + span, false);
  --sleeping_;
  Node::running() = node;
  return life == node->life() && node->leads();
}

// ---- Who acts
// -------------------------------------------------------------------------------------

std::string World::payload() {
  std::string text;
  json::Writer out(text);
  out.begin_object().member(
      "target", std::string_view("t" + std::to_string(chance_.below(options_.targets))));
  if (chance_.in_thousand(options_.unverified)) out.member("verify", false);
  out.key("artifacts").begin_array();
  const std::uint64_t count = 1 + chance_.below(options_.artifacts_max);
  const std::uint64_t first = chance_.below(options_.paths);
  for (std::uint64_t i = 0; i < std::min<std::uint64_t>(count, options_.paths); ++i) {
    out.begin_object();
    out.member("path", std::string_view("p" + std::to_string((first + i) % options_.paths)));
    if (chance_.in_thousand(100)) {
      out.member("absent", true);
    } else {
      out.member("content", std::string_view("content " + std::to_string(++payloads_) +
                                             std::string(chance_.below(20), 'x')));
    }
    out.end_object();
  }
  out.end_array().end_object();
  return text;
}

void World::schedule_act(Client& client) {
  agenda_.after(chance_.span(1, 2 * options_.think.count()), [this, &client] {
    if (calm_) return;
    act(client);
    schedule_act(client);
  });
}

void World::act(Client& client) {
  if (!client.sent.empty() && chance_.in_thousand(options_.wrong_payload)) {
    const Request& before = chance_.pick(client.sent);
    return send(client, {before.key, payload(), before.declared}, true);
  }
  if (!client.sent.empty() && chance_.in_thousand(150)) {
    return send(client, chance_.pick(client.sent), true);
  }
  if (chance_.in_thousand(80)) return wait_on_something();
  // Clients share keys, as deliveries of one message do.
  const std::string key = "k" + std::to_string(chance_.below(options_.keys));
  client.sent.push_back({key, payload(), chance_.in_thousand(options_.declared)});
  send(client, client.sent.back(), false);
}

void World::send(Client& client, const Request& request, bool again) {
  InputFault fault;
  auto parsed =
      parse_write_input(std::move(json::parse(request.payload).value()), &targets_, fault);
  TRUED_ASSERT(parsed.has_value());
  const std::string& target = parsed->intent->target;
  const std::string type = request.declared ? SimTypes::type_for(target) : std::string(kWriteType);
  Submission submission{.identity = {"default", type, request.key},
                        .fingerprint = parsed->fingerprint,
                        .definition = request.declared ? SimTypes::definition_for(target)
                                                       : std::string(kWriteDefinition),
                        .intent = parsed->intent,
                        .intent_json = parsed->canonical,
                        .actor = "client " + std::to_string(client.number),
                        .priority = Priority::normal,
                        .not_before = {},
                        .deadline = {}};
  if (chance_.in_thousand(30)) submission.not_before = clock_.wall() + chance_.span(1, 5'000);
  if (chance_.in_thousand(30)) submission.deadline = clock_.wall() + chance_.span(-500, 5'000);
  const std::uint64_t number = auditor_.on_submit(submission.identity, submission.fingerprint);
  trace_.say("client ", client.number, " sends ", request.key, " #", number);
  auto heard = std::make_shared<bool>(false);
  Node* const node = reach();
  if (node == nullptr) return;
  node->engine()->submit(
      std::move(submission), chance_.in_thousand(300) ? Duration{0} : options_.patience,
      [this, number, heard, node, life = node->life()](std::variant<Answer, EngineProblem> reply) {
        if (*heard) trace_.violation("a caller was answered twice");
        *heard = true;
        if (life == node->life()) auditor_.on_reply(number, reply);
      });
  if (again) return;
  agenda_.after(options_.patience + Duration{1'000}, [this, &client, request, heard] {
    if (!*heard && !calm_) send(client, request, true);
  });
}

void World::wait_on_something() {
  std::vector<OperationId> ids = auditor_.in_state(State::verifying);
  if (ids.empty()) ids = auditor_.in_state(State::confirmed);
  if (ids.empty()) return;
  if (Engine* const engine = reach_engine(); engine != nullptr) {
    engine->wait_for(chance_.pick(ids), options_.patience, [](auto) {});
  }
}

void World::person() {
  constexpr PersonAction kActions[] = {PersonAction::it_happened, PersonAction::it_did_not,
                                       PersonAction::retry, PersonAction::cancel,
                                       PersonAction::compensate};
  PersonAction action = kActions[chance_.below(std::size(kActions))];
  State state = chance_.in_thousand(300) ? State::failed : State::needs_action;
  if (action == PersonAction::cancel) state = State::accepted;
  if (action == PersonAction::compensate && chance_.in_thousand(500)) state = State::confirmed;
  std::vector<OperationId> ids = auditor_.in_state(state);
  if (options_.undoing > 0 && chance_.in_thousand(options_.undoing)) {
    ids = auditor_.effects_out();
    if (ids.empty()) {
      ids = auditor_.around_undoings();
    } else {
      action = PersonAction::compensate;
    }
  }
  if (ids.empty()) return;
  const OperationId id = chance_.pick(ids);
  trace_.say("a person decides about ", to_string(id), ": ", to_string(action));
  if (Engine* const engine = reach_engine(); engine != nullptr) {
    engine->person(id, {action, "ada", "she looked"}, [](auto) {});
  }
}

void World::schedule_person() {
  if (options_.person_every.count() == 0) return;
  agenda_.after(chance_.span(1, 2 * options_.person_every.count()), [this] {
    if (calm_) return;
    person();
    schedule_person();
  });
}

void World::schedule_crash() {
  if (options_.crash_every.count() == 0) return;
  agenda_.after(chance_.span(1, 2 * options_.crash_every.count()), [this] {
    if (calm_) return;
    nodes_.at(chance_.below(nodes_.size()))->crash();
    schedule_crash();
  });
}

void World::schedule_stall() {
  if (options_.stall_every.count() == 0) return;
  agenda_.after(chance_.span(1, 2 * options_.stall_every.count()), [this] {
    if (calm_) return;
    nodes_.at(chance_.below(nodes_.size()))->stall(chance_.span(1, options_.stall_span.count()));
    schedule_stall();
  });
}

void World::schedule_jump() {
  if (options_.jump_every.count() == 0) return;
  agenda_.after(chance_.span(1, 2 * options_.jump_every.count()), [this] {
    if (calm_) return;
    Duration by = chance_.span(-60'000, 60'000);
    // What waits for a time of the wall must see it again before the world ends.
    if (std::chrono::abs(jumped_ + by) > kRestMax / 4) by = -by;
    jumped_ += by;
    trace_.say("the wall clock jumps by ", by.count());
    clock_.jump(by);
    schedule_jump();
  });
}

void World::schedule_outsider() {
  if (options_.outsiders == 0) return;
  agenda_.after(chance_.span(1, 3'000), [this] {
    if (calm_) return;
    stores_.at(chance_.below(stores_.size()))->outsider(path());
    schedule_outsider();
  });
}

void World::schedule_floor() {
  if (options_.floor_every.count() == 0) return;
  agenda_.after(chance_.span(1, 2 * options_.floor_every.count()), [this] {
    if (calm_) return;
    trace_.say("the ledger falls below its floor");
    auditor_.see("below the floor");
    log_.below = true;
    agenda_.after(chance_.span(1, options_.floor_span.count()), [this] {
      if (calm_) return;
      trace_.say("the ledger is at its floor again");
      log_.below = false;
      schedule_floor();
    });
  });
}

void World::schedule_outage() {
  if (options_.outage_every.count() == 0) return;
  agenda_.after(chance_.span(1, 2 * options_.outage_every.count()), [this] {
    if (calm_) return;
    SimStore& store = *stores_.at(chance_.below(stores_.size()));
    if (!store.is_down()) {
      store.down(true);
      agenda_.after(chance_.span(1, options_.outage_span.count()), [&store] {
        if (store.is_down()) store.down(false);
      });
    }
    schedule_outage();
  });
}

// Whatever was counted in has been counted out.
void World::check_gates_at_rest() {
  for (const GateStats& gate : leader()->engine()->stats().targets) {
    if (gate.breaker_opened > 0) auditor_.see("breaker opened");
    const bool empty =
        gate.in_flight == 0 && gate.held_attempts + gate.held_retries + gate.held_reads == 0;
    if (!empty) trace_.violation("(4) a target's gate still counts somebody, and nobody is there");
  }
}

// ---- Time
// -----------------------------------------------------------------------------------------

Duration World::next_time(Duration end) {
  Duration time = end;
  if (const auto event = agenda_.next()) time = std::min(time, *event);
  for (const auto& node : nodes_) {
    if (const auto due = node->due()) time = std::min(time, *due);
  }
  return std::max(time, agenda_.now());
}

void World::live_until(Duration end, bool to_rest) {
  while (agenda_.now() < end && trace_.first_violation().empty()) {
    const Duration time = next_time(end);
    agenda_.wait_until(time);
    if (agenda_.next() && *agenda_.next() <= time) {
      agenda_.run_next();
      for (const auto& node : nodes_) node->poke();
    }
    for (const auto& node : nodes_) {
      if (const auto due = node->due(); due && *due <= agenda_.now()) node->pump();
    }
    if (to_rest && at_rest()) return;
  }
}

bool World::at_rest() const {
  const Node* const node = leader();
  if (node == nullptr) return false;
  const EngineStats stats = node->engine()->stats();
  std::string unused;
  return stats.open == 0 && stats.in_flight == 0 && node->engine()->ready(unused);
}

Outcome World::run() {
  for (const auto& node : nodes_) node->begin();
  for (Client& client : clients_) schedule_act(client);
  schedule_crash();
  schedule_stall();
  schedule_jump();
  schedule_person();
  schedule_outsider();
  schedule_outage();
  schedule_floor();
  workers_.start();
  live_until(options_.safety_phase, false);
  trace_.say("CALM");
  calm_ = true;
  log_.below = false;
  for (SimStore* store : stores_) {
    if (store->is_down()) store->down(false);
  }
  for (const auto& node : nodes_) node->wake();
  // Everything has a deadline, and a clock that was set back by at most so many minutes.
  live_until(agenda_.now() + kRestMax, true);
  if (trace_.first_violation().empty()) auditor_.at_rest();
  if (trace_.first_violation().empty()) check_gates_at_rest();
  Outcome outcome;
  outcome.seed = options_.seed;
  outcome.violation = trace_.first_violation();
  outcome.lines = trace_.lines();
  outcome.operations = auditor_.operations();
  outcome.calls = auditor_.submissions();
  outcome.trace = trace_.text();
  nodes_.clear();
  outcome.digest = trace_.finish();
  return outcome;
}

}  // namespace

Outcome simulate(const Options& options, bool keep_trace, Coverage& coverage) {
  return World(options, keep_trace, coverage).run();
}

Options minimize(Options options) {
  const auto fails = [](const Options& candidate) {
    Coverage unused;
    return !simulate(candidate, false, unused).violation.empty();
  };
  std::uint32_t* const faults[] = {
      &options.lost_before,  &options.lost_after,     &options.rejected,
      &options.refused,      &options.not_sent,       &options.thrown,
      &options.lies,         &options.hangs,          &options.unreadable,
      &options.stale_reads,  &options.outsiders,      &options.wrong_payload,
      &options.worker_dies,  &options.worker_stalls,  &options.unverified,
      &options.declared,     &options.undoing,        &options.load_fails,
      &options.commit_crash, &options.commit_unknown, &options.commit_rolled_back};
  for (std::uint32_t* fault : faults) {
    const std::uint32_t before = std::exchange(*fault, 0);
    if (before != 0 && !fails(options)) *fault = before;
  }
  for (Duration* every : {&options.stall_every, &options.crash_every, &options.jump_every,
                          &options.person_every, &options.outage_every, &options.floor_every}) {
    const Duration before = std::exchange(*every, Duration{0});
    if (before.count() != 0 && !fails(options)) *every = before;
  }
  for (std::uint32_t* count :
       {&options.nodes, &options.clients, &options.targets, &options.artifacts_max}) {
    while (*count > 1) {
      --*count;
      if (fails(options)) continue;
      ++*count;
      break;
    }
  }
  while (options.safety_phase > Duration{500}) {
    const Duration before = options.safety_phase;
    options.safety_phase = before * 3 / 4;
    if (fails(options)) continue;
    options.safety_phase = before;
    break;
  }
  return options;
}

}  // namespace trued::sim
