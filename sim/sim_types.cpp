#include "sim/sim_types.h"

#include "engine/write_input.h"
#include "json/parse.h"
#include "json/writer.h"

namespace trued::sim {
namespace {

/// Another's store under a policy of its own.
class Shared final : public Connector {
 public:
  explicit Shared(Connector& store) : store_(store) {}
  Capabilities capabilities() const override { return store_.capabilities(); }
  EffectResult perform(const EffectRequest& request) override { return store_.perform(request); }
  std::vector<RawRead> read(const ReadRequest& request) override { return store_.read(request); }
  History history(const HistoryRequest& request) override { return store_.history(request); }
  Result<std::string> version() override { return store_.version(); }
  std::string check_name(const std::string& name) const override { return store_.check_name(name); }

 private:
  Connector& store_;
};

class SharedReader final : public Reader {
 public:
  explicit SharedReader(Reader& reader) : reader_(reader) {}
  std::vector<RawRead> read(const ReadRequest& request) override { return reader_.read(request); }

 private:
  Reader& reader_;
};

}  // namespace

SimTypes::SimTypes(const Targets& targets, bool aside) : aside_(aside) {
  for (const auto& [name, target] : targets) {
    auto serving = target.serving ? std::make_unique<SharedReader>(*target.serving) : nullptr;
    Policy policy = target.policy;
    policy.compensable = true;
    kept_.emplace(definition_for(name),
                  make_target(name, target.kind, std::make_unique<Shared>(*target.store),
                              std::move(serving), target.serving_kind, policy));
  }
}

const Target* SimTypes::target(std::string_view definition) const {
  const auto found = kept_.find(definition);
  return found == kept_.end() ? nullptr : &found->second;
}

std::shared_ptr<const Intent> SimTypes::restore(std::string_view definition,
                                                const json::Value& input,
                                                const Identity& /*who*/) const {
  InputFault fault;
  auto parsed = parse_write_input(input, nullptr, fault);
  return parsed && target(definition) != nullptr ? std::move(parsed->intent) : nullptr;
}

std::vector<std::string> SimTypes::turns(std::string_view /*definition*/, const Intent& intent,
                                         const Identity& /*who*/) const {
  std::vector<std::string> names;
  names.reserve(intent.artifacts.size());
  for (const ArtifactIntent& artifact : intent.artifacts) names.push_back(artifact.name);
  return names;
}

Result<UndoInput> SimTypes::undo(std::string_view definition, const Intent& intent,
                                 const Identity& /*who*/, const OperationId& id,
                                 std::string_view /*result*/) const {
  const Target* at = target(definition);
  if (at == nullptr) return Error{.code = ErrorCode::unsupported, .message = "no such type"};
  const bool aside = aside_ && to_string(id).back() % 2 == 0;
  std::string text;
  json::Writer out(text);
  out.begin_object().member("target", std::string_view(at->name)).key("artifacts").begin_array();
  for (const ArtifactIntent& artifact : intent.artifacts) {
    out.begin_object();
    out.member("path", std::string_view(aside ? artifact.name + "-undone" : artifact.name));
    out.member("content", std::string_view("not what " + to_string(id) + " wrote"));
    out.end_object();
  }
  out.end_array().end_object();
  return UndoInput{.type = std::string(kWriteType), .input = json::parse(text).value()};
}

Result<Begun> SimTypes::begin(std::string_view type, const json::Value& /*input*/,
                              const std::string& /*scope*/, const std::string& /*key*/) const {
  return Error{.code = ErrorCode::not_found, .message = "no type " + std::string(type)};
}

}  // namespace trued::sim
