// consistency.h: how new a read has to be, what a session has seen, and what was served. Pure.
//
//   Trued-Consistency: session                      strong | session | monotonic | eventual
//   Trued-Session: s1-…                             what the caller has seen so far
//   ──►
//   Trued-Consistency-Served: session;source="r1";batch=123;behind=4;staleness-ms=900
//   Trued-Session: s1-…                             the same, and what he sees now
//
// All but the tokens, which are opaque, are Items of RFC 9651 with parameters. A session token
// names a ledger and a batch, so it means the same at every node and replica, after a failover, and
// in a copy that was put back.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "api/problems.h"
#include "io/http_types.h"
#include "ledger/ledger.h"
#include "ledger/replicas.h"

namespace trued::api {

enum class Level : std::uint8_t {
  strong,     ///< all that was acknowledged before the read; of the primary
  session,    ///< at least what the token saw; the token is asked for
  monotonic,  ///< never older than the token, if there is one
  eventual,   ///< whatever a replica has
};
[[nodiscard]] std::string_view to_string(Level level);

struct Consistency {
  Level level = Level::strong;
  std::optional<LedgerPosition> token = {};
  std::optional<Duration> stale_max = {};  ///< "max-staleness-ms"; not with strong
};

/// What the request's headers ask for. On failure `problem` says what is wrong with them.
[[nodiscard]] bool read_consistency(const io::HttpRequest& request, Consistency& out,
                                    Problem& problem);
/// Names the level on a route that has none to choose from; nothing if the request names none.
[[nodiscard]] std::optional<Problem> refuse_consistency(const io::HttpRequest& request);

[[nodiscard]] std::string session_token(const LedgerPosition& position);
/// Nothing if it is none of ours.
[[nodiscard]] std::optional<LedgerPosition> parse_session_token(std::string_view text);

/// Whether a token and what was read are of one ledger; what is wrong if they are not.
[[nodiscard]] std::optional<Problem> check_ledger(const LedgerPosition& token,
                                                  const LedgerPosition& seen);
/// The ledger itself ends before the token.
[[nodiscard]] Problem session_ahead(const LedgerPosition& token, const LedgerPosition& seen);

/// How new what a replica reads has to be. `patience`: for it to come so far.
[[nodiscard]] ReplicaWant want_of(const Consistency& asked, Duration patience);

/// Says in the answer what was served: `source` is the name of a replica, or what there is besides.
/// The token told is never older than the one that was sent.
void tell_served(const Consistency& asked, const std::string& source, const Freshness& how,
                 io::HttpResponse& response);

}  // namespace trued::api
