#include "io/http_client.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

#include "io/client_connection.h"

namespace trued::io {
namespace {

namespace http = boost::beast::http;
namespace ssl = boost::asio::ssl;

Error bad_request(std::string what) {
  return {.code = ErrorCode::invalid_argument, .message = std::move(what)};
}

struct Url {
  Origin origin;
  std::string authority;  ///< for the Host header
  std::string target;
};

bool has_control(std::string_view text) {
  return std::ranges::any_of(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

Result<Url> parse_url(const std::string& text) {
  std::string_view rest = text;
  Url url;
  if (rest.starts_with("https://")) {
    url.origin.tls = true;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else {
    return bad_request("'" + text + "' is not an http:// or https:// URL");
  }
  const std::size_t slash = std::min(rest.find_first_of("/?#"), rest.size());
  url.authority = rest.substr(0, slash);
  url.target = rest.substr(slash);
  url.target.resize(std::min(url.target.find('#'), url.target.size()));
  if (!url.target.starts_with('/')) url.target.insert(0, "/");
  if (url.authority.find('@') != std::string::npos) {
    return bad_request("credentials do not belong into a URL");
  }
  const std::size_t bracket = url.authority.rfind(']');
  const std::size_t colon = url.authority.rfind(':');
  const bool has_port =
      colon != std::string::npos && (bracket == std::string::npos || colon > bracket);
  url.origin.host = url.authority.substr(0, has_port ? colon : std::string::npos);
  url.origin.port = has_port ? url.authority.substr(colon + 1) : url.origin.tls ? "443" : "80";
  if (url.origin.host.starts_with('[') && url.origin.host.ends_with(']')) {
    url.origin.host = url.origin.host.substr(1, url.origin.host.size() - 2);
  }
  const bool numeric = !url.origin.port.empty() && std::ranges::all_of(url.origin.port, [](char c) {
    return c >= '0' && c <= '9';
  });
  const bool spaced = text.find(' ') != std::string::npos;
  if (url.origin.host.empty() || !numeric || spaced || has_control(text)) {
    return bad_request("the URL is malformed");
  }
  return url;
}

bool is_token(std::string_view text) {
  constexpr std::string_view kOthers = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::ranges::all_of(text, [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           kOthers.find(c) != std::string_view::npos;
  });
}

}  // namespace

class HttpClient::Impl {
 public:
  explicit Impl(ClientOptions options)
      : options_(std::move(options)), tls_(ssl::context::tls_client) {
    boost::system::error_code ignored;
    tls_.set_default_verify_paths(ignored);
    tls_.set_options(ssl::context::default_workarounds | ssl::context::no_tlsv1 |
                     ssl::context::no_tlsv1_1);
    tls_.set_verify_mode(options_.verify_tls ? ssl::verify_peer : ssl::verify_none);
  }

  Result<HttpResponse> call(const ClientRequest& request);

 private:
  using ConnectionPtr = std::unique_ptr<ClientConnection>;

  Result<ClientConnection::Message> message_of(const ClientRequest& request, const Url& url) const;
  ConnectionPtr take_pooled(const std::string& key);
  void give_back(const std::string& key, ConnectionPtr connection);

  const ClientOptions options_;
  ssl::context tls_;
  std::mutex mutex_;
  std::map<std::string, std::vector<ConnectionPtr>> pool_;  ///< guarded by mutex_
};

Result<ClientConnection::Message> HttpClient::Impl::message_of(const ClientRequest& request,
                                                               const Url& url) const {
  if (!is_token(request.method)) return bad_request("the method is malformed");
  ClientConnection::Message message;
  message.version(11);
  message.method_string(request.method);
  message.target(url.target);
  message.set(http::field::host, url.authority);
  message.set(http::field::user_agent, options_.user_agent);
  for (const Header& header : request.headers) {
    if (!is_token(header.name) || has_control(header.value)) {
      return bad_request("the header '" + header.name + "' is malformed");
    }
    // What a caller gives stands instead of what we would have sent; otherwise repeats are kept.
    const bool ours = boost::beast::iequals(header.name, "host") ||
                      boost::beast::iequals(header.name, "user-agent");
    ours ? message.set(header.name, header.value) : message.insert(header.name, header.value);
  }
  message.body() = request.body;
  const bool sends_body = !request.body.empty() || request.method == "POST" ||
                          request.method == "PUT" || request.method == "PATCH";
  if (sends_body) message.prepare_payload();
  return message;
}

HttpClient::Impl::ConnectionPtr HttpClient::Impl::take_pooled(const std::string& key) {
  while (true) {
    ConnectionPtr connection;
    {
      const std::scoped_lock lock(mutex_);
      auto& idle = pool_[key];
      if (idle.empty()) return nullptr;
      connection = std::move(idle.back());
      idle.pop_back();
    }
    if (connection->looks_alive()) return connection;
  }
}

void HttpClient::Impl::give_back(const std::string& key, ConnectionPtr connection) {
  const std::scoped_lock lock(mutex_);
  auto& idle = pool_[key];
  if (idle.size() < options_.pooled_per_origin_max) idle.push_back(std::move(connection));
}

Result<HttpResponse> HttpClient::Impl::call(const ClientRequest& request) {
  TRUED_TRY(const Url url, parse_url(request.url));
  TRUED_TRY(ClientConnection::Message message, message_of(request, url));
  const std::string key = url.origin.key();
  const Duration timeout = request.total_timeout.value_or(options_.total_timeout);
  // A connection that the server is about to close would make the fate of a write unknown, so only
  // requests that are harmless to repeat go out on a used one.
  const bool harmless = request.method == "GET" || request.method == "HEAD";
  ConnectionPtr connection = harmless ? take_pooled(key) : nullptr;
  const bool reused = connection != nullptr;
  if (!reused) {
    TRUED_TRY(connection, ClientConnection::open(url.origin, tls_, options_.connect_timeout));
  }
  Exchange exchange = connection->exchange(message, timeout, options_.response_bytes_max);
  const bool stale = reused && !exchange.result.has_value() && !exchange.answered_partly &&
                     exchange.result.error().code != ErrorCode::timeout;
  if (stale) {
    TRUED_TRY(connection, ClientConnection::open(url.origin, tls_, options_.connect_timeout));
    exchange = connection->exchange(message, timeout, options_.response_bytes_max);
  }
  if (exchange.reusable) give_back(key, std::move(connection));
  return std::move(exchange.result);
}

HttpClient::HttpClient(ClientOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
HttpClient::~HttpClient() = default;

Result<HttpResponse> HttpClient::call(const ClientRequest& request) { return impl_->call(request); }

}  // namespace trued::io
