#include "embed/build_target.h"

#include <utility>

#include "target/exec/exec_target.h"
#include "target/file/file_connector.h"
#include "target/git/git_connector.h"
#include "target/http/http_reader.h"
#include "target/http/http_target.h"
#include "target/memory/memory_connector.h"
#include "target/postgres/postgres_target.h"
#include "target/worker/worker_target.h"

namespace trued {
namespace {

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
               .message = "there is no kind '" + spec.kind +
                          "'; known: file, git, memory, http, postgres, exec, worker"};
}

template <class Calls>
Result<Target> with_calls(const TargetSpec& spec, Result<Calls> calls) {
  if (!calls.has_value()) {
    Error error = std::move(calls).error();
    error.message = "target '" + spec.name + "': " + error.message;
    return error;
  }
  Policy policy = spec.policy;
  if (spec.http.deduplicates) policy.remembers = spec.http.remembers;
  if (spec.exec.deduplicates) policy.remembers = spec.exec.remembers;
  return make_call_target(spec.name, spec.kind, std::move(calls).value(), policy);
}

}  // namespace

Result<Target> build_target(const TargetSpec& spec, const std::string& state_directory) {
  if (spec.kind == "http") return with_calls(spec, HttpTarget::open(spec.http));
  if (spec.kind == "postgres") return with_calls(spec, PostgresTarget::open(spec.postgres));
  if (spec.kind == "exec") return with_calls(spec, ExecTarget::open(spec.exec));
  if (spec.kind == "worker") {
    return make_call_target(spec.name, spec.kind, std::make_shared<WorkerTarget>(spec.worker),
                            spec.policy);
  }
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
  Policy policy = spec.policy;
  // Reads before and after take nothing from the effect's time, at either level.
  const Duration reads = 2 * ReadRequest{}.timeout;
  policy.report_slack = serving ? 2 * reads : reads;
  return make_target(spec.name, spec.kind, std::move(store).value(), std::move(serving),
                     spec.serving ? "http" : "", policy);
}

}  // namespace trued
