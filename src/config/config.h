// config.h: trued.toml, checked as a whole.
//
// Every problem of a file is reported in one go, each with its place, what was expected, and what
// an unknown name resembles. Secrets come from the environment (${env:NAME}) or a file
// (${file:PATH}), never from the text itself.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/result.h"
#include "base/time.h"
#include "config/care.h"
#include "config/rights.h"
#include "define/check.h"
#include "define/definition.h"
#include "target/spec.h"

namespace trued::config {

struct TokenSpec {
  std::string name;
  Digest sha256;  ///< of the token
  Rights rights = {};
};

/// A server that follows the one of the ledger, for reads that may be older.
struct LedgerReplica {
  std::string name;
  std::string url;
  std::string password;  ///< that of the ledger where none is given
};

/// A ledger on a PostgreSQL server, which several nodes share; one acts at a time.
struct SharedLedger {
  std::string url;       ///< postgresql://…
  std::string password;  ///< beside the URL, so that nothing in it has to be escaped
  std::string schema = "trued";
  Duration lease{10'000};  ///< how long a node that falls silent keeps the others waiting
  std::vector<LedgerReplica> replicas = {};
  Duration replica_wait{250};  ///< for a replica to come as far as a session has
};

/// What this server is called among those that share its ledger, and where they reach it.
struct NodeSpec {
  std::string name;       ///< empty: host name and port
  std::string advertise;  ///< "http://host:port"; empty: where it listens
};

struct Config {
  std::string address = "127.0.0.1";
  std::uint16_t port = 7'117;
  std::string ledger;  ///< path of the SQLite file; empty: in the state directory
  std::optional<SharedLedger> shared_ledger;  ///< instead of a file
  NodeSpec node;
  /// "none", "fsync", "standby" or "quorum": what a commit must survive for writes to be taken.
  std::string minimum_durability = "none";
  std::string state_dir;  ///< empty: by XDG
  std::vector<TargetSpec> targets;
  Cares cares;                     ///< of the targets of the file
  define::Definitions operations;  ///< sound in themselves; see Rules::operations
  std::vector<TokenSpec> tokens;
  std::vector<std::string> allowed_hosts;
  std::vector<std::string> allowed_origins;
  std::size_t body_bytes_max = std::size_t{16} << 20;
  std::size_t open_max = 100'000;
  unsigned runner_threads = 8;
  Duration drain_grace{10'000};
  bool allow_exec = false;  ///< targets of kind "exec" may run commands on this machine
};

/// One thing wrong with a file.
struct Fault {
  std::string file;
  std::uint32_t line = 0;  ///< 0: the file as a whole
  std::uint32_t column = 0;
  std::string message;
};
/// "trued.toml:4:7: unknown key 'repositry'; did you mean 'repository'?"
[[nodiscard]] std::string to_string(const Fault& fault);

/// Where something stands in a file; from 1.
struct Place {
  std::uint32_t line = 0;
  std::uint32_t column = 0;
};

/// Rules of parts that this folder does not know, lent by whoever puts the program together.
struct Rules {
  /// What is wrong with a serving level, headers included; empty when nothing is.
  std::function<std::string(const ServingSpec&)> serving = {};
  /// What is wrong with a target of kind "http"; empty when nothing is.
  std::function<std::vector<SpecFault>(const HttpSpec&)> http = {};
  /// The same of kind "postgres".
  std::function<std::vector<SpecFault>(const PostgresSpec&)> postgres = {};
  /// The same of kind "exec".
  std::function<std::vector<SpecFault>(const ExecSpec&)> exec = {};
  bool allow_exec = false;  ///< of the command line; the file may say so as well
  /// What is wrong with each operation in its surroundings (define::check_definition), by name:
  /// asked once everything else is sound, because it needs the targets.
  std::function<std::map<std::string, define::Faults>(const Config&)> operations = {};
  std::string state_dir_option = {};   ///< of the command line: before the file's
  std::string state_dir_default = {};  ///< if neither says
};

/// The configuration, or every fault (then nothing else).
struct Loaded {
  Config config;
  std::vector<Fault> faults;
  /// Where each target stands, for faults that are found when it is opened; `message` is empty.
  std::map<std::string, Fault> places;
  std::string file;  ///< for messages
  /// Where the parts of each operation stand, by name and JSON pointer.
  std::map<std::string, std::map<std::string, Place>> operation_places = {};

  /// What is wrong with an operation, with its place in the file: for faults that are found later.
  [[nodiscard]] Fault fault_of(const std::string& operation, const define::Fault& fault) const;
};

/// "operation.charge.retry.cap", for the pointer "/retry/cap".
[[nodiscard]] std::string operation_path(const std::string& operation, const std::string& pointer);
[[nodiscard]] Loaded load(const std::string& path, const Rules& rules);
/// The same from text; `path` is for messages.
[[nodiscard]] Loaded parse(const std::string& text, const std::string& path, const Rules& rules);

/// "HOST:PORT" (IPv6 in brackets). `invalid_argument` says what of it is malformed.
struct Endpoint {
  std::string address;
  std::uint16_t port = 0;
};
[[nodiscard]] Result<Endpoint> parse_endpoint(const std::string& text);
/// True for addresses only this machine can reach.
[[nodiscard]] bool is_loopback(const std::string& address);

/// "sqlite:PATH" or a plain path; nothing for another scheme.
[[nodiscard]] std::optional<std::string> ledger_path(const std::string& text);

/// True for what names a ledger on a server.
[[nodiscard]] bool is_shared_ledger(const std::string& text);

/// What `ledger = …` or `--ledger …` names: a file, or a server.
struct LedgerChoice {
  std::string path;  ///< of a file; empty: in the state directory
  std::optional<SharedLedger> shared;
};
/// `invalid_argument`: something else, or a password where others see it; repeats none.
[[nodiscard]] Result<LedgerChoice> parse_ledger(const std::string& text);

/// The known name closest to `name`, if it is close enough to be meant.
[[nodiscard]] std::optional<std::string> resembles(const std::string& name,
                                                   const std::vector<std::string>& known);

}  // namespace trued::config
