#include "io/http_client.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include <boost/asio/ssl/context.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/field.hpp>
#include <openssl/ssl.h>

#include "base/assert.h"
#include "io/client_connection.h"
#include "io/client_pool.h"
#include "io/inflate.h"

namespace trued::io {
namespace {

namespace http = boost::beast::http;
namespace ssl = boost::asio::ssl;
using boost::beast::iequals;
using std::chrono::steady_clock;

Error bad_request(std::string what) {
  return {.code = ErrorCode::invalid_argument, .message = std::move(what)};
}

bool is_read(const std::string& method) { return method == "GET" || method == "HEAD"; }

// What every server may see. Everything else may be a secret of the origin that it was meant for.
bool may_leave_origin(const std::string& name) {
  constexpr std::array kPublic = {
      "accept",          "accept-encoding", "accept-language", "cache-control", "content-type",
      "idempotency-key", "if-none-match",   "range",           "traceparent",   "user-agent"};
  return std::ranges::any_of(kPublic, [&](const char* each) { return iequals(name, each); });
}

bool is_redirect(int status) {
  constexpr std::array kStatuses = {301, 302, 303, 307, 308};
  return std::ranges::find(kStatuses, status) != kStatuses.end();
}

// "timeout=5, max=100": how long the other side keeps a connection, less a second for the way.
Duration kept_alive(const HttpResponse& response, Duration otherwise) {
  const std::string* text = response.find("Keep-Alive");
  const std::size_t at = text == nullptr ? std::string::npos : text->find("timeout=");
  if (at == std::string::npos) return otherwise;
  constexpr std::string_view kName = "timeout=";
  std::int64_t seconds = 0;
  const char* end = text->data() + text->size();
  const auto [stop, failure] = std::from_chars(text->data() + at + kName.size(), end, seconds);
  constexpr std::int64_t kSecondsMax = 3'600;
  if (failure != std::errc{} || seconds < 0) return otherwise;
  return Duration{(std::min(seconds, kSecondsMax) - 1) * 1'000};
}

void unpack(ClientAnswer& answer, std::size_t bytes_max) {
  HttpResponse& response = answer.response;
  const std::string* found = response.find("Content-Encoding");
  if (found == nullptr || response.body.empty() || answer.body != BodyState::whole) return;
  const std::string coding = *found;
  if (iequals(coding, "identity")) return;
  auto unpacked = inflate_content(coding, response.body, bytes_max);
  if (!unpacked.has_value()) {
    const bool too_large = unpacked.error().code == ErrorCode::too_large;
    answer.body = too_large ? BodyState::too_large : BodyState::undecodable;
    answer.body_detail = unpacked.error().message;
    if (too_large) response.body.clear();
    return;
  }
  response.body = std::move(unpacked).value();
  std::erase_if(response.headers, [](const Header& header) {
    return iequals(header.name, "content-encoding") || iequals(header.name, "content-length");
  });
}

}  // namespace

std::string refused(const AddressRules& rules, const IpAddress& address) {
  if (!rules.guarded) return "";
  const IpAddress plain = unmapped(address);
  for (const Network& network : rules.allowed) {
    if (contains(network, plain)) return "";
  }
  const AddressUse use = use_of(plain);
  if (use.reach == Reach::open || (use.reach == Reach::inside && rules.allow_inside)) return "";
  return "its address " + to_string(plain) + " is refused: it is " + std::string(use.name);
}

class HttpClient::Impl {
 public:
  explicit Impl(ClientOptions options);

  [[nodiscard]] Result<void> usable() const {
    return tls_failure_ ? *tls_failure_ : Result<void>{};
  }
  Result<ClientAnswer> ask(const ClientRequest& request);

 private:
  using ConnectionPtr = ClientPool::ConnectionPtr;

  Result<ClientConnection::Message> message_of(const ClientRequest& request, const Url& url,
                                               const Proxy* proxy) const;
  Result<ClientAnswer> ask_once(const ClientRequest& request, const Url& url, Deadline by);
  std::optional<Url> next_hop(const ClientRequest& request, const Url& url,
                              const ClientAnswer& answer) const;
  const Proxy* proxy_for(const Origin& origin) const;

  const ClientOptions options_;
  Resolver resolver_;
  ssl::context tls_;
  std::optional<Error> tls_failure_;
  ClientPool pool_;
};

HttpClient::Impl::Impl(ClientOptions options)
    : options_(std::move(options)),
      resolver_(options_.resolver ? options_.resolver : resolve),
      tls_(ssl::context::tls_client),
      pool_(options_.pooled_per_origin_max, options_.idle_timeout) {
  boost::system::error_code failure;
  if (options_.ca_file.empty()) {
    tls_.set_default_verify_paths(failure);
  } else {
    tls_.load_verify_file(options_.ca_file, failure);
    if (failure) {
      tls_failure_ = Error{.code = ErrorCode::not_found,
                           .message = "the CA file '" + options_.ca_file +
                                      "' cannot be used: " + failure.message() +
                                      "; a PEM file with certificates was expected"};
    }
  }
  tls_.set_options(ssl::context::default_workarounds | ssl::context::no_tlsv1 |
                   ssl::context::no_tlsv1_1 | SSL_OP_NO_RENEGOTIATION);
  tls_.set_verify_mode(options_.verify_tls ? ssl::verify_peer : ssl::verify_none);
}

const Proxy* HttpClient::Impl::proxy_for(const Origin& origin) const {
  if (!options_.proxy || bypasses_proxy(origin.host, options_.no_proxy)) return nullptr;
  return &*options_.proxy;
}

Result<ClientConnection::Message> HttpClient::Impl::message_of(const ClientRequest& request,
                                                               const Url& url,
                                                               const Proxy* proxy) const {
  if (!is_token(request.method)) return bad_request("the method is malformed");
  ClientConnection::Message message;
  message.version(11);
  message.method_string(request.method);
  const bool forwarded = proxy != nullptr && !url.origin.tls;
  message.target(forwarded ? url.text() : url.target);
  message.set(http::field::host, url.authority);
  message.set(http::field::user_agent, options_.user_agent);
  if (options_.unpack) message.set(http::field::accept_encoding, "gzip, deflate");
  if (forwarded && !proxy->authorization.empty()) {
    message.set(http::field::proxy_authorization, proxy->authorization);
  }
  for (const Header& header : request.headers) {
    if (!is_token(header.name) || !is_field_value(header.value)) {
      return bad_request("the header '" + header.name + "' is malformed");
    }
    // What a caller gives stands instead of what we would have sent; otherwise repeats are kept.
    const bool ours = iequals(header.name, "host") || iequals(header.name, "user-agent") ||
                      iequals(header.name, "accept-encoding");
    ours ? message.set(header.name, header.value) : message.insert(header.name, header.value);
  }
  message.body() = request.body;
  const bool sends_body = !request.body.empty() || request.method == "POST" ||
                          request.method == "PUT" || request.method == "PATCH";
  if (sends_body) message.prepare_payload();
  return message;
}

Result<ClientAnswer> HttpClient::Impl::ask_once(const ClientRequest& request, const Url& url,
                                                Deadline by) {
  if (url.origin.tls && tls_failure_) return *tls_failure_;
  const Proxy* proxy = proxy_for(url.origin);
  // Through a proxy, what the URL itself names is all that can be looked at.
  const auto literal = parse_ip(url.origin.host);
  const std::string wrong = literal ? refused(options_.addresses, *literal) : "";
  if (!wrong.empty()) {
    return Error{.code = ErrorCode::permission_denied,
                 .message = "cannot connect to " + url.origin.authority() + ": " + wrong};
  }
  TRUED_TRY(ClientConnection::Message message, message_of(request, url, proxy));
  const Route route{.origin = url.origin,
                    .proxy = proxy,
                    .addresses = &options_.addresses,
                    .resolver = &resolver_,
                    .tls = &tls_,
                    .user_agent = options_.user_agent};
  const auto open = [&] {
    return ClientConnection::open(route,
                                  std::min(by, steady_clock::now() + options_.connect_timeout));
  };
  const ExchangeLimits limits{.send = options_.send_timeout,
                              .first_byte = options_.first_byte_timeout,
                              .total_by = by,
                              .bytes_max = options_.response_bytes_max};
  // A connection that the server is about to close would make the fate of a write unknown, so only
  // requests that are harmless to repeat go out on a used one, unless the caller thinks otherwise.
  const std::string key = url.origin.key();
  ConnectionPtr connection =
      request.fresh_connection.value_or(!is_read(request.method)) ? nullptr : pool_.take(key);
  const bool reused = connection != nullptr;
  if (!reused) {
    TRUED_TRY(connection, open());
  }
  TRUED_ASSERT(connection != nullptr);
  Exchange exchange = connection->exchange(message, limits);
  const bool stale = reused && is_read(request.method) && !exchange.answer &&
                     !exchange.answered_partly && exchange.failure.code != ErrorCode::timeout;
  if (stale) {
    TRUED_TRY(connection, open());
    exchange = connection->exchange(message, limits);
  }
  if (!exchange.answer) return std::move(exchange.failure);
  ClientAnswer answer = *std::move(exchange.answer);
  if (exchange.reusable) {
    pool_.give_back(key, std::move(connection), kept_alive(answer.response, pool_.idle_timeout()));
  }
  if (options_.unpack) unpack(answer, options_.response_bytes_max);
  answer.url = url.text();
  return answer;
}

// Where the answer leads, if it is to be followed.
std::optional<Url> HttpClient::Impl::next_hop(const ClientRequest& request, const Url& url,
                                              const ClientAnswer& answer) const {
  const int status = answer.response.status;
  const std::string* location = answer.response.find("Location");
  if (options_.redirects == Redirects::none || !is_redirect(status) || location == nullptr) {
    return std::nullopt;
  }
  auto next = resolve_url(url, *location);
  if (!next.has_value()) return std::nullopt;
  // Never from a protected connection to an open one.
  if (url.origin.tls && !next->origin.tls) return std::nullopt;
  if (is_read(request.method)) return *next;
  const bool same_request = status == 307 || status == 308;
  if (options_.redirects != Redirects::effects || !same_request || next->origin != url.origin) {
    return std::nullopt;
  }
  return *next;
}

Result<ClientAnswer> HttpClient::Impl::ask(const ClientRequest& request) {
  TRUED_TRY(Url url, parse_url(request.url));
  const Duration total = request.total_timeout.value_or(options_.total_timeout);
  if (total <= Duration{0}) {
    return Error{.code = ErrorCode::timeout, .message = "no time was left to ask in"};
  }
  const Deadline by = steady_clock::now() + total;
  ClientRequest hop = request;
  for (unsigned redirects = 0;; ++redirects) {
    TRUED_TRY(ClientAnswer answer, ask_once(hop, url, by));
    auto next = next_hop(hop, url, answer);
    if (!next) return answer;
    if (redirects == options_.redirects_max) {
      return Error{.code = ErrorCode::unavailable,
                   .message = "more than " + std::to_string(redirects) +
                              " redirections, the last from " + url.origin.authority()};
    }
    // Never in the open what was protected; and nothing that acts leaves its origin.
    TRUED_ASSERT(!url.origin.tls || next->origin.tls);
    TRUED_ASSERT(is_read(hop.method) || next->origin == url.origin);
    if (next->origin != url.origin) {
      std::erase_if(hop.headers, [](const Header& h) { return !may_leave_origin(h.name); });
    }
    url = *std::move(next);
  }
}

HttpClient::HttpClient(ClientOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
HttpClient::~HttpClient() = default;

Result<void> HttpClient::usable() const { return impl_->usable(); }

Result<ClientAnswer> HttpClient::ask(const ClientRequest& request) {
  try {
    return impl_->ask(request);
  } catch (const std::exception& e) {
    // Sending and receiving have a guard of their own: nothing was sent yet, or the answer is lost.
    return Error{.code = ErrorCode::internal,
                 .happened = Happened::maybe,
                 .message = std::string("the call broke: ") + e.what()};
  }
}

Result<HttpResponse> HttpClient::call(const ClientRequest& request) {
  TRUED_TRY(ClientAnswer answer, ask(request));
  if (answer.body == BodyState::whole) return std::move(answer.response);
  const int status = answer.response.status;
  const bool cut = answer.body == BodyState::broken || answer.body == BodyState::late;
  const bool said_yes = status >= 200 && status <= 299 && !cut;
  const ErrorCode code = answer.body == BodyState::too_large ? ErrorCode::too_large
                         : answer.body == BodyState::late    ? ErrorCode::timeout
                         : cut                               ? ErrorCode::unavailable
                                                             : ErrorCode::corrupt;
  return Error{.code = code,
               .happened = said_yes ? Happened::yes : Happened::maybe,
               .retryable = cut,
               .message = "the answer (status " + std::to_string(status) +
                          ") came, but not its whole content: " + answer.body_detail};
}

}  // namespace trued::io
