// trued write: artifacts from files, texts or a directory, as one operation.
#include <utility>

#include "base/clock.h"
#include "base/random.h"
#include "base/uuid.h"
#include "cli/commands.h"
#include "cli/directory.h"
#include "cli/exit_codes.h"
#include "cli/remote.h"
#include "cli/texts.h"
#include "core/ids.h"
#include "engine/write_input.h"
#include "json/canonical.h"

namespace trued::cli {
namespace {

constexpr std::string_view kNothingSent = "nothing was sent";

Error bad_argument(std::string message) {
  return {.code = ErrorCode::invalid_argument, .message = std::move(message)};
}

std::string_view path_in(std::string_view argument) {
  return argument.substr(0, argument.find('='));
}

// Everything that names something in the request. Content may be any bytes, and so may the names of
// local files.
std::vector<std::string> wrong_texts(const WriteOptions& options) {
  std::vector<GivenText> given{{"the target", options.target}};
  for (const std::string& each : options.files) given.push_back({"the path", path_in(each)});
  for (const std::string& each : options.texts) given.push_back({"--text", path_in(each)});
  for (const std::string& each : options.removed) given.push_back({"--remove", each});
  given.push_back({"--key", options.key});
  given.push_back({"--message", options.message});
  given.push_back({"--base", options.base});
  given.push_back({"--scope", options.scope});
  return not_utf8(given);
}

// Splits "PATH=REST"; the path may not be empty.
Result<std::pair<std::string, std::string>> split(const std::string& text, const char* form) {
  const std::size_t equal = text.find('=');
  if (equal == std::string::npos || equal == 0) {
    return bad_argument("'" + text + "' is not " + form);
  }
  return std::pair(text.substr(0, equal), text.substr(equal + 1));
}

void add(Intent& intent, std::string name, std::string content) {
  intent.artifacts.push_back(
      {.name = std::move(name), .absent = false, .id = {}, .content = std::move(content)});
}

Result<void> add_files(const WriteOptions& options, Intent& intent) {
  bool piped = false;
  for (const std::string& each : options.files) {
    TRUED_TRY(auto pair, split(each, "PATH=FILE"));
    const auto& [path, file] = pair;
    if (file.empty()) {
      return bad_argument("'" + each + "' names no file: give " + path + "=FILE, or --text '" +
                          path + "=' for an empty one");
    }
    if (file == "-" && std::exchange(piped, true)) {
      return bad_argument("'" + each + "': standard input can be read only once");
    }
    TRUED_TRY(std::string content, read_file(file));
    add(intent, path, std::move(content));
  }
  return {};
}

// What the arguments ask for, without --dir.
Result<void> add_given(const WriteOptions& options, Intent& intent) {
  TRUED_TRY_VOID(add_files(options, intent));
  for (const std::string& each : options.texts) {
    TRUED_TRY(auto pair, split(each, "PATH=TEXT"));
    add(intent, std::move(pair.first), std::move(pair.second));
  }
  for (const std::string& each : options.removed) {
    intent.artifacts.push_back({.name = each, .absent = true, .id = {}, .content = {}});
  }
  return {};
}

// What is in the way of publishing the directory; its files stand first in the request.
Result<std::vector<std::string>> add_directory(const std::string& directory, Intent& intent) {
  TRUED_TRY(Found found, files_below(directory));
  for (FoundFile& file : found.files) {
    auto content = read_file(file.path);
    if (!content.has_value()) {
      found.faults.push_back(content.error().message);
      continue;
    }
    add(intent, std::move(file.name), std::move(content).value());
  }
  return std::move(found.faults);
}

// kOk with the intent, or it has complained.
int gather(const Common& common, const WriteOptions& options, Intent& intent) {
  intent.target = options.target;
  intent.message = options.message;
  intent.verify = !options.no_verify;
  if (!options.base.empty()) intent.base = options.base;
  if (!options.directory.empty()) {
    const auto faults = add_directory(options.directory, intent);
    if (!faults.has_value()) return complain(common, kUsage, "--dir " + faults.error().message);
    if (!faults->empty()) return complain_of_each(common, kBadData, *faults, kNothingSent);
  }
  const auto added = add_given(options, intent);
  if (!added.has_value()) return complain(common, kUsage, added.error().message);
  if (!intent.artifacts.empty()) return kOk;
  return complain(
      common, kUsage,
      options.directory.empty()
          ? "nothing to write: give PATH=FILE, --text, --dir or --remove"
          : "nothing to write: --dir " + shell_quoted(options.directory) + " holds no file");
}

std::string new_key() {
  SystemRandom random;
  SystemClock clock;
  return "cli-" + UuidV7Generator().next(clock.wall(), random.next(), random.next()).base32();
}

}  // namespace

int write(const Common& common, const WriteOptions& options) {
  auto wait = parse_duration(options.wait);
  if (!wait.has_value()) return complain(common, kUsage, "--wait " + wait.error().message);
  if (const auto wrong = wrong_texts(options); !wrong.empty()) {
    return complain_of_each(common, kUsage, wrong, kNothingSent);
  }
  if (options.key_given && !valid_key(options.key)) {
    return complain(common, kUsage,
                    "--key '" + options.key +
                        "': a key has 1 to 255 visible characters without spaces; leave --key "
                        "away for a new one");
  }
  Intent intent;
  if (const int code = gather(common, options, intent); code != kOk) return code;
  std::string key = options.key;
  if (!options.key_given) {
    key = new_key();
    say("trued: key " + key + " (give it again with --key to repeat this write safely)");
  }
  std::string body = "{\"input\":" + write_input_json(intent) + ",\"key\":";
  json::write_exact(key, body);
  if (!options.scope.empty()) {
    body += ",\"scope\":";
    json::write_exact(options.scope, body);
  }
  body += ",\"type\":\"write\"}";
  Remote remote(common);
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(*wait).count();
  return remote.show_receipt(
      remote.call("POST", "/v1/operations", body, {{"Prefer", "wait=" + std::to_string(seconds)}}));
}

}  // namespace trued::cli
