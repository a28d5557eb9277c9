// http_target.h: effects and reads as HTTP requests.
//
// A call is an object; http_call.h has its members and rules, http_answers.h what a status says.
//
//   * An effect is sent at most once, never by way of a redirection to another origin. It carries
//     the operation's identity, bare as servers in use take it, in `Idempotency-Key` or the header
//     that the call names, and `traceparent`.
//   * Whatever breaks before a byte that could be acted on was sent is `not_sent`; what a repeat
//     cannot mend (a malformed call, an address that is refused) is `rejected_final`.
//   * An answer that broke off is `unknown`, whatever its status said: its sender did not finish.
//     One that is whole and cannot be used (too large, not JSON) counts by its status.
//   * `result` is the body where that is JSON of at most 64 KiB, else
//     {"status": 200, "text": "…", "truncated": true}. `version` is the ETag.
//   * A read finds 200, 203 and 204; `absent_on` (404 and 410) is absent; all else is unreadable.
//   * Values of secret headers are masked in reasons and results.
//
// Only addresses of the public Internet are connected to, unless the target allows others; what is
// looked at is the address that is connected to, after every look-up and redirection.
//
// Any thread, several at once. probe() is always `maybe`: HTTP keeps nothing of an operation.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "io/http_url.h"
#include "target/call.h"
#include "target/http/http_call.h"
#include "target/secrets.h"
#include "target/spec.h"

namespace trued {

namespace io {
class HttpClient;
struct ClientAnswer;
struct ClientOptions;
struct ClientRequest;
}  // namespace io

class HttpTarget final : public CallTarget {
 public:
  /// invalid_argument with everything that is wrong_with() it, or a CA file that cannot be read.
  /// The server is not contacted.
  [[nodiscard]] static Result<std::shared_ptr<CallTarget>> open(const HttpSpec& spec);
  ~HttpTarget() override;

  [[nodiscard]] Capabilities capabilities() const override;
  [[nodiscard]] EffectResult perform(const Call& call) override;
  [[nodiscard]] RawRead read(const Call& call) override;
  [[nodiscard]] Probed probe(const CallContext& context) override;
  [[nodiscard]] std::vector<CallFault> check_effect(const json::Value& call) const override;
  [[nodiscard]] std::vector<CallFault> check_read(const json::Value& call) const override;

 private:
  HttpTarget(HttpSpec spec, io::Url base, io::ClientOptions options);
  [[nodiscard]] io::ClientRequest request_of(HttpCall& call, const CallContext& context,
                                             bool effect) const;
  [[nodiscard]] EffectResult judge_answer(const HttpCall& call, const io::ClientAnswer& answer,
                                          const std::string& where) const;

  const HttpSpec spec_;
  const io::Url base_;
  const Secrets secrets_;
  std::unique_ptr<io::HttpClient> client_;
};

/// What cannot work, without contacting anybody.
[[nodiscard]] std::vector<SpecFault> wrong_with(const HttpSpec& spec);

}  // namespace trued
