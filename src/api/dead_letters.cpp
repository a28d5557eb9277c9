// Dead letters: what reached a bound, oldest first.
#include "api/dead_letters.h"

#include <algorithm>
#include <utility>

#include "api/impl.h"
#include "api/parameters.h"
#include "api/receipts.h"
#include "engine/write_input.h"
#include "ledger/query.h"

namespace trued::api {
namespace {

// Logs read for one answer, where not every operation that the ledger finds is meant.
constexpr std::uint32_t kLogsMax = 1'000;

struct Asked {
  LetterFilter filter;
  std::optional<bool> poison;
  std::optional<Duration> older_than;
};

bool read_parameter(const std::string& name, const std::string& value, Asked& asked,
                    Problem& problem) {
  if (name == "cause") return read_dead_cause(value, asked.filter.query.cause, problem);
  if (name == "older_than") return read_span(name, value, asked.older_than, problem);
  if (name == "poison") return read_flag(name, value, asked.poison, problem);
  return read_letter_filter(name, value, asked.filter, problem);
}

void write_letter(json::Writer& out, const DeadLetter& letter, const config::Care& care,
                  const std::optional<Refusal>& left, std::string_view durability) {
  const Operation& operation = letter.operation;
  out.begin_object().key("operation");
  write_receipt(out, operation, std::nullopt, durability);
  out.member("cause", to_string(letter.cause));
  out.member("ended_at", std::string_view(format_rfc3339(ended_at(operation))));
  // What needs a person is kept until he has decided.
  out.key("expires_at");
  if (operation.settled_at) {
    out.string(format_rfc3339(*operation.settled_at + operation.retention));
  } else {
    out.null();
  }
  out.member("endings", letter.endings).member("poison", letter.poison);
  out.member("owner", std::string_view(care.owner)).key("left");
  if (left) {
    out.begin_object().member("code", std::string_view(left->code));
    out.member("detail", std::string_view(left->detail)).end_object();
  } else {
    out.null();
  }
  out.end_object();
}

}  // namespace

bool read_letter_filter(const std::string& name, const std::string& value, LetterFilter& filter,
                        Problem& problem) {
  if (name == "type") filter.query.type = value;
  if (name == "target") filter.query.target = value;
  if (name == "scope") filter.scope = value;
  if (name == "cursor") return read_position(value, filter.query.after, problem);
  if (name == "limit") return read_limit(value, filter.query.limit, problem);
  return true;
}

std::optional<Problem> narrow_to_scope(const Caller& caller, LetterFilter& filter) {
  if (filter.scope.empty()) {
    filter.query.scopes = caller.rights->scopes;
    return std::nullopt;
  }
  if (!caller.rights->covers(filter.scope)) return out_of_scope(caller, filter.scope);
  filter.query.scopes = {filter.scope};
  return std::nullopt;
}

bool read_dead_cause(const std::string& text, std::optional<Cause>& out, Problem& problem) {
  const auto cause = parse_cause(text);
  if (cause && is_dead_letter(*cause)) {
    out = cause;
    return true;
  }
  std::string words;
  for (std::size_t i = 0; i < kCauses; ++i) {
    const auto each = static_cast<Cause>(i);
    if (is_dead_letter(each)) words += (words.empty() ? "" : ", ") + std::string(to_string(each));
  }
  problem = no_such_word("cause of a dead letter", text, words);
  return false;
}

void write_position(json::Writer& out, std::uint64_t position) {
  out.key("cursor");
  position == 0 ? out.null() : out.string(std::to_string(position));
}

const Policy* Service::Impl::policy_of(const Operation& operation) const {
  // As the engine looks it up: by the version that the operation began with.
  if (ports.types != nullptr && operation.definition != kWriteDefinition) {
    const Target* defined = ports.types->target(operation.definition);
    return defined == nullptr ? nullptr : &defined->policy;
  }
  const auto found = ports.targets.find(operation.target);
  return found == ports.targets.end() ? nullptr : &found->second.policy;
}

config::Care Service::Impl::care_of(const Operation& operation) const {
  config::Care care = config::care_of(options.cares, operation.target);
  if (const auto definition = ports.types->known(operation.definition)) {
    if (!definition->owner.empty()) care.owner = definition->owner;
    care.decide_within = definition->decide_within.value_or(care.decide_within);
  }
  return care;
}

Result<std::optional<DeadLetter>> Service::Impl::letter_of(Operation operation, bool worklist) {
  const auto cause = cause_of(operation);
  // Whoever waits for a person is on the worklist, also where trying again would be wrong.
  const bool waits = worklist && operation.state == State::needs_action;
  if (!cause || !(is_dead_letter(*cause) || waits)) return std::optional<DeadLetter>();
  DeadLetter letter{.operation = std::move(operation), .cause = *cause};
  TRUED_TRY(const auto log, ports.reader->events(letter.operation.id));
  letter.endings = std::max(same_endings(log), 1U);
  letter.poison = letter.endings >= care_of(letter.operation).poison_after;
  return std::optional<DeadLetter>(std::move(letter));
}

Result<DeadLetters> Service::Impl::find_letters(DeadLetterQuery query, const LetterTest& test) {
  const std::uint32_t limit = query.limit;
  if (test) query.limit = kLogsMax;
  const std::scoped_lock lock(reader_mutex);
  TRUED_TRY(DeadLetterPage page, ports.reader->dead_letters(query));
  DeadLetters found{.letters = {}, .position = page.position};
  for (std::size_t i = 0; i < page.operations.size(); ++i) {
    if (found.letters.size() == limit) {
      found.position = page.positions.at(i - 1);
      break;
    }
    TRUED_TRY(auto letter, letter_of(std::move(page.operations.at(i)), query.undecided));
    if (letter && (!test || test(*letter))) found.letters.push_back(std::move(*letter));
  }
  return found;
}

std::optional<Refusal> Service::Impl::why_left(const DeadLetter& letter,
                                               const RedriveTerms& terms) const {
  const Operation& operation = letter.operation;
  const Policy* policy = policy_of(operation);
  if (policy == nullptr) {
    return Refusal{
        .code = "no-such-target",
        .detail = "what it is carried out at, '" + operation.target + "', is not configured"};
  }
  if (operation.on_failure == OnFailure::poison) {
    return Refusal{.code = "not-retryable",
                   .detail = "on_failure is \"poison\": submit a new operation under a new key"};
  }
  if (letter.poison && !terms.poison) {
    return Refusal{.code = "poison",
                   .detail = "it ended " + std::to_string(letter.endings) +
                             " times in the same way: mend it, or ask for poison too"};
  }
  if (terms.may_repeat) return std::nullopt;
  return why_not_unseen(operation, *policy, ports.clock.wall());
}

void Service::Impl::dead_letters(Call call) {
  Asked asked;
  Problem problem;
  for (const auto& [name, value] : io::parse_query(call.request.query)) {
    if (!read_parameter(name, value, asked, problem)) return call.fail(problem);
  }
  if (const auto refused = narrow_to_scope(call.caller, asked.filter)) return call.fail(*refused);
  DeadLetterQuery& query = asked.filter.query;
  if (asked.older_than) query.ended_until = ports.clock.wall() - *asked.older_than;
  on_pool(std::move(call), [self = shared_from_this(), asked = std::move(asked)](Call later) {
    LetterTest test;
    if (asked.poison) {
      test = [wanted = *asked.poison](const DeadLetter& l) { return l.poison == wanted; };
    }
    const auto found = self->find_letters(asked.filter.query, test);
    if (!found.has_value()) return later.fail(ledger_problem(found.error()));
    std::string body;
    json::Writer out(body);
    out.begin_object();
    // Set apart: what the rest needs is another chance, what these need is another look.
    for (const bool poison : {false, true}) {
      out.key(poison ? "poison" : "dead_letters").begin_array();
      for (const DeadLetter& letter : found->letters) {
        if (letter.poison != poison) continue;
        write_letter(out, letter, self->care_of(letter.operation), self->why_left(letter, {}),
                     self->durability());
      }
      out.end_array();
    }
    write_position(out, found->position);
    out.end_object();
    const auto floor = self->set_floor(later);
    if (!floor.has_value()) return later.fail(ledger_problem(floor.error()));
    later.answer(json_response(200, std::move(body)));
  });
}

}  // namespace trued::api
