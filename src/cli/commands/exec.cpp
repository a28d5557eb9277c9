// trued exec: a command with an identity, carried out by the same engine, without a server.
#include <filesystem>
#include <pwd.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>

#include "api/receipts.h"
#include "base/assert.h"
#include "cli/commands.h"
#include "cli/exec_record.h"
#include "cli/exec_session.h"
#include "cli/exec_target.h"
#include "cli/exit_codes.h"
#include "cli/texts.h"
#include "config/config.h"
#include "json/parse.h"
#include "ledger/sqlite/sqlite_ledger.h"

namespace trued::cli {
namespace {

constexpr Duration kLockPause{100};
constexpr std::string_view kDurability = "fsync";

/// Where the ledger is.
struct Place {
  std::string path;
  std::string option;  ///< that says so wherever the user may be then; empty for the usual place
};

// Another `trued exec` holds the ledger for as long as its command runs.
Result<std::unique_ptr<SqliteLedger>> open_patiently(const std::string& path, Duration patience,
                                                     const Children& children) {
  SystemClock clock;
  const WallTime give_up = clock.wall() + patience;
  while (true) {
    auto ledger = naming(SqliteLedger::open({.path = path}), path);
    const bool busy = !ledger.has_value() && ledger.error().code == ErrorCode::already_exists;
    if (!busy) return ledger;
    if (children.interrupted()) {
      return Error{.code = ErrorCode::unavailable,
                   .message = "interrupted while waiting for " + path + "; nothing was run"};
    }
    if (clock.wall() >= give_up) {
      Error error = ledger.error();
      error.message += ". Nothing was run; waited " + format_duration(patience) +
                       ", --lock-timeout says how long";
      return error;
    }
    // tidy: allow sleep because a file lock of another process has nothing to wait on.
    std::this_thread::sleep_for(kLockPause);
  }
}

// What a request asks for, under the terms it would be accepted with.
ExecCommand command_of(const ExecOptions& options, Duration timeout) {
  ExecTerms terms;
  terms.attempts = options.attempts.value_or(terms.attempts);
  terms.timeout = timeout;
  std::error_code gone;  // then it runs where we are, which has no name any more
  terms.directory = std::filesystem::current_path(gone).string();
  return {.argv = options.command, .verify = options.verify, .terms = std::move(terms)};
}

std::string describe(const ExecTerms& terms) {
  return "--attempts " + std::to_string(terms.attempts) + " --timeout " +
         format_duration(terms.timeout) +
         (terms.directory.empty() ? "" : ", in " + shell_quoted(terms.directory));
}

// ---- What is said ------------------------------------------------------------------------------

// What may be typed next, whole: there is no server that `trued op` could ask.
std::vector<std::string> next_commands(const Place& place, const Operation& operation) {
  const std::string key = shell_quoted(operation.identity.key);
  const std::string start =
      "trued exec" + place.option + (key.starts_with('-') ? " --key=" : " --key ") + key;
  if (operation.state == State::failed) return {start + " --retry"};
  if (operation.state == State::needs_action) {
    return {start + " --resolve it_happened", start + " --resolve it_did_not", start + " --retry"};
  }
  return {};
}

std::string next_text(const Operation& operation, const std::vector<std::string>& commands) {
  if (!is_settled(operation.state)) {
    return "\n  next: run the same again under the same key, which goes on with it";
  }
  if (commands.empty()) return "";
  std::string text = operation.state == State::failed
                         ? "\n  next: it did not happen; mend the cause, then run it again with"
                         : "\n  next: look whether it happened, then say so or run it again with";
  for (const std::string& command : commands) text += "\n    " + plain(command);
  return text;
}

// How the last run ended, as it was recorded; empty where none has.
std::string last_end(const std::vector<EventRecord>& events) {
  std::string text;
  for (const EventRecord& record : events) {
    const auto* end = std::get_if<EffectEnded>(&record.event);
    if (end == nullptr || end->kind == EffectKind::skipped) continue;
    text = end->kind == EffectKind::acknowledged ? "exit status 0" : end->reason;
  }
  return text;
}

std::string json_with(std::string receipt, const std::vector<std::string>& commands,
                      const std::vector<EventRecord>& events, bool with_events) {
  TRUED_ASSERT(receipt.ends_with('}'));
  receipt.pop_back();  // '}'
  std::string more;
  json::Writer out(more);
  const std::string ended = last_end(events);
  out.begin_object().key("ended");
  ended.empty() ? out.null() : out.string(ended);
  out.key("commands").begin_array();
  for (const std::string& command : commands) out.string(command);
  out.end_array();
  if (with_events) {
    out.key("events").begin_array();
    for (const EventRecord& event : events) api::write_event(out, event);
    out.end_array();
  }
  out.end_object();
  return receipt + "," + more.substr(1);
}

// What a person decides by, where one has to.
std::string evidence_text(const Operation& operation, const std::string& ended) {
  if (operation.state != State::needs_action && is_settled(operation.state)) return "";
  std::string text = ended.empty() ? "" : "\n  the command: " + plain(ended);
  if (operation.artifacts.front().store.verdict == Verdict::mismatch) {
    text += "\n  its verify command says that it does not hold";
  }
  return text;
}

// One line of what it came to, why, and what to type next.
int show(const Common& common, const ExecOptions& options, const Place& place, const Answer& answer,
         const std::vector<EventRecord>& events) {
  if (answer.decision == SubmitDecision::conflict) {
    return complain(common, kBadData,
                    "the key '" + answer.operation->identity.key +
                        "' belongs to another command; nothing was run");
  }
  if (answer.decision == SubmitDecision::late) {
    return complain(common, kBadData,
                    "the key was used and is past its retention; nothing was run");
  }
  TRUED_ASSERT(answer.operation != nullptr);
  const Operation& operation = *answer.operation;
  const std::string text = api::receipt(operation, answer.decision, kDurability);
  const auto commands = next_commands(place, operation);
  if (common.json) {
    print(json_with(text, commands, events, false));
  } else if (const auto value = json::parse(text); value.has_value()) {
    std::string line = receipt_line(*value, false);
    const bool decided = options.retry || !options.verdict.empty();
    if (answer.decision == SubmitDecision::duplicate && !decided) {
      line += "  (duplicate: nothing was run)";
    }
    line += evidence_text(operation, last_end(events));
    if (!operation.reason.empty()) line += "\n  " + plain(operation.reason);
    say(line + next_text(operation, commands));
  }
  return exit_code_of(to_string(status_of(operation.state)));
}

int show_reply(const Common& common, const ExecOptions& options, const Place& place,
               const EngineReply& reply, Ledger& ledger) {
  const auto* problem = std::get_if<EngineProblem>(&reply);
  if (problem == nullptr) {
    const Answer& answer = std::get<Answer>(reply);
    std::vector<EventRecord> events;
    // They only explain: without them the receipt still says what is known.
    if (auto reader = ledger.open_reader(); reader.has_value() && answer.operation) {
      auto found = (*reader)->events(answer.operation->id);
      if (found.has_value()) events = std::move(found).value();
    }
    return show(common, options, place, answer, events);
  }
  switch (problem->code) {
    case ProblemCode::refused:
    case ProblemCode::not_found:
      return complain(common, kBadData, problem->detail);
    case ProblemCode::outcome_unknown:
      return complain(common, kTempFail, problem->detail);
    case ProblemCode::overloaded:
    case ProblemCode::ledger_unavailable:
    case ProblemCode::draining:
    case ProblemCode::below_floor:
      return complain(common, kUnreachable, problem->detail + "; nothing was run");
  }
  return kInternal;
}

std::string command_text(const std::optional<std::string>& intent) {
  const auto command = intent ? recorded_command(*intent) : std::nullopt;
  if (!command) return "";
  std::string text = "\n  command:";
  for (const std::string& argument : command->argv) text += " " + plain(shell_quoted(argument));
  if (!command->verify.empty()) text += "\n  verify: " + plain(command->verify);
  if (command->terms) text += "\n  with " + plain(describe(*command->terms));
  return text;
}

// ---- What is done ------------------------------------------------------------------------------

int no_such_key(const Common& common, const ExecOptions& options, const Place& place) {
  return complain(common, kBadData,
                  "nothing is known under the key '" + options.key + "' in " + place.path);
}

Result<int> inspect(const Common& common, const ExecOptions& options, const Place& place) {
  TRUED_TRY(auto reader, naming(open_sqlite_reader(place.path), place.path));
  ListQuery query;
  query.type = kExecType;
  query.key = options.key;
  TRUED_TRY(const ListPage page, reader->list(query));
  if (page.operations.empty()) return no_such_key(common, options, place);
  const Operation& operation = page.operations.front();
  TRUED_TRY(const auto events, reader->events(operation.id));
  TRUED_TRY(const auto intent, reader->intent(operation.id));
  const std::string text = api::receipt(operation, std::nullopt, kDurability);
  const auto commands = next_commands(place, operation);
  if (common.json) {
    print(json_with(text, commands, events, true));
  } else if (const auto value = json::parse(text); value.has_value()) {
    std::string shown = receipt_text(*value, use_colour(), false) + command_text(intent) +
                        evidence_text(operation, last_end(events));
    print(shown + next_text(operation, commands));
    for (const EventRecord& event : events) {
      std::string line;
      json::Writer out(line);
      api::write_event(out, event);
      if (const auto parsed = json::parse(line); parsed.has_value()) print(event_line(*parsed));
    }
  }
  return exit_code_of(to_string(status_of(operation.state)));
}

std::string login() {
  const passwd* user = ::getpwuid(::getuid());
  return user != nullptr ? user->pw_name : "uid " + std::to_string(::getuid());
}

// What is held under the key, and the command recorded with it as far as it can be read.
struct Held {
  std::optional<Operation> operation;
  std::optional<ExecCommand> command;
};

Result<Held> held_under(Ledger& ledger, const std::string& key) {
  TRUED_TRY(auto found, ledger.load(std::vector{exec_identity(key)}));
  TRUED_ASSERT(found.size() == 1);
  Held held{.operation = std::move(found.front().operation), .command = {}};
  if (!held.operation) return held;
  TRUED_TRY(const auto reader, ledger.open_reader());
  TRUED_TRY(const auto intent, reader->intent(held.operation->id));
  if (intent) held.command = recorded_command(*intent);
  return held;
}

// The terms that were recorded first hold; who asked for others hears of it.
void keep_terms(ExecCommand& asked, const Held& held) {
  TRUED_ASSERT(held.operation && held.command && asked.terms);
  const bool open = !is_settled(held.operation->state);
  if (open && held.command->terms && *held.command->terms != *asked.terms) {
    say("trued: this key's command goes on as it was accepted: " +
        plain(describe(*held.command->terms)));
  }
  asked.terms = held.command->terms;
}

EngineReply decide_and_run(ExecSession& session, const ExecOptions& options, const Operation& known,
                           Duration wait) {
  const PersonInput input{
      .action = options.retry ? PersonAction::retry
                              : parse_person_action(options.verdict).value_or(PersonAction::retry),
      .who = options.who.empty() ? login() : options.who,
      .why = options.why};
  return session.person(known.id, input, wait);
}

Result<int> carry_out(const Common& common, const ExecOptions& options, const Place& place,
                      Duration timeout, Duration patience) {
  Children children;
  const SignalPassage passage(children);  // before the ledger, which has threads of its own
  TRUED_TRY(auto ledger, open_patiently(place.path, patience, children));
  TRUED_TRY(const Held held, held_under(*ledger, options.key));
  const bool decide = options.retry || !options.verdict.empty();
  if (decide && !held.operation) return no_such_key(common, options, place);
  ExecCommand command = command_of(options, timeout);
  const ExecTerms asked = *command.terms;
  if (held.command && (decide || same_work(*held.command, command))) keep_terms(command, held);
  const ExecTerms terms = command.terms.value_or(asked);
  const Policy policy = exec_policy(terms);
  const auto output = common.json ? ChildOptions::Output::to_stderr : ChildOptions::Output::through;
  const std::string type(kExecType);
  Targets targets;
  targets.emplace(
      type,
      make_target(type, type, std::make_unique<ExecConnector>(children, terms.attempts > 1, output),
                  nullptr, "", policy));
  ExecSession session(*ledger, exec_identity(options.key), targets, children);
  TRUED_TRY_VOID(session.start());
  const Duration wait = policy.deadline * 2;
  const EngineReply reply = decide ? decide_and_run(session, options, *held.operation, wait)
                                   : session.submit(exec_submission(options.key, command), wait);
  const int code = show_reply(common, options, place, reply, *ledger);
  // Deciding succeeded even where the operation itself failed.
  const bool decided = decide && !options.retry && std::holds_alternative<Answer>(reply);
  return decided ? kOk : code;
}

// What is wrong with the options; empty when nothing is.
std::string wrong_with(const ExecOptions& options) {
  if (!valid_key(options.key)) return "a key has 1 to 255 visible characters without spaces";
  const int asked =
      (options.show ? 1 : 0) + (options.retry ? 1 : 0) + (options.verdict.empty() ? 0 : 1);
  if (asked > 1) return "only one of --show, --retry and --resolve can be asked for";
  const bool decides = options.retry || !options.verdict.empty();
  if ((!options.who.empty() || !options.why.empty()) && !decides) {
    return "--who and --why go with --retry or --resolve";
  }
  // What is recorded of a decision is what was said, not a likeness of it.
  const auto foreign = not_utf8({{"--who", options.who}, {"--why", options.why}});
  if (!foreign.empty()) return foreign.front();
  if (!options.misplaced.empty()) {
    return "'" + options.misplaced.front() + "' is no option; give the command after '--'";
  }
  if (asked == 0 && options.command.empty()) {
    return "give the command after '--', or one of --show, --retry and --resolve";
  }
  const bool terms = options.attempts.has_value() || options.timeout.has_value();
  if (asked == 1 && (!options.command.empty() || !options.verify.empty() || terms)) {
    return "the command, its --verify, --timeout and --attempts are recorded under the key; leave "
           "them away";
  }
  if (asked == 0 && options.command.front().empty()) return "the command is empty";
  return "";
}

std::string absolute(const std::string& path) {
  std::error_code gone;
  const auto whole = std::filesystem::absolute(path, gone);
  return gone ? path : whole.lexically_normal().string();
}

Result<Place> place_of(const Common& common, const ExecOptions& options) {
  Place place;
  if (!options.ledger.empty()) {
    if (config::is_shared_ledger(options.ledger)) {
      return Error{.code = ErrorCode::invalid_argument,
                   .message =
                       "'trued exec' keeps what it runs in a file of its own: give "
                       "--ledger sqlite:PATH, or have a server on the shared ledger run "
                       "the command as a target of kind exec"};
    }
    TRUED_TRY(const std::string path, existing_ledger(common, options.ledger));
    place.path = absolute(path);
    place.option = " --ledger " + shell_quoted("sqlite:" + place.path);
    return place;
  }
  TRUED_TRY(const std::string state, options.show ? state_place(common) : state_directory(common));
  place.path = absolute(state + "/exec.db");
  if (!common.state_dir.empty()) {
    place.option = " --state-dir " + shell_quoted(absolute(common.state_dir));
  }
  return place;
}

}  // namespace

int exec(const Common& common, const ExecOptions& options) {
  if (const std::string wrong = wrong_with(options); !wrong.empty()) {
    return complain(common, kUsage, wrong);
  }
  Duration timeout = ExecTerms{}.timeout;
  if (options.timeout) {
    const auto given = parse_duration(*options.timeout);
    if (!given.has_value()) {
      return complain(common, kUsage, "--timeout " + given.error().message);
    }
    timeout = *given;
  }
  if (timeout <= Duration{0}) {
    return complain(common, kUsage, "--timeout 0 leaves the command no time at all");
  }
  const auto patience = parse_duration(options.lock_timeout);
  if (!patience.has_value()) {
    return complain(common, kUsage, "--lock-timeout " + patience.error().message);
  }
  const auto place = place_of(common, options);
  if (!place.has_value()) {
    return complain(common, options.ledger.empty() ? kConfig : kUsage, place.error().message);
  }
  const auto code = options.show ? inspect(common, options, *place)
                                 : carry_out(common, options, *place, timeout, *patience);
  if (code.has_value()) return *code;
  const bool missing = code.error().code == ErrorCode::not_found;
  return complain(common, missing ? kBadData : exit_code_of_start(code.error()),
                  code.error().message);
}

}  // namespace trued::cli
