#include "api/problems.h"

#include <algorithm>

#include "base/assert.h"
#include "json/writer.h"

namespace trued::api {
namespace {

constexpr std::size_t kDetailBytesMax = 2'000;
constexpr std::size_t kPointerBytesMax = 1'000;

// A name says one thing, and with a status that a problem can have.
static_assert(std::ranges::all_of(kProblems, [](const ProblemType& type) {
  return type.status >= 400 && type.status <= 599 && !type.name.empty() && !type.title.empty() &&
         std::ranges::count(kProblems, type.name, &ProblemType::name) == 1;
}));

// At most `bytes_max` of it, ending between two characters.
std::string_view cut(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  std::size_t end = bytes_max;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  TRUED_ASSERT(end <= bytes_max);
  return text.substr(0, end);
}

void write_retired(json::Writer& writer, const Tombstone& tombstone) {
  writer.key("operation").begin_object();
  writer.member("id", std::string_view(to_string(tombstone.id)));
  writer.member("status", to_string(status_of(tombstone.state)));
  writer.member("state", to_string(tombstone.state));
  writer.member("settled_at", std::string_view(format_rfc3339(tombstone.settled_at)));
  writer.member("retired_at", std::string_view(format_rfc3339(tombstone.retired_at)));
  writer.end_object();
}

void write_errors(json::Writer& writer, const std::vector<ProblemPart>& errors) {
  constexpr std::size_t kErrorsMax = 100;
  if (errors.empty()) return;
  writer.key("errors").begin_array();
  for (std::size_t i = 0; i < std::min(errors.size(), kErrorsMax); ++i) {
    const ProblemPart& each = errors.at(i);
    writer.begin_object();
    if (!each.operation.empty()) writer.member("operation", std::string_view(each.operation));
    writer.member("pointer", cut(each.pointer, kPointerBytesMax));
    writer.member("detail", cut(each.detail, kDetailBytesMax)).end_object();
  }
  writer.end_array();
}

std::int64_t whole_seconds(Duration span) {
  return std::max<std::int64_t>(std::chrono::ceil<std::chrono::seconds>(span).count(), 1);
}

}  // namespace

const ProblemType& problem_type(std::string_view name) {
  const auto* const found =
      std::ranges::find_if(kProblems, [&](const ProblemType& type) { return type.name == name; });
  TRUED_ASSERT(found != kProblems.end());
  return *found;
}

void write_problem(const Problem& problem, std::string_view instance, std::string& out) {
  const ProblemType& type = problem_type(problem.name);
  json::Writer writer(out);
  writer.begin_object();
  writer.member("type", std::string_view("urn:trued:problem:" + std::string(type.name)));
  writer.member("title", type.title);
  writer.member("status", type.status);
  writer.member("detail", cut(problem.detail, kDetailBytesMax));
  if (!instance.empty()) writer.member("instance", instance);
  // Half a pointer would point at something else.
  if (!problem.pointer.empty() && problem.pointer.size() <= kPointerBytesMax) {
    writer.member("pointer", std::string_view(problem.pointer));
  }
  if (!problem.differing.empty()) {
    writer.key("differing").begin_array();
    for (const std::string& pointer : problem.differing) writer.string(pointer);
    writer.end_array();
  }
  write_errors(writer, problem.errors);
  if (!problem.expected.empty()) writer.member("expected", std::string_view(problem.expected));
  if (!problem.seen.empty()) writer.member("seen", std::string_view(problem.seen));
  if (!problem.receipt.empty()) writer.key("receipt").raw(problem.receipt);
  if (problem.retired) write_retired(writer, *problem.retired);
  if (problem.retry_after) writer.member("retry_after", whole_seconds(*problem.retry_after));
  writer.end_object();
}

io::HttpResponse respond(const Problem& problem, std::string_view instance) {
  const ProblemType& type = problem_type(problem.name);
  io::HttpResponse response;
  response.status = type.status;
  response.headers.push_back({"Content-Type", "application/problem+json"});
  if (type.status == 401) response.headers.push_back({"WWW-Authenticate", "Bearer"});
  if (type.status == 415) response.headers.push_back({"Accept-Encoding", "identity"});
  if (problem.retry_after) {
    response.headers.push_back(
        {"Retry-After", std::to_string(whole_seconds(*problem.retry_after))});
  }
  write_problem(problem, instance, response.body);
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
    case ProblemCode::below_floor:
      out.name = "durability-below-floor";
      break;
    case ProblemCode::not_found:
      out.name = "no-such-operation";
      break;
    case ProblemCode::refused:
      out.name = problem_type(problem.name).name;
      break;
  }
  TRUED_ASSERT(problem_type(out.name).name != "internal");
  return out;
}

std::string pointer_to(std::string_view name) {
  std::string pointer = "/";
  for (const char c : name) {
    if (c == '~') {
      pointer += "~0";
    } else if (c == '/') {
      pointer += "~1";
    } else {
      pointer += c;
    }
  }
  return pointer;
}

}  // namespace trued::api
