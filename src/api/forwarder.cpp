#include "api/forwarder.h"

#include <future>
#include <utility>

#include "api/text.h"
#include "base/assert.h"

namespace trued::api {
namespace {

constexpr std::chrono::milliseconds kTick{50};
/// Between two tries at one node.
constexpr std::chrono::milliseconds kAgain{100};

// A node that stops, or acts no more, has done nothing of what it turns away.
bool turns_away(const io::HttpResponse& response) {
  constexpr int kUnavailable = 503;
  if (response.status != kUnavailable) return false;
  return response.body.find("\"urn:trued:problem:draining\"") != std::string::npos ||
         response.body.find("\"urn:trued:problem:not-acting\"") != std::string::npos;
}

// Reads; submissions, whose key is asked for; and what workers say, which counts once.
bool may_be_sent_again(const io::HttpRequest& request) {
  if (request.method != "POST") return true;
  return request.path == "/v1/operations" || request.path == "/v1/operations/batch" ||
         request.path == "/v1/leases" || request.path.starts_with("/v1/leases/");
}

Problem nobody_acts(const std::string& why) {
  return {.name = "no-acting-node",
          .detail = "no node acts on the ledger that this one could hand the request to" +
                    (why.empty() ? std::string() : " (" + why + ")") +
                    "; nothing was done. Send it again in a moment",
          .retry_after = Duration{1'000}};
}

Problem may_have_happened(const std::string& why, bool again) {
  return {.name = "outcome-unknown",
          .detail = "the node that acts was lost while it had the request (" + why +
                    "), so it may have been carried out. " +
                    (again ? "Send it again under the same key: nothing happens twice"
                           : "Read what it was about before you send it again"),
          .retry_after = Duration{1'000}};
}

}  // namespace

Forwarder::Forwarder(io::Loop& loop, Clock& clock, ForwarderOptions options, ActingNow acting)
    : loop_(loop),
      clock_(clock),
      options_(std::move(options)),
      acting_(std::move(acting)),
      relay_(loop, {}),
      later_(clock) {
  TRUED_ASSERT(acting_ != nullptr);
}

void Forwarder::forward(io::HttpRequest&& request, io::Responder responder, Refuse refuse) {
  loop_.post([self = shared_from_this(), request = std::move(request),
              responder = std::move(responder), refuse = std::move(refuse)]() mutable {
    self->take(std::move(request), std::move(responder), std::move(refuse));
  });
}

void Forwarder::take(io::HttpRequest&& request, io::Responder responder, Refuse refuse) {
  TRUED_ASSERT(refuse != nullptr);
  if (own_) return own_(std::move(request), std::move(responder));
  auto errand = std::make_shared<Errand>();
  errand->gone = responder.watch();
  request.headers.push_back({kForwardedHeader, options_.node});
  errand->request = std::make_shared<const io::HttpRequest>(std::move(request));
  errand->responder = std::move(responder);
  errand->refuse = std::move(refuse);
  errand->until = clock_.monotonic() + options_.patience;
  errands_.push_back(errand);
  if (acting_()) send(errand);
  tick_soon();
}

void Forwarder::send(const ErrandPtr& errand) {
  TRUED_ASSERT(errand->responder.has_value() && !errand->passage);  // at one node at a time
  const auto now = acting_();
  if (!now) return;
  const auto upstream = io::Upstream::parse(now->url);
  if (!upstream) {
    errand->why = "the address of '" + now->node + "' is not known";
    return;
  }
  errand->epoch = now->epoch;
  io::Responder responder = std::move(*errand->responder);
  errand->responder.reset();
  errand->passage = relay_.pass(*upstream, errand->request, std::move(responder), &turns_away,
                                [weak = weak_from_this(), waits = std::weak_ptr(errand)](
                                    const io::RelayFailure& failure, io::Responder back) {
                                  const auto self = weak.lock();
                                  const auto errand = waits.lock();
                                  if (self && errand)
                                    self->came_back(errand, failure, std::move(back));
                                });
}

void Forwarder::came_back(const ErrandPtr& errand, const io::RelayFailure& failure,
                          io::Responder responder) {
  TRUED_ASSERT(errand->passage != nullptr && !errand->responder);
  errand->passage.reset();
  errand->responder = std::move(responder);
  errand->why = failure.why;
  errand->maybe_done = errand->maybe_done || failure.sent;
  errand->not_before = clock_.monotonic() + kAgain;
  if (failure.sent && !may_be_sent_again(*errand->request)) give_up(*errand);
}

void Forwarder::give_up(Errand& errand) {
  TRUED_ASSERT(errand.responder.has_value() && !errand.passage);
  io::Responder responder = std::move(*errand.responder);
  errand.responder.reset();
  const bool again = may_be_sent_again(*errand.request);
  errand.refuse(errand.maybe_done ? may_have_happened(errand.why, again) : nobody_acts(errand.why),
                std::move(responder));
}

bool Forwarder::look_after(const ErrandPtr& errand, const std::optional<Acting>& now) {
  if (errand->passage) {
    if (io::Relay::is_over(errand->passage)) return true;
    // A node that was overtaken may never answer; one whose client has gone need not.
    const bool overtaken = now && now->epoch > errand->epoch;
    if (overtaken || errand->gone->load()) io::Relay::abandon(errand->passage);
  }
  if (errand->passage) return false;
  if (!errand->responder) return true;
  if (errand->gone->load()) return true;
  const Mono moment = clock_.monotonic();
  if (own_) {
    io::HttpRequest request = *errand->request;
    TRUED_ASSERT(request.headers.back().name == kForwardedHeader);
    request.headers.pop_back();
    io::Responder responder = std::move(*errand->responder);
    errand->responder.reset();
    own_(std::move(request), std::move(responder));
    return true;
  }
  if (moment >= errand->until) {
    give_up(*errand);
    return true;
  }
  if (now && moment >= errand->not_before) send(errand);
  return false;
}

void Forwarder::tick() {
  ticking_ = false;
  const std::optional<Acting> now = own_ ? std::nullopt : acting_();
  std::erase_if(errands_, [&](const ErrandPtr& errand) { return look_after(errand, now); });
  if (!errands_.empty()) tick_soon();
}

void Forwarder::tick_soon() {
  if (std::exchange(ticking_, true)) return;
  later_.at(clock_.monotonic() + kTick, [this, weak = weak_from_this()] {
    loop_.post([weak] {
      if (const auto self = weak.lock()) self->tick();
    });
  });
}

void Forwarder::stop() {
  later_.stop();
  std::promise<void> done;
  loop_.post([this, &done] {
    for (const ErrandPtr& errand : errands_) {
      if (errand->passage) io::Relay::abandon(errand->passage);
      if (errand->responder) give_up(*errand);
    }
    errands_.clear();
    done.set_value();
  });
  done.get_future().wait();
}

void Forwarder::hand_over(Handler own) {
  TRUED_ASSERT(own != nullptr);
  own_ = std::move(own);
  // Whoever still has them is not the one that acts.
  for (const ErrandPtr& errand : errands_) {
    if (errand->passage) io::Relay::abandon(errand->passage);
  }
  tick();
}

}  // namespace trued::api
