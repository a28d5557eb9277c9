// trued exec: a command with an identity, carried out by the same engine, without a server.
#include <csignal>
#include <pwd.h>
#include <thread>
#include <unistd.h>

#include "api/receipts.h"
#include "cli/commands.h"
#include "cli/exec_session.h"
#include "cli/exec_target.h"
#include "cli/exit_codes.h"
#include "engine/write_input.h"
#include "json/parse.h"
#include "ledger/codec.h"
#include "ledger/sqlite/sqlite_ledger.h"

namespace trued::cli {
namespace {

constexpr std::string_view kType = "exec";
constexpr Duration kLockPause{100};
constexpr std::string_view kDurability = "fsync";

Identity identity_of(const ExecOptions& options) {
  return {"default", std::string(kType), options.key};
}

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

Submission submission_of(const ExecOptions& options) {
  Intent intent;
  intent.target = std::string(kType);
  intent.verify = !options.verify.empty();
  ArtifactIntent artifact;
  artifact.name = "command";
  artifact.content = encode_command({options.command, options.verify});
  artifact.id = {.sha256 = sha256(artifact.content), .bytes = artifact.content.size()};
  intent.artifacts.push_back(std::move(artifact));
  Submission submission;
  submission.identity = identity_of(options);
  submission.definition = "exec@1";
  submission.intent_json = write_input_json(intent);
  submission.fingerprint = fingerprint_of(submission.intent_json, kType);
  submission.intent = std::make_shared<const Intent>(std::move(intent));
  return submission;
}

Policy policy_of(const ExecOptions& options, Duration timeout) {
  Policy policy;
  policy.effect_timeout = timeout;
  policy.deadline = timeout * (2 * options.attempts) + Duration{60'000};
  policy.retry.attempts_max = options.attempts;
  policy.store = {
      .within = Duration{5'000}, .reads_max = 3, .first = Duration{200}, .cap = Duration{2'000}};
  policy.unreadable = policy.store;
  policy.retention = std::max(policy.retention, policy.deadline * 2);
  return policy;
}

// ---- What is said ------------------------------------------------------------------------------

// What may be typed next, whole: there is no server that `trued op` could ask.
std::vector<std::string> next_commands(const Common& common, const ExecOptions& options,
                                       const Operation& operation) {
  std::string start = "trued exec";
  if (!options.ledger.empty()) {
    start += " --ledger " + shell_quoted(options.ledger);
  } else if (!common.state_dir.empty()) {
    start += " --state-dir " + shell_quoted(common.state_dir);
  }
  start += " --key " + shell_quoted(operation.identity.key);
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
int show(const Common& common, const ExecOptions& options, const Answer& answer,
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
  const Operation& operation = *answer.operation;
  const std::string text = api::receipt(operation, answer.decision, kDurability);
  const auto commands = next_commands(common, options, operation);
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

int show_reply(const Common& common, const ExecOptions& options, const EngineReply& reply,
               Ledger& ledger) {
  const auto* problem = std::get_if<EngineProblem>(&reply);
  if (problem == nullptr) {
    const Answer& answer = std::get<Answer>(reply);
    std::vector<EventRecord> events;
    // They only explain: without them the receipt still says what is known.
    if (auto reader = ledger.open_reader(); reader.has_value() && answer.operation) {
      auto found = (*reader)->events(answer.operation->id);
      if (found.has_value()) events = std::move(found).value();
    }
    return show(common, options, answer, events);
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
      return complain(common, kUnreachable, problem->detail + "; nothing was run");
  }
  return kInternal;
}

std::string command_text(const std::optional<std::string>& intent) {
  if (!intent) return "";
  auto value = json::parse(*intent);
  InputFault fault;
  if (!value.has_value()) return "";
  const auto input = parse_write_input(std::move(value).value(), nullptr, fault);
  if (!input || input->intent->artifacts.empty()) return "";
  const auto command = decode_command(input->intent->artifacts.front().content);
  if (!command) return "";
  std::string text = "\n  command:";
  for (const std::string& argument : command->argv) text += " " + plain(shell_quoted(argument));
  if (!command->verify.empty()) text += "\n  verify: " + plain(command->verify);
  return text;
}

// ---- What is done ------------------------------------------------------------------------------

int no_such_key(const Common& common, const ExecOptions& options, const std::string& path) {
  return complain(common, kBadData,
                  "nothing is known under the key '" + options.key + "' in " + path);
}

Result<int> inspect(const Common& common, const ExecOptions& options, const std::string& path) {
  TRUED_TRY(auto reader, naming(open_sqlite_reader(path), path));
  ListQuery query;
  query.type = kType;
  query.key = options.key;
  TRUED_TRY(const ListPage page, reader->list(query));
  if (page.operations.empty()) return no_such_key(common, options, path);
  const Operation& operation = page.operations.front();
  TRUED_TRY(const auto events, reader->events(operation.id));
  TRUED_TRY(const auto intent, reader->intent(operation.id));
  const std::string text = api::receipt(operation, std::nullopt, kDurability);
  const auto commands = next_commands(common, options, operation);
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

Result<int> carry_out(const Common& common, const ExecOptions& options, const std::string& path,
                      Duration timeout, Duration patience) {
  Children children;
  const SignalPassage passage(children);  // before the ledger, which has threads of its own
  TRUED_TRY(auto ledger, open_patiently(path, patience, children));
  const bool decide = options.retry || !options.verdict.empty();
  std::optional<OperationId> known;
  if (decide) {
    TRUED_TRY(const auto found, ledger->load(std::vector{identity_of(options)}));
    if (!found.front().operation) return no_such_key(common, options, path);
    known = found.front().operation->id;
  }
  const Policy policy = policy_of(options, timeout);
  const auto output = common.json ? ChildOptions::Output::to_stderr : ChildOptions::Output::through;
  Targets targets;
  targets.emplace(std::string(kType), make_target(std::string(kType), std::string(kType),
                                                  std::make_unique<ExecConnector>(
                                                      children, options.attempts > 1, output),
                                                  nullptr, "", policy));
  ExecSession session(*ledger, targets, children);
  TRUED_TRY_VOID(session.start());
  const Duration wait = policy.deadline * 2;
  if (!decide) {
    return show_reply(common, options, session.submit(submission_of(options), wait), *ledger);
  }
  const PersonInput input{
      .action = options.retry ? PersonAction::retry
                              : parse_person_action(options.verdict).value_or(PersonAction::retry),
      .who = options.who.empty() ? login() : options.who,
      .why = options.why};
  const EngineReply reply = session.person(*known, input, wait);
  const int code = show_reply(common, options, reply, *ledger);
  // Deciding succeeded even where the operation itself failed.
  return !options.retry && std::holds_alternative<Answer>(reply) ? kOk : code;
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
  if (asked == 0 && options.command.empty()) {
    return "give the command after '--', or one of --show, --retry and --resolve";
  }
  if (asked == 1 && (!options.command.empty() || !options.verify.empty())) {
    return "the command and its --verify are recorded under the key; leave them away";
  }
  if (asked == 0 && options.command.front().empty()) return "the command is empty";
  return "";
}

}  // namespace

int exec(const Common& common, const ExecOptions& options) {
  if (const std::string wrong = wrong_with(options); !wrong.empty()) {
    return complain(common, kUsage, wrong);
  }
  const auto timeout = parse_duration(options.timeout);
  if (!timeout.has_value()) return complain(common, kUsage, timeout.error().message);
  if (*timeout <= Duration{0}) {
    return complain(common, kUsage, "--timeout 0 leaves the command no time at all");
  }
  const auto patience = parse_duration(options.lock_timeout);
  if (!patience.has_value()) return complain(common, kUsage, patience.error().message);
  std::string path;
  if (options.ledger.empty()) {
    const auto state = options.show ? state_place(common) : state_directory(common);
    if (!state.has_value()) return complain(common, kConfig, state.error().message);
    path = *state + "/exec.db";
  } else {
    const auto given = existing_ledger(common, options.ledger);
    if (!given.has_value()) return complain(common, kUsage, given.error().message);
    path = *given;
  }
  const auto code = options.show ? inspect(common, options, path)
                                 : carry_out(common, options, path, *timeout, *patience);
  if (code.has_value()) return *code;
  const bool missing = code.error().code == ErrorCode::not_found;
  return complain(common, missing ? kBadData : exit_code_of_start(code.error()),
                  code.error().message);
}

}  // namespace trued::cli
