// The command line: one tree for parsing, help and completion.
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <limits>
#include <memory>

#include <CLI/CLI.hpp>

#include "cli/child.h"
#include "cli/commands.h"
#include "cli/completion.h"
#include "cli/exit_codes.h"
#include "cli/output.h"
#include "config/config.h"

namespace {

using namespace trued::cli;  // NOLINT: this file is nothing but their command line

/// Everything the parser fills in.
struct Options {
  Common common;
  ServeOptions serve;
  CheckOptions check;
  ApplyOptions apply;
  DefinitionsOptions definitions;
  SubmitOptions submit;
  WorkOptions work;
  TargetInstallOptions target_install;
  WriteOptions write;
  ListOptions list;
  OpOptions op;
  DeadLetterOptions letters;
  WorklistOptions worklist;
  NodesOptions nodes;
  LedgerFileOptions file;
  LedgerCopyOptions ledger_copy;
  ExecOptions exec;
  LabCommandOptions lab;
  std::string shell;
};

// Digits only: the parser by itself takes "-1" for the largest number there is, and "010" for
// eight.
CLI::Validator whole_number(std::uint64_t least, std::uint64_t most) {
  const std::string range = std::to_string(least) + " to " + std::to_string(most);
  return {[=](const std::string& text) {
            std::uint64_t number = 0;
            const char* const end = text.data() + text.size();
            const auto read = std::from_chars(text.data(), end, number);
            const bool whole = read.ec == std::errc{} && read.ptr == end;
            const bool zeros = text.size() > 1 && text.front() == '0';
            if (whole && !zeros && number >= least && number <= most) return std::string();
            return "'" + text + "' is not a whole number from " + range;
          },
          range};
}

void add_common(CLI::App& app, Common& common) {
  app.add_flag("--json", common.json, "Output for machines: one object, or one a line");
}

void add_server(CLI::App& app, Common& common) {
  add_common(app, common);
  // Not by envname(): that would fill in the one variable for every command that was not chosen.
  app.add_option("--server", common.server,
                 "Where the server is (or TRUED_SERVER; else http://127.0.0.1:7117)");
  app.add_option("--token-file", common.token_file,
                 "File with a bearer token (or TRUED_TOKEN in the environment)");
}

void add_state(CLI::App& app, Common& common) {
  add_common(app, common);
  app.add_option("--state-dir", common.state_dir, "Where state is kept");
}

void add_serve(CLI::App& root, Options& o, std::function<int()>& run) {
  CLI::App* app = root.add_subcommand("serve", "Run the server");
  add_state(*app, o.common);
  app->add_option("--config", o.serve.config, "Configuration file (trued.toml)");
  app->add_option("--listen", o.serve.listen, "ADDRESS:PORT, 127.0.0.1:7117 by default");
  app->add_option("--ledger", o.serve.ledger, "sqlite:PATH or postgresql://USER@HOST/DATABASE");
  app->add_option("--target", o.serve.targets,
                  "NAME=KIND:LOCATION[,branch=B][,serving=URL]; may be given again");
  app->add_flag("--allow-exec", o.serve.allow_exec,
                "Let targets of kind exec run commands on this machine");
  app->callback([&] { run = [&o] { return serve(o.common, o.serve); }; });

  CLI::App* check_app = root.add_subcommand("check", "Check a configuration as a whole");
  add_common(*check_app, o.common);
  check_app->add_option("file", o.check.file, "trued.toml")->required();
  check_app->add_flag("--connect", o.check.connect, "Open every target too");
  check_app->add_flag("--allow-exec", o.check.allow_exec,
                      "As the server with the same option, which may run commands");
  check_app->callback([&] { run = [&o] { return check(o.common, o.check); }; });
}

void add_definitions(CLI::App& root, Options& o, std::function<int()>& run) {
  CLI::App* app =
      root.add_subcommand("apply", "Make the operations of a file current on a running server");
  add_server(*app, o.common);
  app->add_option("file", o.apply.file, "trued.toml")->required();
  app->add_flag("--dry-run", o.apply.dry_run, "Only show the difference");
  app->add_flag("--prune", o.apply.prune, "Retire what is not in the file");
  app->add_flag("--yes", o.apply.yes, "Do not ask");
  app->callback([&] { run = [&o] { return apply(o.common, o.apply); }; });

  CLI::App* list = root.add_subcommand("definitions", "Which operations a server knows");
  add_server(*list, o.common);
  list->add_option("name", o.definitions.name, "Every version of that one");
  list->callback([&] { run = [&o] { return definitions(o.common, o.definitions); }; });

  CLI::App* one = root.add_subcommand("submit", "Have an operation of a defined type carried out");
  add_server(*one, o.common);
  one->add_option("type", o.submit.type, "Its type, as [operation.TYPE] declares it")->required();
  one->add_option("--input", o.submit.input, "JSON, @FILE, or - for standard input; {} by default");
  one->add_option("--key", o.submit.key, "Identity, unless the type derives it from the input");
  one->add_option("--scope", o.submit.scope, "Tenant");
  one->add_option("--priority", o.submit.priority, "critical, normal or low");
  one->add_option("--not-before", o.submit.not_before, "RFC 3339");
  one->add_option("--deadline", o.submit.deadline, "RFC 3339");
  one->add_option("--actor", o.submit.actor, "For whom; recorded");
  one->add_option("--wait", o.submit.wait, "How long to wait for the verdict (10s)");
  one->callback([&] { run = [&o] { return submit(o.common, o.submit); }; });
}

void add_work(CLI::App& root, Options& o, std::function<int()>& run) {
  CLI::App* app = root.add_subcommand("work", "Carry out what waits for a worker by a command");
  add_server(*app, o.common);
  app->add_option("target", o.work.target, "Target of kind worker")->required();
  app->add_option("--type", o.work.types, "Only operations of that type")->allow_extra_args(false);
  app->add_option("--name", o.work.name, "Who works; HOST.PID by default");
  app->add_option("--timeout", o.work.timeout, "How long one command may take (15m)");
  app->add_flag("--once", o.work.once, "End after one lease, with an exit code that tells of it");
  // What is misplaced is there to be refused in words.
  app->add_option("command", o.work.misplaced, "-- COMMAND ARGUMENTS…");
  app->callback([&] { run = [&o] { return work(o.common, o.work); }; });
}

void add_target(CLI::App& root, Options& o, std::function<int()>& run) {
  CLI::App* target = root.add_subcommand("target", "Prepare targets");
  target->require_subcommand(1);
  CLI::App* app = target->add_subcommand(
      "install", "Make the table in which a PostgreSQL target marks what has happened");
  add_common(*app, o.common);
  app->add_option("name", o.target_install.name, "Target")->required();
  app->add_option("--config", o.target_install.config, "Configuration file (trued.toml)")
      ->required();
  app->add_flag("--dry-run", o.target_install.dry_run, "Print the SQL, change nothing");
  app->callback([&] { run = [&o] { return target_install(o.common, o.target_install); }; });
}

void add_write(CLI::App& root, Options& o, std::function<int()>& run) {
  CLI::App* app = root.add_subcommand("write", "Write artifacts and have them read back");
  add_server(*app, o.common);
  app->add_option("target", o.write.target, "Target")->required();
  app->add_option("files", o.write.files, "PATH=FILE; FILE '-' is standard input");
  app->add_option("--text", o.write.texts, "PATH=TEXT");
  app->add_option("--remove", o.write.removed, "PATH that should not exist afterwards");
  app->add_option("--dir", o.write.directory, "Every file below a directory");
  const CLI::Option* key =
      app->add_option("--key", o.write.key, "Identity of the operation; a new one if not given");
  app->add_option("--message", o.write.message, "For people: a commit message");
  app->add_option("--base", o.write.base, "Version the change was based on");
  app->add_option("--scope", o.write.scope, "Tenant");
  app->add_flag("--no-verify", o.write.no_verify,
                "Do not read back: recorded, and never called confirmed");
  app->add_option("--wait", o.write.wait, "How long to wait for the verdict (10s)");
  app->callback([&, key] {
    o.write.key_given = key->count() > 0;
    run = [&o] { return write(o.common, o.write); };
  });
}

void add_level(CLI::App& app, LevelOptions& level) {
  app.add_option("--consistency", level.consistency,
                 "strong (the default), session, monotonic or eventual");
  app.add_option("--session", level.session, "What was seen so far: the session of an answer");
}

void add_op_list(CLI::App& op, Options& o, std::function<int()>& run) {
  CLI::App* list = op.add_subcommand("ls", "List operations, newest first");
  add_server(*list, o.common);
  list->add_option("--type", o.list.type);
  list->add_option("--status", o.list.status);
  list->add_option("--state", o.list.state);
  list->add_option("--scope", o.list.scope);
  list->add_option("--key", o.list.key);
  list->add_option("--target", o.list.target);
  list->add_option("--since", o.list.since, "RFC 3339");
  list->add_option("--until", o.list.until, "RFC 3339");
  list->add_option("--cursor", o.list.cursor);
  list->add_option("--limit", o.list.limit)->check(whole_number(1, 1'000));
  add_level(*list, o.list.level);
  list->callback([&] { run = [&o] { return op_list(o.common, o.list); }; });
}

void add_op(CLI::App& root, Options& o, std::function<int()>& run) {
  CLI::App* op = root.add_subcommand("op", "Look at operations and decide about them");
  op->require_subcommand(1);
  add_op_list(*op, o, run);
  const auto add = [&](const char* name, const char* help) {
    CLI::App* app = op->add_subcommand(name, help);
    add_server(*app, o.common);
    app->add_option("id", o.op.id, "op_…")->required();
    return app;
  };
  CLI::App* show = add("show", "The receipt of one operation");
  show->add_option("--wait", o.op.wait, "Wait for it to settle");
  add_level(*show, o.op.level);
  show->callback([&] { run = [&o] { return op_show(o.common, o.op); }; });
  CLI::App* events = add("events", "Everything recorded of one operation");
  add_level(*events, o.op.level);
  events->callback([&] { run = [&o] { return op_events(o.common, o.op); }; });
  for (const char* action : {"resolve", "retry", "cancel", "compensate"}) {
    CLI::App* app =
        add(action, action == std::string("resolve")      ? "Say what became of it"
                    : action == std::string("retry")      ? "Try it again"
                    : action == std::string("compensate") ? "Undo it, as its definition says"
                                                          : "Withdraw it unsent");
    if (action == std::string("resolve")) {
      app->add_option("verdict", o.op.verdict, "it_happened or it_did_not")
          ->required()
          ->check(CLI::IsMember({"it_happened", "it_did_not"}));
    }
    app->add_option("--who", o.op.who, "Who decides; recorded");
    app->add_option("--why", o.op.why, "Why; recorded");
    app->callback(
        [&o, &run, action] { run = [&o, action] { return op_act(o.common, o.op, action); }; });
  }
}

void add_letter_filter(CLI::App& app, DeadLetterOptions& letters) {
  app.add_option("--type", letters.type);
  app.add_option("--target", letters.target);
  app.add_option("--scope", letters.scope);
  app.add_option("--cause", letters.cause)
      ->check(CLI::IsMember(
          {"attempts_exhausted", "deadline", "mismatch", "unreadable", "unknown_outcome"}));
  app.add_option("--older-than", letters.older_than, "Ended at least so long ago: 90s, 24h");
  app.add_option("--cursor", letters.cursor);
}

void add_letter_list(CLI::App& app, Options& o) {
  add_server(app, o.common);
  add_letter_filter(app, o.letters);
  app.add_flag("--poison", o.letters.poison, "Only what ends the same every time");
  app.add_option("--limit", o.letters.limit)->check(whole_number(1, 1'000));
}

void add_dead_letters(CLI::App& root, Options& o, std::function<int()>& run) {
  CLI::App* letters =
      root.add_subcommand("dead-letters", "What ended because a bound was reached, oldest first");
  add_letter_list(*letters, o);
  letters->callback([&o, &run, letters] {
    if (letters->get_subcommands().empty()) {
      run = [&o] { return dead_letters_list(o.common, o.letters); };
    }
  });
  CLI::App* list = letters->add_subcommand("list", "The same");
  add_letter_list(*list, o);
  list->callback([&] { run = [&o] { return dead_letters_list(o.common, o.letters); }; });
  CLI::App* redrive = letters->add_subcommand("redrive", "Have them tried again, in order");
  add_server(*redrive, o.common);
  redrive->add_option("ids", o.letters.ids, "op_…; or say which by options");
  add_letter_filter(*redrive, o.letters);
  redrive->add_flag("--all", o.letters.all, "Every dead letter there is");
  redrive->add_flag("--dry-run", o.letters.dry_run, "Say what would be done, change nothing");
  redrive->add_option("--limit", o.letters.limit, "Look at so many at most; at all of them without")
      ->check(whole_number(1, 1'000'000));
  redrive->add_option("--rate", o.letters.rate, "Operations a second")
      ->check(whole_number(1, 1'000));
  redrive->add_flag("--poison", o.letters.poison, "Also what ends the same every time");
  redrive->add_flag("--may-repeat", o.letters.may_repeat,
                    "Also what may have happened, or would write over somebody else's content");
  redrive->add_option("--who", o.letters.who, "Who decides; recorded");
  redrive->add_option("--why", o.letters.why, "Why; recorded");
  redrive->callback([&] { run = [&o] { return dead_letters_redrive(o.common, o.letters); }; });
}

void add_worklist(CLI::App& root, Options& o, std::function<int()>& run) {
  CLI::App* app =
      root.add_subcommand("worklist", "What waits for a person, with evidence and choices");
  add_server(*app, o.common);
  app->add_option("--type", o.worklist.type);
  app->add_option("--target", o.worklist.target);
  app->add_option("--scope", o.worklist.scope);
  app->add_option("--owner", o.worklist.owner, "Only what that owner decides");
  app->add_flag("--overdue", o.worklist.overdue, "Only what should have been decided by now");
  app->add_option("--cursor", o.worklist.cursor);
  app->add_option("--limit", o.worklist.limit)->check(whole_number(1, 1'000));
  app->callback([&] { run = [&o] { return worklist(o.common, o.worklist); }; });
}

void add_nodes(CLI::App& root, Options& o, std::function<int()>& run) {
  CLI::App* app =
      root.add_subcommand("nodes", "The servers of one ledger: who acts, who stands by");
  add_server(*app, o.common);
  CLI::Option* history = app->add_flag("--history", o.nodes.history,
                                       "Who acted when, and which batches of the log each wrote");
  app->add_option("--cursor", o.nodes.cursor)->needs(history);
  app->add_option("--limit", o.nodes.limit)->needs(history)->check(whole_number(1, 1'000));
  app->callback([&] { run = [&o] { return nodes(o.common, o.nodes); }; });
}

void add_files(CLI::App& root, Options& o, std::function<int()>& run) {
  CLI::App* app = root.add_subcommand("audit", "Recompute every row and the hash chain");
  add_state(*app, o.common);
  app->add_option("--ledger", o.file.ledger, "sqlite:PATH or postgresql://USER@HOST/DATABASE");
  app->add_option("--schema", o.file.schema, "Of a ledger on a server (trued)");
  app->callback([&] { run = [&o] { return audit(o.common, o.file); }; });
  CLI::App* copy = root.add_subcommand("backup", "Copy the ledger while it is in use");
  add_state(*copy, o.common);
  copy->add_option("--ledger", o.file.ledger, "sqlite:PATH");
  copy->add_option("destination", o.file.destination, "A file that does not exist")->required();
  copy->callback([&] { run = [&o] { return backup(o.common, o.file); }; });
}

void add_ledger(CLI::App& root, Options& o, std::function<int()>& run) {
  CLI::App* ledger = root.add_subcommand("ledger", "Move a ledger");
  ledger->require_subcommand(1);
  CLI::App* app = ledger->add_subcommand(
      "copy", "Copy a ledger that nothing acts on to a server or from one, every row compared");
  add_common(*app, o.common);
  app->add_option("--from", o.ledger_copy.from, "sqlite:PATH or postgresql://USER@HOST/DATABASE")
      ->required();
  app->add_option("--to", o.ledger_copy.to, "The same; empty, or this copy, unfinished")
      ->required();
  app->add_option("--schema", o.ledger_copy.schema, "Of the ledger on a server (trued)");
  app->add_option("--from-schema", o.ledger_copy.from_schema,
                  "Of the source (trued), where both are on servers");
  app->callback([&] { run = [&o] { return ledger_copy(o.common, o.ledger_copy); }; });
}

void add_exec(CLI::App& root, Options& o, std::function<int()>& run) {
  CLI::App* app = root.add_subcommand(
      "exec", "Run a command once under a key, and check that it did what it should");
  add_state(*app, o.common);
  app->add_option("--key", o.exec.key, "Identity of the run")->required();
  app->add_option("--verify", o.exec.verify, "Shell command: exit 0 if it holds, 1 if not");
  app->add_option("--timeout", o.exec.timeout,
                  "For one run of the command (10m); recorded with it");
  app->add_option("--lock-timeout", o.exec.lock_timeout,
                  "How long to wait for another run that holds the ledger (10s)");
  app->add_option("--attempts", o.exec.attempts,
                  "Runs allowed in all (1); more says that running again is harmless; recorded")
      ->check(whole_number(1, 100));
  app->add_option("--ledger", o.exec.ledger, "sqlite:PATH; else exec.db in the state directory");
  app->add_flag("--show", o.exec.show, "Only show what is recorded under the key");
  app->add_flag("--retry", o.exec.retry, "Run it again after it failed or was not known");
  app->add_option("--resolve", o.exec.verdict, "Say what became of it: it_happened, it_did_not")
      ->check(CLI::IsMember({"it_happened", "it_did_not"}));
  app->add_option("--who", o.exec.who, "Who decides; recorded");
  app->add_option("--why", o.exec.why, "Why; recorded");
  // For the help; what stands after "--" never comes here (own_words).
  app->add_option("command", o.exec.misplaced, "-- COMMAND ARGUMENTS…");
  app->callback([&] { run = [&o] { return exec(o.common, o.exec); }; });
}

void add_lab(CLI::App& root, Options& o, std::function<int()>& run) {
  CLI::App* lab_app =
      root.add_subcommand("lab", "See the lies being told, believed, caught and repaired");
  add_common(*lab_app, o.common);
  lab_app->add_option("--seed", o.lab.seed, "The same seed, the same lies")
      ->check(whole_number(0, std::numeric_limits<std::uint64_t>::max()));
  lab_app->add_option("--writers", o.lab.writers)->check(whole_number(1, 256));
  lab_app->add_option("--revisions", o.lab.revisions, "Writes of each document")
      ->check(whole_number(1, 50));
  lab_app->add_option("--input", o.lab.input, "Directory whose documents are published");
  lab_app->add_flag("--honest", o.lab.honest, "Tell no lies: nothing may be accused");
  lab_app->callback([&] { run = [&o] { return lab(o.common, o.lab); }; });
}

// A command's words are its own: the parser would take "[a,b]" for two. How many are for the
// parser.
int own_words(int argc, char** argv, std::string_view of, std::vector<std::string>& command) {
  if (argc < 2 || std::string_view(argv[1]) != of) return argc;
  for (int i = 2; i < argc; ++i) {
    if (std::string_view(argv[i]) != "--") continue;
    command.assign(argv + i + 1, argv + argc);
    return i;
  }
  return argc;
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

// What the parser says of a word that is no command is only that a command is missing.
std::string wrong_command(const CLI::App& root, int argc, char** argv) {
  const CLI::App* app = &root;
  std::string path = "trued";
  for (int i = 1; i <= argc; ++i) {
    const CLI::App* below = nullptr;
    std::vector<std::string> known;
    const std::string word = i < argc ? argv[i] : "";
    for (const CLI::App* child : app->get_subcommands([](const CLI::App*) { return true; })) {
      known.push_back(child->get_name());
      if (child->get_name() == word) below = child;
    }
    if (known.empty()) return "";
    if (i == argc) return "'" + path + "' needs a command: " + listed(known);
    if (word.starts_with('-')) {
      return "'" + path + "' has no option '" + word +
             "'; options follow the command: " + listed(known);
    }
    if (below == nullptr) {
      const auto meant = trued::config::resembles(word, known);
      return "there is no command '" + path + " " + word + "'" +
             (meant ? "; did you mean '" + path + " " + *meant + "'?" : "") +
             "; known: " + listed(known);
    }
    path += " " + word;
    app = below;
  }
  return "";
}

// A usage error leaves nothing parsed, so the words themselves say whether --json was asked for.
int usage(const CLI::App& root, const std::string& message, int argc, char** argv) {
  Common common;
  for (int i = 1; i < argc && std::string_view(argv[i]) != "--"; ++i) {
    common.json = common.json || std::string_view(argv[i]) == "--json";
  }
  const std::string wrong = wrong_command(root, argc, argv);
  if (!wrong.empty()) return complain(common, kUsage, wrong);
  return complain(common, kUsage, message + " (see --help)");
}

CommandNode command_tree(const CLI::App& app) {
  CommandNode node{.name = app.get_name(), .options = {}, .children = {}};
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) node.options.push_back("--" + name);
  }
  for (const CLI::App* child : app.get_subcommands([](const CLI::App*) { return true; })) {
    node.children.push_back(command_tree(*child));
  }
  return node;
}

// What could not be written was not said: a full disk behind a pipe is no success.
int delivered(int code) {
  const bool written = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  if (written || code != kOk) return code;
  say("trued: the output could not be written; what was asked was carried out");
  return kOutput;
}

}  // namespace

int main(int argc, char** argv) {
  prepare_process();
  CLI::App root("Trued: success that was read back.", "trued");
  root.set_version_flag("--version", "trued " TRUED_VERSION);
  root.require_subcommand(1);
  Options options;
  std::function<int()> run;
  add_serve(root, options, run);
  add_target(root, options, run);
  add_definitions(root, options, run);
  add_write(root, options, run);
  add_op(root, options, run);
  add_dead_letters(root, options, run);
  add_worklist(root, options, run);
  add_nodes(root, options, run);
  add_files(root, options, run);
  add_ledger(root, options, run);
  add_exec(root, options, run);
  add_work(root, options, run);
  add_lab(root, options, run);
  CLI::App* completion_app = root.add_subcommand("completion", "Print a shell's completion script");
  completion_app->add_option("shell", options.shell)
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  completion_app->callback([&] {
    run = [&] {
      print(completion_script(command_tree(root), options.shell));
      return kOk;
    };
  });
  argc = own_words(argc, argv, "exec", options.exec.command);
  argc = own_words(argc, argv, "work", options.work.command);
  try {
    root.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    // Help and the version come this way too.
    if (e.get_exit_code() == 0) return root.exit(e);
    return usage(root, e.what(), argc, argv);
  }
  try {
    return delivered(run());
  } catch (const std::exception& e) {
    return complain(options.common, kInternal, std::string("a fault of this program: ") + e.what());
  }
}
