// spec.h: what a target is to be, before it is opened. Plain values, from a file, the command line
// or the library.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/time.h"
#include "core/policy.h"

namespace trued {

/// What consumers read: checked as a second level.
struct ServingSpec {
  std::string url;  ///< "https://docs.example.com/${artifact.path}"
  std::vector<std::pair<std::string, std::string>> headers;
};

/// A database whose effects are statements in one transaction with a marker row of ours.
struct PostgresSpec {
  std::string url;       ///< "postgresql://user@host/db?sslmode=verify-full"; may hold a password
  std::string password;  ///< beside the URL, so that nothing in it has to be escaped
  std::string marker_table = "trued_marker";  ///< or "schema.table"; spelled as it is, unquoted
  std::uint32_t pool_max = 8;                 ///< connections at a time
  Duration statement_timeout{30'000};         ///< of one statement; never past the call's own end
};

struct HttpHeader {
  std::string name;
  std::string value;
  bool secret = false;  ///< never shown
};

/// Which redirections are followed: none; those of GET and HEAD; besides, 307 and 308 of effects
/// within one origin.
enum class HttpRedirects : std::uint8_t { none, reads, effects };

/// Kind "http": where calls go, and within which bounds.
struct HttpSpec {
  std::string base_url;  ///< "https://api.example.com/v1": no call leads elsewhere
  std::vector<HttpHeader> headers;
  /// The other side executes one Idempotency-Key once.
  bool deduplicates = false;
  Duration remembers{};  ///< deduplicates: for so long; 0 for no known end
  /// Private, unique local, shared and loopback addresses may be connected to.
  bool allow_private = false;
  std::vector<std::string> allowed_networks;  ///< "10.1.0.0/16": may be connected to
  HttpRedirects redirects = HttpRedirects::none;
  std::string proxy;     ///< "http://[user:password@]host:port"; empty for none
  std::string no_proxy;  ///< hosts, separated by commas, that are reached without it
  std::string ca_file;   ///< PEM; trusted instead of the system's
  Duration connect_timeout{5'000};
  Duration send_timeout{10'000};
  Duration first_byte_timeout{30'000};
  Duration total_timeout{30'000};
  std::uint64_t response_bytes_max = std::uint64_t{16} << 20U;
  /// Every effect on a connection of its own. Nothing: unless the other side deduplicates.
  std::optional<bool> fresh_connections;
};

struct ExecVariable {
  std::string name;
  std::string value;
  bool secret = false;  ///< never shown
};

/// What exit codes mean, where it is not what they mean by themselves: 0 acknowledged, 75
/// retryable, every other unknown.
struct ExitCodes {
  std::vector<int> acknowledged;
  std::vector<int> rejected;  ///< for good
  std::vector<int> retryable;
  std::vector<int> unknown;
};

/// Kind "exec": commands on this machine.
struct ExecSpec {
  /// What may be run, spelled as calls spell it; "*" for anything. Definitions can be applied over
  /// the API, this cannot.
  std::vector<std::string> commands;
  std::vector<std::string> path;          ///< where commands without a '/' are looked for
  std::string directory = "/";            ///< in which they run
  std::vector<ExecVariable> environment;  ///< all that they are given besides what a call gives
  std::string umask;                      ///< octal, "027"; empty for ours
  /// A command executes one TRUED_IDENTITY once.
  bool deduplicates = false;
  Duration remembers{};      ///< deduplicates: for so long; 0 for no known end
  Duration timeout{30'000};  ///< of one command; never past the call's own end
  Duration grace{2'000};     ///< between asking it to end (TERM) and ending it (KILL)
  std::uint64_t output_bytes_max = std::uint64_t{1} << 20U;
  ExitCodes exit;
};

/// Kind "worker": programs that ask for work carry the effects out.
struct WorkerSpec {
  /// A worker that is not heard of for so long has lost its attempt.
  Duration lease{30'000};
  /// The workers execute one identity once, however often they are handed it.
  bool deduplicates = false;
};

/// What is wrong with one setting of a specification.
struct SpecFault {
  std::string setting;  ///< "base_url", "headers.Accept"
  std::string detail;
};

struct TargetSpec {
  std::string name;
  std::string kind;      ///< "file", "git", "memory", "http", "postgres", "exec" or "worker"
  std::string location;  ///< directory, or repository path or URL; without any secret
  std::string branch;    ///< git: empty for the one that the repository's HEAD names
  std::string author_name = "Trued";
  std::string author_email = "trued@localhost";
  std::string bearer_token;
  std::string username;
  std::string password;
  std::optional<ServingSpec> serving;
  HttpSpec http;
  PostgresSpec postgres;
  ExecSpec exec;
  WorkerSpec worker;
  Policy policy;
};

/// The bounds that suit a kind: how long its store settles, how long a serving level may lag.
[[nodiscard]] Policy default_policy(const std::string& kind);

/// What a policy promises must fit together: attempts and reads end before the memory of the key
/// does. Empty when it does, else the sum that does not fit. `serving`: whether a second level is
/// read; its bounds are in every policy, also where nothing reads it.
[[nodiscard]] std::string check_retention(const Policy& policy, bool serving = true);

}  // namespace trued
