#include "ledger/query.h"

#include <algorithm>

namespace trued {
namespace {

bool fits(const std::string& wanted, const std::string& value) {
  return wanted.empty() || wanted == value;
}

}  // namespace

bool matches(const ListQuery& query, const Operation& operation) {
  const bool scoped =
      query.scopes.empty() ||
      std::ranges::find(query.scopes, operation.identity.scope) != query.scopes.end();
  return scoped && fits(query.scope, operation.identity.scope) &&
         fits(query.type, operation.identity.type) && fits(query.key, operation.identity.key) &&
         fits(query.target, operation.target) &&
         (!query.state || *query.state == operation.state) &&
         (!query.status || *query.status == status_of(operation.state)) &&
         (!query.since || operation.created_at >= *query.since) &&
         (!query.until || operation.created_at < *query.until) &&
         (!query.before || operation.id < *query.before);
}

bool matches(const DeadLetterQuery& query, const Operation& operation) {
  const auto cause = cause_of(operation);
  const bool waits = query.undecided && operation.state == State::needs_action;
  if (!cause || !(is_dead_letter(*cause) || waits)) return false;
  const bool scoped =
      query.scopes.empty() ||
      std::ranges::find(query.scopes, operation.identity.scope) != query.scopes.end();
  return scoped && fits(query.type, operation.identity.type) &&
         fits(query.target, operation.target) && (!query.cause || *query.cause == *cause) &&
         (!query.undecided || operation.state == State::needs_action) &&
         (!query.ended_until || ended_at(operation) <= *query.ended_until);
}

std::uint32_t same_endings(const std::vector<EventRecord>& log) {
  if (log.empty()) return 0;
  const auto* accepted = std::get_if<Accepted>(&log.front().event);
  if (accepted == nullptr) return 0;
  Operation operation = begin(log.front().operation, *accepted, log.front().at);
  Endings endings;
  for (std::size_t i = 1; i < log.size(); ++i) {
    const EventRecord& record = log.at(i);
    if (contradiction(operation, record.event)) break;
    evolve(operation, record.event, record.at);
    endings.add(operation, record.event);
  }
  return endings.same();
}

std::uint32_t events_of_endings(std::uint32_t times) {
  // Accepted, each end, and between two of them a person's word and a place in the line.
  return times == 0 ? 0 : 1 + times + 2 * (times - 1);
}

}  // namespace trued
