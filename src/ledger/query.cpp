#include "ledger/query.h"

namespace trued {
namespace {

bool fits(const std::string& wanted, const std::string& value) {
  return wanted.empty() || wanted == value;
}

}  // namespace

bool matches(const ListQuery& query, const Operation& operation) {
  return fits(query.scope, operation.identity.scope) && fits(query.type, operation.identity.type) &&
         fits(query.key, operation.identity.key) && fits(query.target, operation.target) &&
         (!query.state || *query.state == operation.state) &&
         (!query.status || *query.status == status_of(operation.state)) &&
         (!query.since || operation.created_at >= *query.since) &&
         (!query.until || operation.created_at < *query.until) &&
         (!query.before || operation.id < *query.before);
}

}  // namespace trued
