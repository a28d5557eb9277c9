// session.h: one conversation with a remote repository: libgit2's smart protocol over our own HTTP.
// Private to this folder.
//
// libgit2's own HTTP has no timeout, resends by itself, and does not tell whether a push had left
// when it failed. Here each request is sent once, within the session's time, and what is known of a
// push is kept: was it refused, had it left, was an answer read.
//
// One thread. Outlives every remote that uses its callbacks.
#pragma once

#include <optional>
#include <string>

#include <git2/sys/transport.h>

#include "target/git/handles.h"
#include "target/git/http_exchange.h"
#include "target/outcome.h"

namespace trued::git {

class Session {
 public:
  Session(HttpExchange& http, Duration timeout) : http_(http), timeout_(timeout) {}
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// For libgit2; they point to this session.
  [[nodiscard]] git_remote_callbacks callbacks();

  /// A push goes on only if the remote says that the branch is at `head`.
  void expect(const std::optional<git_oid>& head) { expected_ = head; }
  /// The remote said otherwise before anything was sent.
  [[nodiscard]] bool raced() const { return raced_; }
  /// The push request was handed to HTTP; what came of it is `failure()` or the report.
  [[nodiscard]] bool pushed() const { return pushed_; }
  /// The remote reported on our branch: refused with this text, or accepted if it is empty.
  [[nodiscard]] const std::optional<std::string>& report() const { return report_; }
  /// What the remote had to say to people (hooks write there), trimmed.
  [[nodiscard]] std::string said() const;
  /// Why a request failed; for anything but a push, nothing happened.
  [[nodiscard]] const std::optional<Error>& failure() const { return failure_; }
  /// The error to report for a libgit2 code: the request's own, or libgit2's.
  [[nodiscard]] Error error(int code, const std::string& doing) const;

  /// For the transport: one request of the protocol. Keeps the failure and says no on any.
  [[nodiscard]] std::optional<std::string> request(git_smart_service_t service,
                                                   const std::string& url, std::string body);

 private:
  static int on_transport(git_transport** out, git_remote* owner, void* payload);
  static int on_negotiation(const git_push_update** updates, std::size_t count, void* payload);
  static int on_report(const char* reference, const char* status, void* payload);
  static int on_text(const char* text, int length, void* payload);

  HttpExchange& http_;
  Stopwatch watch_;
  const Duration timeout_;
  std::optional<git_oid> expected_;
  bool raced_ = false;
  bool pushed_ = false;
  std::optional<std::string> report_;
  std::string said_;
  std::optional<Error> failure_;
};

}  // namespace trued::git
