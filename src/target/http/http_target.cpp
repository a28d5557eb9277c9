#include "target/http/http_target.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/clock.h"
#include "base/encoding.h"
#include "io/http_client.h"
#include "io/http_date.h"
#include "io/http_url.h"
#include "json/canonical.h"
#include "json/parse.h"
#include "json/writer.h"
#include "target/faults.h"
#include "target/outcome.h"

namespace trued {
namespace {

constexpr std::size_t kResultBytesMax = std::size_t{64} << 10U;
constexpr std::size_t kTextBytesMax = std::size_t{8} << 10U;  // escaped it may be six times as long
constexpr std::size_t kExcerptBytesMax = 300;
constexpr Duration kRetryAfterMax{3'600'000};

std::string header_of(const io::HttpResponse& response, std::string_view name) {
  const std::string* value = response.find(name);
  return value == nullptr ? std::string() : *value;
}

// Whose clock a date in the answer was read from.
WallTime time_there(const io::HttpResponse& response) {
  const WallTime now = SystemClock().wall();
  return io::parse_http_date(header_of(response, "Date"), now).value_or(now);
}

Duration retry_after_of(const io::HttpResponse& response) {
  const std::string* text = response.find("Retry-After");
  if (text == nullptr) return Duration{0};
  return io::parse_retry_after(*text, time_there(response), kRetryAfterMax).value_or(Duration{0});
}

// The answer as JSON text of at most 64 KiB.
std::string result_of(int status, const std::string& body, bool whole, const Secrets& secrets) {
  if (whole && body.size() <= kResultBytesMax) {
    const auto parsed = json::parse(secrets.masked(body));
    if (parsed.has_value()) {
      std::string text = json::canonical(*parsed);
      if (text.size() <= kResultBytesMax) return text;
    }
  }
  std::string text;
  json::Writer writer(text);
  writer.begin_object()
      .member("status", status)
      .member("text", secrets.masked(body, kTextBytesMax));
  if (!whole || body.size() > kTextBytesMax) writer.member("truncated", true);
  writer.end_object();
  TRUED_ASSERT(text.size() <= kResultBytesMax);
  return text;
}

// The beginning of an answer's body, in one line, for a reason.
std::string excerpt_of(const std::string& body, const Secrets& secrets) {
  std::string text = utf8_repaired(secrets.masked(body, kExcerptBytesMax));
  std::ranges::replace_if(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' ');
  return text.empty() ? "" : ": " + text + (body.size() > kExcerptBytesMax ? " …" : "");
}

// Without its query, which may hold anything.
std::string shown(const HttpCall& call) {
  return call.method + " " + call.url.substr(0, call.url.find('?'));
}

EffectResult judge_error(const Error& error) {
  if (error.happened != Happened::no) return effect_ended(EffectKind::unknown, error.message);
  // Neither a malformed request nor a place that is off limits changes by waiting.
  const bool for_good =
      error.code == ErrorCode::invalid_argument || error.code == ErrorCode::permission_denied;
  return effect_ended(for_good ? EffectKind::rejected_final : EffectKind::not_sent, error.message);
}

Secrets secrets_of(const HttpSpec& spec) {
  Secrets secrets;
  for (const HttpHeader& header : spec.headers) {
    // What is one only by its name may as well be a switch or a number.
    const bool likely = header.value.size() >= Secrets::kPartMin && names_a_secret(header.name);
    if (!header.secret && !likely) continue;
    secrets.add(header.value, ' ');
    for (const std::string& value : io::credentials_in(header.value)) secrets.add(value, ' ');
  }
  if (const auto proxy = io::parse_proxy(spec.proxy); proxy.has_value()) {
    for (const std::string& value : io::credentials_in(proxy->authorization)) {
      secrets.add(value, ' ');
    }
  }
  return secrets;
}

io::Redirects redirects_of(HttpRedirects redirects) {
  switch (redirects) {
    case HttpRedirects::none:
      return io::Redirects::none;
    case HttpRedirects::reads:
      return io::Redirects::reads;
    case HttpRedirects::effects:
      return io::Redirects::effects;
  }
  return io::Redirects::none;
}

// REQUIRES: nothing is wrong with the specification.
io::ClientOptions options_of(const HttpSpec& spec) {
  io::ClientOptions options;
  options.connect_timeout = spec.connect_timeout;
  options.send_timeout = spec.send_timeout;
  options.first_byte_timeout = spec.first_byte_timeout;
  options.total_timeout = spec.total_timeout;
  options.response_bytes_max = spec.response_bytes_max;
  options.unpack = true;
  options.redirects = redirects_of(spec.redirects);
  options.addresses.guarded = true;
  options.addresses.allow_inside = spec.allow_private;
  for (const std::string& text : spec.allowed_networks) {
    if (const auto network = parse_network(text)) options.addresses.allowed.push_back(*network);
  }
  if (!spec.proxy.empty()) {
    if (auto proxy = io::parse_proxy(spec.proxy); proxy.has_value()) {
      options.proxy = std::move(proxy).value();
    }
  }
  options.no_proxy = spec.no_proxy;
  options.ca_file = spec.ca_file;
  return options;
}

}  // namespace

Result<std::shared_ptr<CallTarget>> HttpTarget::open(const HttpSpec& spec) {
  const std::string wrong = in_one_line(wrong_with(spec));
  if (!wrong.empty()) return Error{.code = ErrorCode::invalid_argument, .message = wrong};
  TRUED_TRY(io::Url base, io::parse_url(spec.base_url));
  std::shared_ptr<HttpTarget> target(new HttpTarget(spec, std::move(base), options_of(spec)));
  TRUED_TRY_VOID(target->client_->usable());
  return std::shared_ptr<CallTarget>(std::move(target));
}

HttpTarget::HttpTarget(HttpSpec spec, io::Url base, io::ClientOptions options)
    : spec_(std::move(spec)),
      base_(std::move(base)),
      secrets_(secrets_of(spec_)),
      client_(std::make_unique<io::HttpClient>(std::move(options))) {
  TRUED_ASSERT(base_.origin.port_number() != 0);
}

HttpTarget::~HttpTarget() = default;

Capabilities HttpTarget::capabilities() const {
  return {
      .idempotent = false, .deduplicates = spec_.deduplicates, .history = false, .probes = false};
}

io::ClientRequest HttpTarget::request_of(HttpCall& call, const CallContext& context,
                                         bool effect) const {
  io::ClientRequest request;
  request.method = call.method;
  request.url = call.url;
  request.body = std::move(call.body);
  request.headers = std::move(call.headers);
  for (const HttpHeader& header : spec_.headers) {
    // What a call gives stands instead of the target's.
    if (io::find_header(request.headers, header.name) != nullptr) continue;
    request.headers.push_back({header.name, header.value});
  }
  const bool keyed = call.idempotency_header.has_value() && !context.identity.empty();
  if (effect && keyed) {
    std::erase_if(request.headers, [&](const io::Header& header) {
      return io::find_header({header}, *call.idempotency_header) != nullptr;
    });
    request.headers.push_back({*call.idempotency_header, context.identity});
  }
  if (!context.traceparent.empty()) request.headers.push_back({"traceparent", context.traceparent});
  request.total_timeout = std::min(context.timeout, spec_.total_timeout);
  TRUED_ASSERT(request.total_timeout <= context.timeout);
  if (effect)
    request.fresh_connection = spec_.fresh_connections.value_or(!spec_.deduplicates || !keyed);
  return request;
}

EffectResult HttpTarget::perform(const Call& call) {
  ReadCall wanted = read_http_call(call.request, CallUse::effect, CallForm::filled_in, base_);
  if (!wanted.faults.empty()) {
    return effect_ended(EffectKind::rejected_final,
                        secrets_.masked("nothing was sent: " + in_one_line(wanted.faults)));
  }
  const std::string where = shown(wanted.call);
  if (call.context.timeout <= Duration{0}) {
    return effect_ended(EffectKind::not_sent, "no time was left for " + where);
  }
  const auto answer = client_->ask(request_of(wanted.call, call.context, true));
  if (answer.has_value()) return judge_answer(wanted.call, answer.value(), where);
  EffectResult result = judge_error(answer.error());
  result.ended.reason = secrets_.masked(where + ": " + result.ended.reason);
  return result;
}

EffectResult HttpTarget::judge_answer(const HttpCall& call, const io::ClientAnswer& answer,
                                      const std::string& where) const {
  const io::HttpResponse& response = answer.response;
  const HttpSaid said{
      .status = response.status,
      .has_retry_after = response.find("Retry-After") != nullptr,
      .key_deduplicated = spec_.deduplicates && call.idempotency_header.has_value()};
  const bool cut_off = answer.body == io::BodyState::broken || answer.body == io::BodyState::late;
  const EffectKind kind = cut_off ? EffectKind::unknown : classify(said, call.answers);
  if (kind == EffectKind::acknowledged) {
    // A replay (Stripe's header, and that of the drafts) is an older answer: no work was done.
    const bool replayed = header_of(response, "Idempotent-Replayed") == "true" ||
                          header_of(response, "Idempotency-Replayed") == "true";
    EffectResult result = effect_acknowledged(!replayed, header_of(response, "ETag"));
    result.ended.result =
        result_of(response.status, response.body, answer.body == io::BodyState::whole, secrets_);
    return result;
  }
  std::string reason = where + " answered " + std::to_string(response.status);
  if (cut_off) {
    reason += ", and the answer broke off: " + answer.body_detail;
  } else if (const std::string_view why = explain(said, kind); !why.empty()) {
    reason += " (" + std::string(why) + ")";
  }
  if (answer.body != io::BodyState::undecodable) reason += excerpt_of(response.body, secrets_);
  EffectResult result = effect_ended(kind, secrets_.masked(std::move(reason)));
  result.retry_after = retry_after_of(response);
  result.throttled = is_throttled(said, kind);
  return result;
}

RawRead HttpTarget::read(const Call& call) {
  Stopwatch watch;
  ReadCall wanted = read_http_call(call.request, CallUse::read, CallForm::filled_in, base_);
  if (!wanted.faults.empty()) {
    return read_unreadable(secrets_.masked("nothing was asked: " + in_one_line(wanted.faults)));
  }
  const std::string where = shown(wanted.call);
  if (call.context.timeout <= Duration{0}) {
    return read_unreadable("no time was left for " + where);
  }
  auto asked = client_->ask(request_of(wanted.call, call.context, false));
  RawRead read;
  if (!asked.has_value()) {
    read = read_unreadable(secrets_.masked(where + ": " + asked.error().message));
    read.latency = watch.elapsed();
    return read;
  }
  io::HttpResponse& response = asked->response;
  const int status = response.status;
  const std::vector<int>& absent = wanted.call.absent_on;
  const bool cut_off = asked->body == io::BodyState::broken || asked->body == io::BodyState::late;
  if (!cut_off && std::ranges::find(absent, status) != absent.end()) {
    read = read_absent(header_of(response, "ETag"));
  } else if (status != 200 && status != 203 && status != 204) {
    std::string reason = where + " answered " + std::to_string(status);
    if (const std::string location = header_of(response, "Location"); !location.empty()) {
      reason += " (moved to " + io::shown_location(location) + ")";
    }
    read = read_unreadable(secrets_.masked(reason + excerpt_of(response.body, secrets_)));
  } else if (asked->body != io::BodyState::whole) {
    read =
        read_unreadable(secrets_.masked(where + " answered, but not whole: " + asked->body_detail));
  } else {
    read = read_found(std::move(response.body), header_of(response, "ETag"));
  }
  read.served_by = served_by(response);
  read.latency = watch.elapsed();
  return read;
}

Probed HttpTarget::probe(const CallContext& context) {
  (void)context;
  Probed probed;
  probed.detail = "HTTP keeps nothing of operations by itself; declare a read that tells (probe)";
  return probed;
}

std::vector<CallFault> HttpTarget::check_effect(const json::Value& call) const {
  return read_http_call(call, CallUse::effect, CallForm::as_template, base_).faults;
}

std::vector<CallFault> HttpTarget::check_read(const json::Value& call) const {
  return read_http_call(call, CallUse::read, CallForm::as_template, base_).faults;
}

}  // namespace trued
