// trued submit: an operation of a defined type.
#include "cli/commands.h"
#include "cli/directory.h"
#include "cli/exit_codes.h"
#include "cli/remote.h"
#include "cli/texts.h"
#include "json/canonical.h"
#include "json/parse.h"
#include "json/writer.h"

namespace trued::cli {
namespace {

// The input as text: given, of a file ("@FILE"), or from standard input ("-").
Result<std::string> input_text(const std::string& given) {
  if (given == "-") return read_file("-");
  if (given.starts_with('@')) return read_file(given.substr(1));
  return given;
}

void add_text(json::Writer& out, const char* name, const std::string& text) {
  if (!text.empty()) out.key(name).exact(text);
}

}  // namespace

int submit(const Common& common, const SubmitOptions& options) {
  const auto wait = parse_duration(options.wait);
  if (!wait.has_value()) return complain(common, kUsage, "--wait " + wait.error().message);
  const auto wrong = not_utf8({{"the type", options.type},
                               {"--key", options.key},
                               {"--scope", options.scope},
                               {"--priority", options.priority},
                               {"--not-before", options.not_before},
                               {"--deadline", options.deadline},
                               {"--actor", options.actor}});
  if (!wrong.empty()) return complain_of_each(common, kUsage, wrong, "nothing was sent");
  const auto text = input_text(options.input);
  if (!text.has_value()) return complain(common, kUsage, "--input " + text.error().message);
  const auto input = json::parse(*text);
  if (!input.has_value()) {
    return complain(common, kBadData, "--input is no JSON: " + input.error().message);
  }
  std::string body;
  json::Writer out(body);
  out.begin_object().key("type").exact(options.type);
  out.key("input").raw(json::canonical(*input));
  add_text(out, "key", options.key);
  add_text(out, "scope", options.scope);
  add_text(out, "priority", options.priority);
  add_text(out, "not_before", options.not_before);
  add_text(out, "deadline", options.deadline);
  add_text(out, "actor", options.actor);
  out.end_object();
  Remote remote(common);
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(*wait).count();
  return remote.show_receipt(
      remote.call("POST", "/v1/operations", body, {{"Prefer", "wait=" + std::to_string(seconds)}}));
}

}  // namespace trued::cli
