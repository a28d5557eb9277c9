#include "embed/build_target.h"

#include <utility>

#include "core/ids.h"
#include "target/file/file_connector.h"
#include "target/git/git_connector.h"
#include "target/http/http_reader.h"
#include "target/memory/memory_connector.h"

namespace trued {
namespace {

Error bad_argument(const std::string& text, const std::string& why) {
  return {.code = ErrorCode::invalid_argument,
          .message = "'" + text + "' is not a target: " + why +
                     "; expected NAME=KIND:LOCATION such as docs=git:/srv/content.git"};
}

Result<std::unique_ptr<Connector>> open_store(const TargetSpec& spec,
                                              const std::string& state_directory) {
  if (spec.kind == "file") {
    TRUED_TRY(auto store, FileConnector::open({.directory = spec.location}));
    return std::unique_ptr<Connector>(std::move(store));
  }
  if (spec.kind == "git") {
    TRUED_TRY(auto store, GitConnector::open({.repository = spec.location,
                                              .branch = spec.branch,
                                              .author_name = spec.author_name,
                                              .author_email = spec.author_email,
                                              .state_directory = state_directory,
                                              .username = spec.username,
                                              .password = spec.password,
                                              .bearer_token = spec.bearer_token}));
    return std::unique_ptr<Connector>(std::move(store));
  }
  if (spec.kind == "memory") {
    return std::unique_ptr<Connector>(std::make_unique<MemoryConnector>());
  }
  return Error{.code = ErrorCode::invalid_argument,
               .message = "target '" + spec.name + "': there is no kind '" + spec.kind +
                          "'; known: file, git, memory"};
}

}  // namespace

Result<Target> build_target(const TargetSpec& spec, const std::string& state_directory) {
  auto store = open_store(spec, state_directory);
  if (!store.has_value()) {
    Error error = store.error();
    error.message = "target '" + spec.name + "': " + error.message;
    return error;
  }
  std::unique_ptr<Reader> serving;
  if (spec.serving) {
    auto reader = HttpReader::open({.url = spec.serving->url, .headers = spec.serving->headers});
    if (!reader.has_value()) {
      Error error = reader.error();
      error.message = "target '" + spec.name + "', serving: " + error.message;
      return error;
    }
    serving = std::move(reader).value();
  }
  return make_target(spec.name, spec.kind, std::move(store).value(), std::move(serving),
                     spec.serving ? "http" : "", spec.policy);
}

Result<TargetSpec> parse_target_argument(const std::string& text) {
  TargetSpec spec;
  const std::size_t equal = text.find('=');
  const std::size_t colon = text.find(':', equal == std::string::npos ? 0 : equal);
  if (equal == std::string::npos || colon == std::string::npos) {
    return bad_argument(text, "it lacks '=' or ':'");
  }
  spec.name = text.substr(0, equal);
  spec.kind = text.substr(equal + 1, colon - equal - 1);
  if (!valid_name(spec.name)) {
    return bad_argument(text, "a name has 1 to 64 characters of [A-Za-z0-9_.-]");
  }
  std::string rest = text.substr(colon + 1);
  while (true) {
    const std::size_t branch = rest.rfind(",branch=");
    const std::size_t serving = rest.rfind(",serving=");
    if (branch == std::string::npos && serving == std::string::npos) break;
    const bool is_branch =
        serving == std::string::npos || (branch != std::string::npos && branch > serving);
    const std::size_t at = is_branch ? branch : serving;
    const std::string value = rest.substr(at + (is_branch ? 8 : 9));
    if (is_branch) {
      spec.branch = value;
    } else {
      spec.serving = ServingSpec{.url = value, .headers = {}};
    }
    rest.resize(at);
  }
  spec.location = rest;
  if (spec.location.empty() && spec.kind != "memory") return bad_argument(text, "no location");
  spec.policy = default_policy(spec.kind);
  return spec;
}

}  // namespace trued
