// forwarder.h: requests that a node which stands by hands on to the one that acts.
//
//   held ──somebody acts──► on its way ──answer──► answered
//    ▲                         │
//    └──nothing was sent, or it may be sent again──┘   held too long, or not to be repeated:
//    refused
//
// What reads, and what carries a key by which the ledger tells a repetition, is sent again when the
// node that had it was lost. Anything else is answered with what is known: it may have happened.
//
// Threads: forward() and stop() any, the rest the loop's.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>

#include "api/later.h"
#include "api/problems.h"
#include "base/clock.h"
#include "io/http_server.h"
#include "io/relay.h"

namespace trued::api {

/// The node that acts on the ledger, as far as this one knows.
struct Acting {
  std::string node;
  std::string url;  ///< "http://host:port"
  std::uint64_t epoch = 0;
};

struct ForwarderOptions {
  std::string node;  ///< ours
  /// How long a request waits for somebody to act before it is refused.
  Duration patience{30'000};
};

/// The header that tells a forwarded request, and which node handed it on: it goes no further.
inline constexpr const char* kForwardedHeader = "Trued-Forwarded";

class Forwarder : public std::enable_shared_from_this<Forwarder> {
 public:
  /// Nothing: nobody acts whom a request could be sent to.
  using ActingNow = std::function<std::optional<Acting>()>;
  using Handler = std::function<void(io::HttpRequest&&, io::Responder)>;
  using Refuse = std::move_only_function<void(const Problem&, io::Responder)>;

  Forwarder(io::Loop& loop, Clock& clock, ForwarderOptions options, ActingNow acting);

  /// `refuse` answers where nobody else can.
  void forward(io::HttpRequest&& request, io::Responder responder, Refuse refuse);
  /// This node acts: what is held, and whatever comes, is `own`'s.
  void hand_over(Handler own);
  /// Whom a request would be sent to now.
  [[nodiscard]] std::optional<Acting> acting() const { return acting_(); }
  /// Answers whoever is still held, or waits for another node. Once, before the loop ends; not on
  /// its thread.
  void stop();

 private:
  using Mono = std::chrono::nanoseconds;
  struct Errand {
    std::shared_ptr<const io::HttpRequest> request;
    std::optional<io::Responder> responder;  ///< while it is held
    Refuse refuse;
    std::shared_ptr<const std::atomic<bool>> gone;  ///< the client
    Mono until{};
    Mono not_before{};
    std::uint64_t epoch = 0;  ///< of the node that has, or had it
    std::shared_ptr<io::Relay::Passage> passage;
    bool maybe_done = false;
    std::string why;
  };
  using ErrandPtr = std::shared_ptr<Errand>;

  void take(io::HttpRequest&& request, io::Responder responder, Refuse refuse);
  void send(const ErrandPtr& errand);
  void came_back(const ErrandPtr& errand, const io::RelayFailure& failure, io::Responder responder);
  void give_up(Errand& errand);
  void tick();
  void tick_soon();
  /// True if it is over and can be forgotten.
  bool look_after(const ErrandPtr& errand, const std::optional<Acting>& now);

  io::Loop& loop_;
  Clock& clock_;
  const ForwarderOptions options_;
  const ActingNow acting_;
  io::Relay relay_;
  Later later_;
  Handler own_;
  std::list<ErrandPtr> errands_;
  bool ticking_ = false;
};

}  // namespace trued::api
