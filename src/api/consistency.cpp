#include "api/consistency.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "api/text.h"
#include "base/assert.h"
#include "base/encoding.h"

namespace trued::api {
namespace {

constexpr const char* kLevel = "Trued-Consistency";
constexpr const char* kSession = "Trued-Session";
constexpr const char* kServed = "Trued-Consistency-Served";
constexpr std::string_view kStaleMax = "max-staleness-ms";
constexpr std::string_view kLevels = "strong, session, monotonic or eventual";
constexpr std::array kWords{Level::strong, Level::session, Level::monotonic, Level::eventual};

Problem wrong(std::string detail) { return {.name = "malformed", .detail = std::move(detail)}; }

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

// The one header of that name; null if there is none.
bool only_one(const io::HttpRequest& request, const char* name, const std::string*& out,
              Problem& problem) {
  for (const io::Header& header : request.headers) {
    if (!std::ranges::equal(header.name, std::string_view(name),
                            [](char a, char b) { return lower(a) == lower(b); })) {
      continue;
    }
    if (out != nullptr) {
      problem = wrong("there are two " + std::string(name) + " headers; send one");
      return false;
    }
    out = &header.value;
  }
  return true;
}

std::optional<std::uint64_t> digits(std::string_view text) {
  constexpr std::size_t kDigitsMax = 15;  // of an Integer of RFC 9651
  std::uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, failure] = std::from_chars(text.data(), end, number);
  if (text.empty() || text.size() > kDigitsMax || stopped != end || failure != std::errc{}) {
    return std::nullopt;
  }
  return number;
}

bool read_level(std::string_view text, Consistency& out, Problem& problem) {
  std::size_t end = std::min(text.find(';'), text.size());
  const std::string_view word = trimmed(text.substr(0, end));
  const auto* const found = std::ranges::find(kWords, word, [](Level l) { return to_string(l); });
  if (found == kWords.end()) {
    problem =
        wrong(std::string(kLevel) + " is " + std::string(kLevels) + ", not '" + shown(word) + "'");
    return false;
  }
  out.level = *found;
  for (text.remove_prefix(end); !text.empty(); text.remove_prefix(end)) {
    text.remove_prefix(1);
    end = std::min(text.find(';'), text.size());
    const std::string_view parameter = trimmed(text.substr(0, end));
    const std::size_t equals = std::min(parameter.find('='), parameter.size());
    const auto number = digits(parameter.substr(std::min(equals + 1, parameter.size())));
    if (parameter.substr(0, equals) != kStaleMax || !number) {
      problem = wrong(std::string(kLevel) + " takes " + std::string(kStaleMax) +
                      "=MILLISECONDS and no other parameter; found '" + shown(parameter) + "'");
      return false;
    }
    out.stale_max = Duration(static_cast<std::int64_t>(*number));
  }
  if (out.level != Level::strong || !out.stale_max) return true;
  problem = wrong("a strong read is never stale: leave out " + std::string(kStaleMax) +
                  ", or choose another level");
  return false;
}

std::string named(const LedgerPosition& position) {
  if (position.ledger == Uuid{}) return "an empty ledger";
  std::string bytes(position.ledger.bytes.begin(), position.ledger.bytes.end());
  return "ledger " + hex_encode(bytes);
}

}  // namespace

std::string_view to_string(Level level) {
  switch (level) {
    case Level::strong:
      return "strong";
    case Level::session:
      return "session";
    case Level::monotonic:
      return "monotonic";
    case Level::eventual:
      return "eventual";
  }
  return "";
}

bool read_consistency(const io::HttpRequest& request, Consistency& out, Problem& problem) {
  const std::string* level = nullptr;
  const std::string* session = nullptr;
  if (!only_one(request, kLevel, level, problem) ||
      !only_one(request, kSession, session, problem) ||
      (level != nullptr && !read_level(*level, out, problem))) {
    return false;
  }
  if (session != nullptr) {
    out.token = parse_session_token(trimmed(*session));
    if (!out.token) {
      problem = wrong(std::string(kSession) + " is no token of this server: '" + shown(*session) +
                      "'. Send the " + kSession +
                      " header of an earlier answer as it came, or leave it out");
      return false;
    }
  }
  TRUED_ASSERT(out.level != Level::strong || !out.stale_max);
  if (out.level != Level::session || out.token) return true;
  problem = {.name = "session-token-required",
             .detail =
                 "the level session means: at least as new as what this session has seen. "
                 "Send the " +
                 std::string(kSession) +
                 " header of an earlier answer (every answer that shows or changes "
                 "operations has one), or read strong, or monotonic to begin a session"};
  return false;
}

std::optional<Problem> refuse_consistency(const io::HttpRequest& request) {
  if (request.find(kLevel) == nullptr) return std::nullopt;
  return wrong(std::string(kLevel) +
               " is for GET /v1/operations, /v1/operations/{id} and /v1/operations/{id}/events; "
               "everything else is of the ledger itself. Send the request without it");
}

// Opaque to callers; the version stands first.
std::string session_token(const LedgerPosition& position) {
  const std::string bytes(position.ledger.bytes.begin(), position.ledger.bytes.end());
  return "s1-" + hex_encode(bytes) + "-" + std::to_string(position.batch);
}

std::optional<LedgerPosition> parse_session_token(std::string_view text) {
  constexpr std::string_view kVersion = "s1-";
  LedgerPosition position;
  const std::size_t hex = 2 * position.ledger.bytes.size();
  if (!text.starts_with(kVersion) || text.size() < kVersion.size() + hex + 2) return std::nullopt;
  text.remove_prefix(kVersion.size());
  const auto bytes = hex_decode(text.substr(0, hex));
  const auto batch = digits(text.substr(hex + 1));
  if (!bytes || !batch || text.at(hex) != '-') return std::nullopt;
  std::ranges::copy(*bytes, position.ledger.bytes.begin());
  position.batch = *batch;
  return position;
}

std::optional<Problem> check_ledger(const LedgerPosition& token, const LedgerPosition& seen) {
  // Whoever has seen nothing may go on anywhere.
  if (token.batch == 0 || token.ledger == seen.ledger) return std::nullopt;
  return Problem{.name = "session-of-another-ledger",
                 .detail = "the session token is of " + named(token) + ", and this is " +
                           named(seen) +
                           ": what was seen there says nothing of what is here. Begin a new "
                           "session: send the request without " +
                           kSession};
}

Problem session_ahead(const LedgerPosition& token, const LedgerPosition& seen) {
  TRUED_ASSERT(token.batch > seen.batch);
  return {.name = "session-ahead",
          .detail = "the session has seen batch " + std::to_string(token.batch) +
                    ", and the ledger ends at batch " + std::to_string(seen.batch) +
                    ". A replica can show what the primary has not acknowledged yet: ask again in "
                    "a moment. If it stays so, the ledger was set back, or the token was made up; "
                    "then begin a new session, without " +
                    kSession,
          .retry_after = Duration{1'000}};
}

ReplicaWant want_of(const Consistency& asked, Duration patience) {
  ReplicaWant want{.stale_max = asked.stale_max, .patience = patience};
  const bool bound = asked.level == Level::session || asked.level == Level::monotonic;
  if (bound && asked.token) want.batch_min = asked.token->batch;
  return want;
}

void tell_served(const Consistency& asked, const std::string& source, const Freshness& how,
                 io::HttpResponse& response) {
  const auto number = [](const auto& value) { return std::to_string(value); };
  response.headers.push_back(
      {kServed, std::string(to_string(asked.level)) + ";source=\"" + source +
                    "\";batch=" + number(how.at.batch) +
                    ";behind=" + (how.behind ? number(*how.behind) : "unknown") +
                    ";staleness-ms=" + (how.stale ? number(how.stale->count()) : "unknown")});
  LedgerPosition told = how.at;
  if (asked.token && asked.token->ledger == told.ledger) {
    told.batch = std::max(told.batch, asked.token->batch);
  }
  TRUED_ASSERT(told.batch >= how.at.batch);  // a session never goes back
  response.headers.push_back({kSession, session_token(told)});
}

}  // namespace trued::api
