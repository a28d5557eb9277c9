#include "api/problems.h"

#include <algorithm>

#include "base/assert.h"
#include "json/writer.h"

namespace trued::api {

const ProblemType& problem_type(std::string_view name) {
  const auto* const found =
      std::ranges::find_if(kProblems, [&](const ProblemType& type) { return type.name == name; });
  TRUED_ASSERT(found != kProblems.end());
  return *found;
}

void write_problem(const Problem& problem, std::string& out) {
  const ProblemType& type = problem_type(problem.name);
  json::Writer writer(out);
  writer.begin_object();
  writer.member("type", std::string_view("urn:trued:problem:" + std::string(type.name)));
  writer.member("title", type.title);
  writer.member("status", type.status);
  writer.member("detail", std::string_view(problem.detail));
  if (!problem.pointer.empty()) writer.member("pointer", std::string_view(problem.pointer));
  if (!problem.differing.empty()) {
    writer.key("differing").begin_array();
    for (const std::string& pointer : problem.differing) writer.string(pointer);
    writer.end_array();
  }
  if (!problem.receipt.empty()) writer.key("receipt").raw(problem.receipt);
  writer.end_object();
}

io::HttpResponse respond(const Problem& problem) {
  const ProblemType& type = problem_type(problem.name);
  io::HttpResponse response;
  response.status = type.status;
  response.headers.push_back({"Content-Type", "application/problem+json"});
  if (type.status == 401) response.headers.push_back({"WWW-Authenticate", "Bearer"});
  if (problem.retry_after) {
    const auto seconds = std::max<Duration::rep>((problem.retry_after->count() + 999) / 1'000, 1);
    response.headers.push_back({"Retry-After", std::to_string(seconds)});
  }
  write_problem(problem, response.body);
  return response;
}

Problem problem_of(const EngineProblem& problem) {
  Problem out;
  out.detail = problem.detail;
  if (problem.retry_after.count() > 0) out.retry_after = problem.retry_after;
  switch (problem.code) {
    case ProblemCode::overloaded:
      out.name = "overloaded";
      break;
    case ProblemCode::ledger_unavailable:
      out.name = "ledger-unavailable";
      break;
    case ProblemCode::outcome_unknown:
      out.name = "outcome-unknown";
      break;
    case ProblemCode::draining:
      out.name = "draining";
      break;
    case ProblemCode::not_found:
      out.name = "no-such-operation";
      break;
    case ProblemCode::refused:
      out.name = problem_type(problem.name).name;
      break;
  }
  return out;
}

}  // namespace trued::api
