// problems.h: every problem the API answers with, in one list (RFC 9457).
//
// docs/problems.md has a section for each; a test holds the two together. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "core/identity.h"
#include "engine/submission.h"
#include "io/http_types.h"

namespace trued::api {

struct ProblemType {
  std::string_view name;  ///< "urn:trued:problem:" + name is its type
  int status = 500;
  std::string_view title;
};

inline constexpr std::array kProblems{
    ProblemType{"malformed", 400, "The request cannot be read"},
    ProblemType{"idempotency-key-required", 400, "The request names no key"},
    ProblemType{"session-token-required", 400, "The request names no session"},
    ProblemType{"unauthorized", 401, "A bearer token is required"},
    ProblemType{"origin-not-allowed", 403, "Requests from that origin are refused"},
    ProblemType{"out-of-scope", 403, "The token is not for that"},
    ProblemType{"no-such-operation", 404, "There is no such operation"},
    ProblemType{"no-such-target", 404, "There is no such target"},
    ProblemType{"no-such-type", 404, "There is no such type of operation"},
    ProblemType{"no-such-resource", 404, "There is nothing at this path"},
    ProblemType{"method-not-allowed", 405, "The resource does not do that"},
    ProblemType{"idempotency-conflict", 409, "The key was used for something else"},
    ProblemType{"late-duplicate", 409, "The key was used and is past its retention"},
    ProblemType{"definitions-changed", 409, "The definitions have changed meanwhile"},
    ProblemType{"not-cancelable", 409, "The operation can no longer be withdrawn"},
    ProblemType{"not-compensable", 409, "The operation cannot be undone"},
    ProblemType{"not-resolvable", 409, "The operation does not wait for a person"},
    ProblemType{"not-retryable", 409, "The operation cannot be tried again"},
    ProblemType{"lease-lost", 409, "The attempt is not the worker's any more"},
    ProblemType{"session-of-another-ledger", 409, "The session is of another ledger"},
    ProblemType{"stale-state", 412, "What the operation was based on has changed"},
    ProblemType{"too-large", 413, "The request is too large"},
    ProblemType{"target-too-long", 414, "The request target is too long"},
    ProblemType{"unsupported-media-type", 415, "The body is of the wrong type"},
    ProblemType{"host-not-allowed", 421, "The request is for another host"},
    ProblemType{"definition-invalid", 422, "A definition is not sound"},
    ProblemType{"input-invalid", 422, "The input does not fit the type"},
    ProblemType{"too-many-wrong-tokens", 429, "Too many wrong tokens"},
    ProblemType{"overloaded", 429, "The server has too much to do"},
    ProblemType{"header-too-large", 431, "The request header is too large"},
    ProblemType{"internal", 500, "Something went wrong here"},
    ProblemType{"draining", 503, "The server is stopping"},
    ProblemType{"ledger-unavailable", 503, "The ledger cannot be written or read"},
    ProblemType{"no-acting-node", 503, "No node acts on the ledger now"},
    ProblemType{"not-acting", 503, "This node does not act"},
    ProblemType{"durability-below-floor", 503, "The ledger keeps less than it must"},
    ProblemType{"outcome-unknown", 503, "It is not known whether the request was accepted"},
    ProblemType{"session-ahead", 503, "The ledger has not come so far"},
};

/// One of several things that are wrong.
struct ProblemPart {
  std::string operation = {};  ///< whose definition it is in; may be empty
  std::string pointer = {};    ///< RFC 6901
  std::string detail = {};
};

/// A problem on its way out.
struct Problem {
  std::string_view name = "internal";       ///< one of kProblems
  std::string detail = {};                  ///< what is wrong and what to do
  std::string pointer = {};                 ///< RFC 6901, into the body; may be empty
  std::vector<std::string> differing = {};  ///< idempotency-conflict: pointers of what differs
  std::string expected = {};                ///< stale-state, definitions-changed; may be empty
  std::string seen = {};                    ///< what there is instead; may be empty
  std::vector<ProblemPart> errors = {};   ///< everything that is wrong, where it is several things
  std::string receipt = {};               ///< JSON; empty where there is none
  std::optional<Tombstone> retired = {};  ///< late-duplicate: what the key was used for
  std::optional<Duration> retry_after = {};  ///< written in whole seconds, rounded up
};

/// Asserts that it is in the list.
[[nodiscard]] const ProblemType& problem_type(std::string_view name);

/// Appends the problem's JSON object. `instance` is the path of the request; may be empty. Texts
/// that quote more of the request than a person reads are cut.
void write_problem(const Problem& problem, std::string_view instance, std::string& out);
[[nodiscard]] io::HttpResponse respond(const Problem& problem, std::string_view instance = {});

/// What the engine refused, as a problem.
[[nodiscard]] Problem problem_of(const EngineProblem& problem);

/// "/" + `name`, escaped as a token of a JSON pointer.
[[nodiscard]] std::string pointer_to(std::string_view name);

}  // namespace trued::api
