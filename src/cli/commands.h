// commands.h: what each command is told, and its entry. One file each in commands/.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/output.h"

namespace trued::cli {

struct ServeOptions {
  std::string config;
  std::string listen;
  std::string ledger;
  std::vector<std::string> targets;
  bool allow_exec = false;
};
int serve(const Common& common, const ServeOptions& options);

struct NodesOptions {
  bool history = false;  ///< who acted when, and which part of the log is whose
  std::string cursor;
  std::uint32_t limit = 100;
};
/// Who serves the ledger.
int nodes(const Common& common, const NodesOptions& options);

struct CheckOptions {
  std::string file;
  bool connect = false;
  bool allow_exec = false;
};
int check(const Common& common, const CheckOptions& options);

struct ApplyOptions {
  std::string file;
  bool prune = false;
  bool dry_run = false;
  bool yes = false;
};
/// Makes the operations of a file current on a running server; shows the difference first.
int apply(const Common& common, const ApplyOptions& options);

struct DefinitionsOptions {
  std::string name;  ///< empty: what is current; else every version of that one
};
int definitions(const Common& common, const DefinitionsOptions& options);

struct SubmitOptions {
  std::string type;
  std::string input = "{}";  ///< JSON, "@FILE", or "-" for standard input
  std::string key, scope, priority, not_before, deadline, actor;
  std::string wait = "10s";
};
int submit(const Common& common, const SubmitOptions& options);

struct WorkOptions {
  std::string target;
  std::vector<std::string> types;
  std::string name;             ///< empty: this host and process
  std::string timeout = "15m";  ///< of one command
  bool once = false;
  std::vector<std::string> command;
  std::string misplaced;
};
/// Carries out what is leased to it by a command, as long as it is not stopped.
int work(const Common& common, const WorkOptions& options);

struct TargetInstallOptions {
  std::string name;
  std::string config;
  bool dry_run = false;
};
/// Makes the marker table of a PostgreSQL target, or says what is missing.
int target_install(const Common& common, const TargetInstallOptions& options);

struct WriteOptions {
  std::string target;
  std::vector<std::string> files;  ///< PATH=FILE; FILE "-" is standard input
  std::vector<std::string> texts;  ///< PATH=TEXT
  std::vector<std::string> removed;
  std::string directory;  ///< every file below it
  std::string key, message, base, scope;
  bool key_given = false;  ///< an empty key that was given is not a missing one
  bool no_verify = false;
  std::string wait = "10s";
};
int write(const Common& common, const WriteOptions& options);

/// How new what is looked at has to be (docs/consistency.md).
struct LevelOptions {
  std::string consistency, session;
};

struct ListOptions {
  std::string type, status, state, scope, key, target, since, until, cursor;
  std::uint32_t limit = 50;
  LevelOptions level = {};
};
int op_list(const Common& common, const ListOptions& options);

struct OpOptions {
  std::string id;
  std::string verdict, who, why;
  std::string wait;
  LevelOptions level = {};
};
int op_show(const Common& common, const OpOptions& options);
int op_events(const Common& common, const OpOptions& options);
/// `action` is "resolve", "retry", "cancel" or "compensate".
int op_act(const Common& common, const OpOptions& options, const std::string& action);

struct DeadLetterOptions {
  std::vector<std::string> ids;  ///< redrive: these, instead of a filter
  std::string type, target, scope, cause, older_than, cursor;
  std::optional<std::uint32_t> limit;
  bool poison = false;  ///< list: only these; redrive: these too
  // redrive
  bool all = false;  ///< without any filter
  bool may_repeat = false;
  bool dry_run = false;
  std::uint32_t rate = 0;
  std::string who, why;
};
int dead_letters_list(const Common& common, const DeadLetterOptions& options);
int dead_letters_redrive(const Common& common, const DeadLetterOptions& options);

struct WorklistOptions {
  std::string type, target, scope, owner, cursor;
  bool overdue = false;
  std::uint32_t limit = 50;
};
int worklist(const Common& common, const WorklistOptions& options);

struct LedgerFileOptions {
  std::string ledger;
  std::string destination;
  std::string schema;  ///< of a ledger on a server
};
int audit(const Common& common, const LedgerFileOptions& options);
int backup(const Common& common, const LedgerFileOptions& options);

struct LedgerCopyOptions {
  std::string from, to;
  std::string schema;       ///< of the one on a server; of the destination, if both are
  std::string from_schema;  ///< of the source then
};
/// Moves a ledger between a file and a server, or between servers.
int ledger_copy(const Common& common, const LedgerCopyOptions& options);

struct ExecOptions {
  std::string key;
  std::string verify;
  std::optional<std::string> timeout;
  std::string lock_timeout = "10s";
  std::optional<std::uint32_t> attempts;
  std::string ledger;
  bool show = false;
  bool retry = false;
  std::string verdict;  ///< of --resolve
  std::string who, why;
  std::vector<std::string> misplaced;  ///< words before "--"
  std::vector<std::string> command;
};
/// Runs the command, or looks at what its key stands for, or decides about it.
int exec(const Common& common, const ExecOptions& options);

struct LabCommandOptions {
  std::uint64_t seed = 1;
  std::uint32_t writers = 8;
  std::uint32_t revisions = 4;
  std::string input;
  bool honest = false;
};
int lab(const Common& common, const LabCommandOptions& options);

/// Where a state directory is: the option, else XDG_STATE_HOME/trued, else ~/.local/state/trued.
/// Nothing is created.
[[nodiscard]] Result<std::string> state_place(const Common& common);
/// The same, created with mode 0700.
[[nodiscard]] Result<std::string> state_directory(const Common& common);
/// The ledger's file: the option, else "ledger.db" in the state directory, which is created.
[[nodiscard]] Result<std::string> ledger_file(const Common& common, const std::string& option);
/// The same for commands that only read: nothing is created.
[[nodiscard]] Result<std::string> existing_ledger(const Common& common, const std::string& option);

/// An error about a file says which; SQLite's own words do not.
[[nodiscard]] Error naming(Error error, const std::string& path);
template <class T>
[[nodiscard]] Result<T> naming(Result<T> result, const std::string& path) {
  if (result.has_value()) return result;
  return naming(result.error(), path);
}

}  // namespace trued::cli
