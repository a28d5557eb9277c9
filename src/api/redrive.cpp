// Having dead letters tried again: singly or by query, in the order of acceptance.
#include <algorithm>
#include <map>
#include <mutex>
#include <utility>
#include <variant>

#include "api/impl.h"
#include "api/parameters.h"
#include "api/people.h"
#include "engine/write_input.h"

namespace trued::api {
namespace {

constexpr std::uint32_t kIdsMax = 1'000;
constexpr std::uint32_t kPacedSeconds = 60;  // no request is held for longer

struct Asked {
  DeadLetterQuery query{.limit = 100};
  std::string scope;
  std::optional<Duration> older_than;
  std::optional<std::vector<std::string>> ids;
  RedriveTerms terms;
  bool dry_run = false;
  std::uint32_t rate = 0;  ///< a second; 0 for as fast as it goes
  std::string who, why;
};

/// One operation that was asked for, and what became of it.
struct Entry {
  std::string id;
  std::optional<DeadLetter> letter = {};
  std::optional<Refusal> left = {};
  State state = State::accepted;  ///< once it was redriven
};

bool complain(Problem& problem, std::string detail, const std::string& pointer) {
  problem = malformed(std::move(detail), pointer);
  return false;
}

// Says where it stands.
bool at(const std::string& pointer, Problem& problem) {
  problem.pointer = pointer;
  return false;
}

bool take_flag(const json::Value& value, const std::string& pointer, bool& out, Problem& problem) {
  if (!value.is_bool()) return complain(problem, "expected true or false", pointer);
  out = value.as_bool();
  return true;
}

bool take_number(const json::Value& value, const std::string& pointer, std::uint32_t& out,
                 Problem& problem) {
  constexpr std::int64_t kMost = 1'000;
  if (!value.is_int() || value.as_int() < 1 || value.as_int() > kMost) {
    return complain(problem, "expected a whole number from 1 to 1000", pointer);
  }
  out = static_cast<std::uint32_t>(value.as_int());
  return true;
}

bool take_ids(const json::Value& value, Asked& asked, Problem& problem) {
  const bool fits =
      value.is_array() && !value.items().empty() && value.items().size() <= kIdsMax &&
      std::ranges::all_of(value.items(), [](const json::Value& id) { return id.is_string(); });
  if (!fits) return complain(problem, "expected 1 to 1000 ids of operations", "/ids");
  asked.ids.emplace();
  for (const json::Value& id : value.items()) asked.ids->push_back(id.as_string());
  // The order of acceptance, whatever that of the request is.
  std::ranges::sort(*asked.ids);
  asked.ids->erase(std::ranges::unique(*asked.ids).begin(), asked.ids->end());
  return true;
}

bool take_filter(const json::Value& value, Asked& asked, Problem& problem) {
  if (!value.is_object()) return complain(problem, "expected an object", "/filter");
  for (const auto& [name, member] : value.members()) {
    const std::string pointer = "/filter" + pointer_to(name);
    if (!member.is_string()) return complain(problem, "expected a text", pointer);
    const std::string& text = member.as_string();
    if (name == "type") {
      asked.query.type = text;
    } else if (name == "target") {
      asked.query.target = text;
    } else if (name == "scope") {
      asked.scope = text;
    } else if (name == "cause") {
      if (!read_dead_cause(text, asked.query.cause, problem)) return at(pointer, problem);
    } else if (name == "older_than") {
      if (!read_span(name, text, asked.older_than, problem)) return at(pointer, problem);
    } else {
      return complain(
          problem,
          "unknown member '" + name + "'; there are type, target, scope, cause and older_than",
          pointer);
    }
  }
  return true;
}

bool take_member(const std::string& name, const json::Value& value, Asked& asked,
                 Problem& problem) {
  const std::string pointer = pointer_to(name);
  if (name == "ids") return take_ids(value, asked, problem);
  if (name == "filter") return take_filter(value, asked, problem);
  if (name == "dry_run") return take_flag(value, pointer, asked.dry_run, problem);
  if (name == "poison") return take_flag(value, pointer, asked.terms.poison, problem);
  if (name == "may_repeat") return take_flag(value, pointer, asked.terms.may_repeat, problem);
  if (name == "limit") return take_number(value, pointer, asked.query.limit, problem);
  if (name == "rate") return take_number(value, pointer, asked.rate, problem);
  if (name == "who" || name == "why") return true;  // read with the rest of a person's words
  if (name == "cursor") {
    if (value.is_null()) return true;
    if (!value.is_string()) return complain(problem, "expected a text", pointer);
    return read_position(value.as_string(), asked.query.after, problem) || at(pointer, problem);
  }
  return complain(problem,
                  "unknown member '" + name +
                      "'; there are ids, filter, cursor, limit, rate, poison, may_repeat, "
                      "dry_run, who and why",
                  pointer);
}

bool read_asked(const std::string& text, Asked& asked, Problem& problem) {
  const auto body = read_json(text, problem);
  if (!body) return false;
  if (!body->is_object()) return complain(problem, "the body must be an object", "");
  for (const auto& [name, value] : body->members()) {
    if (!take_member(name, value, asked, problem)) return false;
  }
  const bool filter = body->find("filter") != nullptr;
  if (filter == asked.ids.has_value()) {
    return complain(problem,
                    "say which: either 'ids', or 'filter' ({} for every dead letter there is)", "");
  }
  if (asked.ids && asked.query.after != 0) {
    return complain(problem, "'cursor' goes on with a 'filter', not with 'ids'", "/cursor");
  }
  // Who names an operation has looked at it: what is poison is left by queries only.
  asked.terms.poison = asked.terms.poison || asked.ids.has_value();
  if (asked.rate > 0) {
    asked.query.limit = std::min(asked.query.limit, asked.rate * kPacedSeconds);
  }
  return take_words(*body, "who", asked.who, problem) &&
         take_words(*body, "why", asked.why, problem);
}

void write_entry(json::Writer& out, const Entry& entry) {
  out.begin_object().member("id", std::string_view(entry.id));
  if (entry.letter) {
    const Operation& o = entry.letter->operation;
    out.member("scope", std::string_view(o.identity.scope));
    out.member("type", std::string_view(o.identity.type));
    out.member("key", std::string_view(o.identity.key));
    out.member("target", std::string_view(o.target));
    out.member("cause", to_string(entry.letter->cause));
  }
  if (entry.left) {
    out.member("code", std::string_view(entry.left->code));
    out.member("detail", std::string_view(entry.left->detail));
  } else {
    out.member("state", to_string(entry.state));
  }
  out.end_object();
}

/// Target and name of an artifact, and who was the last to write it.
using Newest = std::map<std::pair<std::string, std::string>, OperationId>;

// Only writes: what they put there replaces what others put there before. In order.
void note(const Operation& operation, bool all, Newest& newest) {
  if (operation.definition != kWriteDefinition) return;
  for (const ArtifactState& artifact : operation.artifacts) {
    std::pair key{operation.target, artifact.meant.name};
    if (const auto found = newest.find(key); found != newest.end()) {
      found->second = operation.id;
    } else if (all) {
      newest.emplace(std::move(key), operation.id);
    }
  }
}

// The first of two that write one artifact would land, and keep the other from it.
std::optional<Refusal> why_outdone(const Operation& operation, const Newest& newest) {
  if (operation.definition != kWriteDefinition) return std::nullopt;
  for (const ArtifactState& artifact : operation.artifacts) {
    const auto found = newest.find({operation.target, artifact.meant.name});
    if (found == newest.end() || found->second == operation.id) continue;
    return Refusal{.code = "outdone",
                   .detail = to_string(found->second) + ", which was accepted later, writes '" +
                             artifact.meant.name +
                             "' too: what is older is not put in its place; if it should be, name "
                             "this one alone"};
  }
  return std::nullopt;
}

// One redrive under way: each operation is given to the engine when its time has come, and the
// answer is sent when the engine has made the last of them durable. A client that goes away ends
// the answer, not the redrive.
class RedriveRun : public std::enable_shared_from_this<RedriveRun> {
 public:
  RedriveRun(std::shared_ptr<Service::Impl> service, Call call, Asked asked)
      : service_(std::move(service)), call_(std::move(call)), asked_(std::move(asked)) {}

  void start() {
    auto found = asked_.ids ? find_named() : find_all();
    if (!found.has_value()) return call_.fail(ledger_problem(found.error()));
    auto newest = find_newest();
    if (!newest.has_value()) return call_.fail(ledger_problem(newest.error()));
    const auto floor = service_->set_floor(call_);
    if (!floor.has_value()) return call_.fail(ledger_problem(floor.error()));
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      Entry& entry = entries_.at(i);
      if (!entry.left && entry.letter) entry.left = service_->why_left(*entry.letter, asked_.terms);
      if (!entry.left && entry.letter) entry.left = why_outdone(entry.letter->operation, *newest);
      if (entry.left) continue;
      entry.state = entry.letter->operation.state;
      going_.push_back(i);
    }
    pending_ = going_.size();
    if (asked_.dry_run || going_.empty()) return answer();
    began_ = service_->ports.clock.monotonic();
    if (asked_.rate > 0) return go_paced(0);
    for (const std::size_t index : going_) go(index);
  }

 private:
  Result<void> find_all() {
    TRUED_TRY(DeadLetters found, service_->find_letters(asked_.query, {}));
    position_ = found.position;
    for (DeadLetter& letter : found.letters) {
      std::string id = to_string(letter.operation.id);
      entries_.push_back({.id = std::move(id), .letter = std::move(letter)});
    }
    return {};
  }

  Result<void> find_named() {
    const std::scoped_lock lock(service_->reader_mutex);
    for (const std::string& text : *asked_.ids) {
      Entry& entry = entries_.emplace_back(Entry{.id = text});
      const auto id = parse_operation_id(text);
      std::optional<Operation> operation;
      if (id) {
        TRUED_TRY(operation, service_->ports.reader->find(*id));
      }
      if (!operation || !call_.caller.rights->covers(operation->identity.scope)) {
        entry.left = Refusal{.code = "no-such-operation",
                             .detail = "it is not here, or it is past its retention"};
        continue;
      }
      const std::string state(to_string(operation->state));
      TRUED_TRY(entry.letter, service_->letter_of(std::move(*operation), false));
      if (!entry.letter) {
        entry.left = Refusal{.code = "not-a-dead-letter",
                             .detail = "it is " + state +
                                       ", and reached no bound; its receipt says what can be done"};
      }
    }
    return {};
  }

  // Which dead letter was the last to write each of the artifacts that these write.
  Result<Newest> find_newest() {
    Newest newest;
    for (const Entry& entry : entries_) {
      if (entry.letter) note(entry.letter->operation, true, newest);
    }
    // Whether the others are meant or not: what lands now must not keep them from landing later.
    DeadLetterQuery query{.scopes = asked_.query.scopes,
                          .target = asked_.query.target,
                          .after = asked_.query.after,
                          .limit = kIdsMax};
    for (bool more = !asked_.ids && !newest.empty(); more; more = query.after != 0) {
      const std::scoped_lock lock(service_->reader_mutex);
      TRUED_TRY(const DeadLetterPage page, service_->ports.reader->dead_letters(query));
      for (const Operation& operation : page.operations) note(operation, false, newest);
      query.after = page.position;
    }
    return newest;
  }

  void go_paced(std::size_t nth) {
    go(going_.at(nth));
    if (nth + 1 == going_.size()) return;
    const auto span = std::chrono::nanoseconds(std::chrono::seconds(1)) *
                      static_cast<std::int64_t>(nth + 1) / asked_.rate;
    service_->later.at(began_ + span,
                       [self = shared_from_this(), nth] { self->go_paced(nth + 1); });
  }

  void go(std::size_t index) {
    const Operation& operation = entries_.at(index).letter->operation;
    // Somebody else may have had it tried again meanwhile: what he saw is another matter.
    PersonInput input{.action = PersonAction::retry,
                      .who = asked_.who,
                      .why = asked_.why,
                      .as_of = operation.updated_at};
    service_->ports.engine->person(
        operation.id, std::move(input),
        [self = shared_from_this(), index](std::variant<Answer, EngineProblem> reply) {
          self->take(index, reply);
        });
  }

  // On the engine's thread, mostly.
  void take(std::size_t index, std::variant<Answer, EngineProblem>& reply) {
    {
      const std::scoped_lock lock(mutex_);
      Entry& entry = entries_.at(index);
      if (const auto* refused = std::get_if<EngineProblem>(&reply)) {
        const bool named = refused->code == ProblemCode::refused;
        entry.left = Refusal{.code = named ? refused->name : std::string(problem_of(*refused).name),
                             .detail = refused->detail};
      } else {
        entry.state = std::get<Answer>(reply).operation->state;
      }
      if (--pending_ > 0) return;
    }
    answer();
  }

  void answer() {
    call_.answer_made([self = shared_from_this()] { return json_response(200, self->body()); });
  }

  std::string body() const {
    std::string body;
    json::Writer out(body);
    out.begin_object().member("dry_run", asked_.dry_run);
    for (const bool left : {false, true}) {
      out.key(left ? "left" : "redriven").begin_array();
      for (const Entry& entry : entries_) {
        if (entry.left.has_value() == left) write_entry(out, entry);
      }
      out.end_array();
    }
    write_position(out, position_);
    out.end_object();
    return body;
  }

  const std::shared_ptr<Service::Impl> service_;
  Call call_;
  const Asked asked_;
  std::vector<std::size_t> going_;  ///< indexes of entries_, in the order of acceptance
  std::uint64_t position_ = 0;
  std::chrono::nanoseconds began_{};  ///< by the monotonic clock

  std::mutex mutex_;
  std::vector<Entry> entries_;  ///< once they go, what became of them is guarded by mutex_
  std::size_t pending_ = 0;     ///< guarded by mutex_
};

}  // namespace

void Service::Impl::redrive(Call call) {
  Asked asked;
  Problem problem;
  if (!read_asked(call.request.body, asked, problem)) return call.fail(problem);
  if (!asked.scope.empty() && !call.caller.rights->covers(asked.scope)) {
    return call.fail(out_of_scope(call.caller, asked.scope, "/filter/scope"));
  }
  asked.query.scopes = asked.scope.empty() ? call.caller.rights->scopes : std::vector{asked.scope};
  if (asked.older_than) asked.query.ended_until = ports.clock.wall() - *asked.older_than;
  asked.who = signature(call.caller.actor, asked.who);
  on_pool(std::move(call), [self = shared_from_this(), asked = std::move(asked)](Call later) {
    std::make_shared<RedriveRun>(self, std::move(later), asked)->start();
  });
}

}  // namespace trued::api
