// A definition is taken or refused with its faults, and so is an input to it; what is taken means
// the same when it is read again. The text is {"name", "definition", "other", "input", "scope",
// "key", "result"}: a definition, another one that it is compared with, and a submission.
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "define/check.h"
#include "define/definition.h"
#include "json/canonical.h"
#include "json/parse.h"
#include "target/exec/exec_target.h"
#include "target/http/http_target.h"
#include "target/memory/memory_connector.h"
#include "target/postgres/call_shape.h"
#include "target/postgres/postgres_target.h"
#include "target/worker/worker_target.h"

namespace {

using namespace trued;  // NOLINT: this file is nothing but their caller
using define::Definition;

Targets make_targets() {
  Targets made;
  const auto store = [&](const std::string& name, MemoryOptions options) {
    made.emplace(name, make_target(name, "memory", std::make_unique<MemoryConnector>(options),
                                   nullptr, "", Policy{}));
  };
  const auto calls = [&](const std::string& name, const std::string& kind,
                         std::shared_ptr<CallTarget> target) {
    made.emplace(name, make_call_target(name, kind, std::move(target), Policy{}));
  };
  store("docs", {});
  store("still", {.history = false});
  store("trued.own", {});
  HttpSpec psp;
  psp.base_url = "https://api.example/v1";
  calls("plain", "http", HttpTarget::open(psp).value());
  psp.deduplicates = true;
  calls("psp", "http", HttpTarget::open(psp).value());
  PostgresSpec db;
  db.url = "postgresql://u@h/d";
  calls("db", "postgres", PostgresTarget::open(db).value());
  ExecSpec run;
  run.commands = {"*"};
  run.path = {"/bin"};
  calls("run", "exec", ExecTarget::open(run).value());
  run = ExecSpec();
  run.commands = {"/bin/make"};
  calls("make", "exec", ExecTarget::open(run).value());
  calls("desk", "worker", std::make_shared<WorkerTarget>(WorkerSpec{}));
  return made;
}

const Targets& targets() {
  static const Targets all = make_targets();
  return all;
}

std::string text_at(const json::Value& document, std::string_view name) {
  const json::Value* value = document.find(name);
  return value != nullptr && value->is_string() ? value->as_string() : "";
}

const json::Value& tree_at(const json::Value& document, std::string_view name) {
  static const json::Value kNone;
  const json::Value* value = document.find(name);
  return value == nullptr ? kNone : *value;
}

std::shared_ptr<const Definition> parse(const std::string& name, const json::Value& tree) {
  define::Faults faults;
  auto definition = parse_definition(name, tree, faults);
  TRUED_ASSERT((definition == nullptr) == !faults.empty());
  for (const define::Fault& fault : faults) TRUED_ASSERT(!fault.detail.empty());
  return definition;
}

// What is stored of it is the same definition.
void keep(const Definition& definition) {
  const auto again = define::load_definition(definition.canonical);
  TRUED_ASSERT(again.has_value() && (*again)->digest == definition.digest);
  TRUED_ASSERT(diff(definition, **again).empty());
  TRUED_ASSERT((*again)->targets() == definition.targets());
}

bool check(const std::shared_ptr<const Definition>& definition,
           const std::shared_ptr<const Definition>& other) {
  define::Definitions all{{definition->name, definition}};
  if (other) all.emplace(other->name, other);
  const define::Surroundings around{.targets = targets(),
                                    .definitions = all,
                                    .remembers = [](const std::string&) -> std::optional<Duration> {
                                      return Duration{3'600'000};
                                    }};
  return check_definition(*definition, around).empty();
}

void object_to(const std::vector<define::Objection>& objections) {
  for (const define::Objection& each : objections) TRUED_ASSERT(!each.detail.empty());
}

// What every valid input is said to have, this one has.
void look_into(const Definition& definition, const json::Value& input) {
  if (!definition.input.validate(input).empty()) return;
  for (const std::string& name : definition.input.required()) {
    TRUED_ASSERT(input.find(name) != nullptr);
  }
  for (const auto& [path, steps] : definition.identity) {
    const define::SchemaPath said = definition.input.at(steps);
    const bool there = define::value_at(input, steps) != nullptr;
    TRUED_ASSERT(said.possible && (there || !said.always));
  }
}

void undo(const Definition& definition, const json::Value& input, const Identity& who,
          const json::Value& result) {
  if (!definition.compensate) return;
  const json::Value operation = define::operation_value(who, OperationId(), AttemptNo(1));
  const auto undoing =
      definition.compensation({.input = &input, .operation = &operation, .result = &result});
  if (!undoing.has_value()) TRUED_ASSERT(!undoing.error().detail.empty());
}

void submit(const Definition& definition, bool sound, const json::Value& document) {
  const json::Value& input = tree_at(document, "input");
  look_into(definition, input);
  const json::Value* key = document.find("key");
  const auto intended = definition.intend(
      input, {.scope = text_at(document, "scope"),
              .key = key == nullptr ? std::nullopt : std::optional(text_at(document, "key"))});
  if (!intended.has_value()) {
    TRUED_ASSERT(!intended.error().empty());
    return object_to(intended.error());
  }
  if (sound) object_to(check_intended(definition, *intended, targets()));
  // After a restart it is the same intent.
  const auto kept = json::parse(intended->input);
  TRUED_ASSERT(kept.has_value());
  const auto restored = definition.restore(*kept, intended->identity);
  TRUED_ASSERT(restored.has_value());
  const auto& artifacts = intended->intent->artifacts;
  TRUED_ASSERT((*restored)->artifacts.size() == artifacts.size());
  for (std::size_t i = 0; i < artifacts.size(); ++i) {
    const ArtifactIntent& again = (*restored)->artifacts.at(i);
    TRUED_ASSERT(again.name == artifacts.at(i).name && again.id == artifacts.at(i).id);
  }
  TRUED_ASSERT(definition.turns(*intended->intent, intended->identity).size() == artifacts.size());
  undo(definition, input, intended->identity, tree_at(document, "result"));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto document = json::parse(text);
  if (!document.has_value()) return 0;
  const auto definition = parse(text_at(*document, "name"), tree_at(*document, "definition"));
  const auto other = parse("other", tree_at(*document, "other"));
  if (definition == nullptr) return 0;
  keep(*definition);
  (void)parse_postgres_effect(definition->effect.call.source());
  (void)parse_postgres_read(definition->effect.call.source());
  if (other != nullptr && definition->tree != other->tree) {
    TRUED_ASSERT(!diff(*definition, *other).empty());
  }
  submit(*definition, check(definition, other), *document);
  return 0;
}
