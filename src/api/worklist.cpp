// The worklist: what waits for a person, with the evidence and the choices.
#include <algorithm>
#include <utility>

#include "api/impl.h"
#include "api/parameters.h"
#include "api/receipts.h"
#include "base/overloaded.h"

namespace trued::api {
namespace {

struct Asked {
  LetterFilter filter{.query = {.undecided = true}};
  std::string owner;
  std::optional<bool> overdue;
};

bool read_parameter(const std::string& name, const std::string& value, Asked& asked,
                    Problem& problem) {
  if (name == "owner") asked.owner = value;
  if (name == "overdue") return read_flag(name, value, asked.overdue, problem);
  return read_letter_filter(name, value, asked.filter, problem);
}

WallTime decide_by(const DeadLetter& letter, const config::Care& care) {
  return ended_at(letter.operation) + care.decide_within;
}

/// One attempt, as the log tells of it.
struct Tried {
  AttemptNo attempt{1};
  WallTime started_at{};
  std::optional<WallTime> ended_at = {};
  EffectKind outcome = EffectKind::none;
  std::string reason = {};
  std::uint32_t reads = 0;  ///< rounds of reading back after it
  std::optional<Tell> tell = {};
};

struct Evidence {
  std::vector<Tried> attempts;
  std::vector<const EventRecord*> late;
};

// What follows an attempt in the log belongs to it, until the next one begins.
Evidence evidence_of(const std::vector<EventRecord>& log) {
  Evidence found;
  const auto end = [&](const EventRecord& record, EffectKind kind, const std::string& reason) {
    if (found.attempts.empty()) return;
    Tried& tried = found.attempts.back();
    tried.ended_at = record.at;
    tried.outcome = kind;
    tried.reason = reason;
  };
  for (const EventRecord& record : log) {
    std::visit(Overloaded{
                   [&](const AttemptStarted& e) {
                     found.attempts.push_back({.attempt = e.attempt, .started_at = record.at});
                   },
                   [&](const EffectEnded& e) { end(record, e.kind, e.reason); },
                   [&](const Recovered&) {
                     end(record, EffectKind::unknown,
                         "the process that ran the attempt ended before it reported");
                   },
                   [&](const ReadBack&) {
                     if (!found.attempts.empty()) ++found.attempts.back().reads;
                   },
                   [&](const LieCaught& e) {
                     if (!found.attempts.empty()) found.attempts.back().tell = e.tell;
                   },
                   [&](const LateEvidence&) { found.late.push_back(&record); },
                   [](const auto&) {},
               },
               record.event);
  }
  return found;
}

void write_evidence(json::Writer& out, const Evidence& evidence) {
  out.key("attempts").begin_array();
  for (const Tried& tried : evidence.attempts) {
    out.begin_object().member("attempt", tried.attempt.value());
    out.member("started_at", std::string_view(format_rfc3339(tried.started_at))).key("ended_at");
    tried.ended_at ? out.string(format_rfc3339(*tried.ended_at)) : out.null();
    out.member("outcome", to_string(tried.outcome)).key("reason");
    tried.reason.empty() ? out.null() : out.string(tried.reason);
    out.member("reads", tried.reads).key("tell");
    tried.tell ? out.string(to_string(*tried.tell)) : out.null();
    out.end_object();
  }
  out.end_array().key("late_evidence").begin_array();
  for (const EventRecord* record : evidence.late) write_event(out, *record);
  out.end_array();
}

void write_choice(json::Writer& out, const Operation& operation, const Choice& choice) {
  const bool verdict =
      choice.action == PersonAction::it_happened || choice.action == PersonAction::it_did_not;
  const std::string word(to_string(choice.action));
  out.begin_object().member("choice", std::string_view(word));
  out.member("then", to_string(status_of(choice.then)));
  out.member("effect", std::string_view(choice.effect)).key("request").begin_object();
  out.member("method", "POST");
  out.member("path", std::string_view("/v1/operations/" + to_string(operation.id) + "/" +
                                      (verdict ? "resolve" : word)));
  out.key("body").begin_object();
  if (verdict) out.member("verdict", std::string_view(word));
  out.end_object().end_object().end_object();
}

}  // namespace

void Service::Impl::worklist(Call call) {
  Asked asked;
  Problem problem;
  for (const auto& [name, value] : io::parse_query(call.request.query)) {
    if (!read_parameter(name, value, asked, problem)) return call.fail(problem);
  }
  if (const auto refused = narrow_to_scope(call.caller, asked.filter)) return call.fail(*refused);
  on_pool(std::move(call), [self = shared_from_this(), asked = std::move(asked)](Call later) {
    const WallTime now = self->ports.clock.wall();
    LetterTest test;
    if (!asked.owner.empty() || asked.overdue) {
      test = [&](const DeadLetter& letter) {
        const config::Care& care = self->care_of(letter.operation);
        const bool theirs = asked.owner.empty() || asked.owner == care.owner;
        return theirs && (!asked.overdue || *asked.overdue == (decide_by(letter, care) <= now));
      };
    }
    const auto found = self->find_letters(asked.filter.query, test);
    if (!found.has_value()) return later.fail(ledger_problem(found.error()));
    std::string body;
    json::Writer out(body);
    out.begin_object().key("worklist").begin_array();
    for (const DeadLetter& letter : found->letters) {
      auto log = [&] {
        const std::scoped_lock lock(self->reader_mutex);
        return self->ports.reader->events(letter.operation.id);
      }();
      if (!log.has_value()) return later.fail(ledger_problem(log.error()));
      self->write_work(out, letter, *log, now);
    }
    out.end_array();
    write_position(out, found->position);
    out.end_object();
    const auto floor = self->set_floor(later);
    if (!floor.has_value()) return later.fail(ledger_problem(floor.error()));
    later.answer(json_response(200, std::move(body)));
  });
}

void Service::Impl::write_work(json::Writer& out, const DeadLetter& letter,
                               const std::vector<EventRecord>& log, WallTime now) const {
  const Operation& operation = letter.operation;
  const config::Care& care = care_of(operation);
  const WallTime by = decide_by(letter, care);
  const Policy* policy = policy_of(operation);
  out.begin_object().key("operation");
  write_receipt(out, operation, std::nullopt, durability());
  out.member("cause", to_string(letter.cause));
  out.member("since", std::string_view(format_rfc3339(ended_at(operation))));
  out.member("owner", std::string_view(care.owner));
  out.member("decide_by", std::string_view(format_rfc3339(by))).member("overdue", by <= now);
  out.member("endings", letter.endings).member("poison", letter.poison);
  write_evidence(out, evidence_of(log));
  out.key("choices").begin_array();
  for (const Choice& choice : choices_of(operation, policy == nullptr ? Policy{} : *policy, now)) {
    // Where its target is not configured, trying again could only wait for it.
    if (policy == nullptr && choice.action == PersonAction::retry) continue;
    write_choice(out, operation, choice);
  }
  out.end_array().end_object();
}

}  // namespace trued::api
