// trued write: artifacts from files, texts or a directory, as one operation.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include "base/clock.h"
#include "base/random.h"
#include "base/uuid.h"
#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/remote.h"
#include "core/ids.h"
#include "engine/write_input.h"
#include "json/canonical.h"

namespace trued::cli {
namespace {

namespace fs = std::filesystem;

Error bad_argument(std::string message) {
  return {.code = ErrorCode::invalid_argument, .message = std::move(message)};
}

Result<std::string> read_all(const std::string& file) {
  std::stringstream content;
  if (file == "-") {
    content << std::cin.rdbuf();
    return content.str();
  }
  std::error_code failure;
  if (fs::is_directory(file, failure)) return bad_argument(file + " is a directory; use --dir");
  std::ifstream input(file, std::ios::binary);
  content << input.rdbuf();
  if (!input) return bad_argument("cannot read " + file);
  return content.str();
}

// Splits "PATH=REST"; the path may not be empty.
Result<std::pair<std::string, std::string>> split(const std::string& text) {
  const std::size_t equal = text.find('=');
  if (equal == std::string::npos || equal == 0) {
    return bad_argument("'" + text + "' is not PATH=FILE");
  }
  return std::pair(text.substr(0, equal), text.substr(equal + 1));
}

Result<void> add_directory(const std::string& directory, Intent& intent) {
  std::error_code failure;
  fs::recursive_directory_iterator files(directory, failure);
  if (failure) return bad_argument("cannot read " + directory + ": " + failure.message());
  for (const fs::directory_entry& entry : files) {
    if (!entry.is_regular_file(failure)) continue;
    TRUED_TRY(std::string content, read_all(entry.path().string()));
    intent.artifacts.push_back({.name = fs::relative(entry.path(), directory).generic_string(),
                                .absent = false,
                                .id = {},
                                .content = std::move(content)});
  }
  std::ranges::sort(intent.artifacts, {}, &ArtifactIntent::name);
  return {};
}

Result<Intent> intent_of(const WriteOptions& options) {
  Intent intent;
  intent.target = options.target;
  intent.message = options.message;
  intent.verify = !options.no_verify;
  if (!options.base.empty()) intent.base = options.base;
  if (!options.directory.empty()) TRUED_TRY_VOID(add_directory(options.directory, intent));
  for (const std::string& each : options.files) {
    TRUED_TRY(auto pair, split(each));
    TRUED_TRY(std::string content, read_all(pair.second));
    intent.artifacts.push_back(
        {.name = pair.first, .absent = false, .id = {}, .content = std::move(content)});
  }
  for (const std::string& each : options.texts) {
    TRUED_TRY(auto pair, split(each));
    intent.artifacts.push_back(
        {.name = pair.first, .absent = false, .id = {}, .content = std::move(pair.second)});
  }
  for (const std::string& each : options.removed) {
    intent.artifacts.push_back({.name = each, .absent = true, .id = {}, .content = {}});
  }
  if (intent.artifacts.empty()) {
    return bad_argument("nothing to write: give PATH=FILE, --text, --dir or --remove");
  }
  return intent;
}

std::string new_key() {
  SystemRandom random;
  SystemClock clock;
  return "cli-" + UuidV7Generator().next(clock.wall(), random.next(), random.next()).base32();
}

}  // namespace

int write(const Common& common, const WriteOptions& options) {
  auto wait = parse_duration(options.wait);
  if (!wait.has_value()) return complain(common, kUsage, wait.error().message);
  if (options.key_given && !valid_key(options.key)) {
    return complain(common, kUsage,
                    "--key '" + options.key +
                        "': a key has 1 to 255 visible characters without spaces; leave --key "
                        "away for a new one");
  }
  auto intent = intent_of(options);
  if (!intent.has_value()) return complain(common, kUsage, intent.error().message);
  std::string key = options.key;
  if (!options.key_given) {
    key = new_key();
    say("trued: key " + key + " (give it again with --key to repeat this write safely)");
  }
  std::string body = "{\"input\":" + write_input_json(*intent) + ",\"key\":";
  json::write_string(key, body);
  if (!options.scope.empty()) {
    body += ",\"scope\":";
    json::write_string(options.scope, body);
  }
  body += ",\"type\":\"write\"}";
  Remote remote(common);
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(*wait).count();
  return remote.show_receipt(
      remote.call("POST", "/v1/operations", body, {{"Prefer", "wait=" + std::to_string(seconds)}}));
}

}  // namespace trued::cli
