#include "target/git/http_exchange.h"

#include <utility>
#include <vector>

#include "io/http_client.h"
#include "io/http_url.h"

namespace trued::git {
namespace {

constexpr Duration kConnectTimeout{5'000};

std::string header_of(const io::HttpResponse& response, std::string_view name) {
  const std::string* value = response.find(name);
  return value == nullptr ? std::string() : *value;
}

class ClientExchange final : public HttpExchange {
 public:
  ClientExchange(std::string authorization, std::uint64_t answer_bytes_max)
      : authorization_(std::move(authorization)),
        secrets_(io::credentials_in(authorization_)),
        client_(options_of(answer_bytes_max)) {}

  Result<HttpAnswer> call(const HttpQuestion& question) override {
    io::ClientRequest request;
    request.method = question.post ? "POST" : "GET";
    request.url = question.url;
    request.headers.push_back({"Accept", question.accept});
    if (question.post) request.headers.push_back({"Content-Type", question.content_type});
    if (!authorization_.empty()) request.headers.push_back({"Authorization", authorization_});
    request.body = question.body;
    request.total_timeout = question.timeout;
    TRUED_TRY(io::HttpResponse response, client_.call(request));
    // What is not as it should be is told to people, and some servers repeat what they were sent.
    if (response.status != 200) mask(response.body);
    return HttpAnswer{.status = static_cast<unsigned>(response.status),
                      .content_type = header_of(response, "Content-Type"),
                      .location = io::shown_location(header_of(response, "Location")),
                      .body = std::move(response.body)};
  }

 private:
  static io::ClientOptions options_of(std::uint64_t answer_bytes_max) {
    io::ClientOptions options;
    options.connect_timeout = kConnectTimeout;
    options.response_bytes_max = answer_bytes_max;
    // Some servers give smart HTTP only to what calls itself git.
    options.user_agent = "git/2.39 (trued)";
    return options;
  }

  void mask(std::string& text) const {
    for (const std::string& secret : secrets_) {
      for (std::size_t at = text.find(secret); at != std::string::npos;
           at = text.find(secret, at)) {
        text.replace(at, secret.size(), "***");
        at += 3;
      }
    }
  }

  const std::string authorization_;
  const std::vector<std::string> secrets_;
  io::HttpClient client_;
};

}  // namespace

std::unique_ptr<HttpExchange> make_http_exchange(std::string authorization,
                                                 std::uint64_t answer_bytes_max) {
  return std::make_unique<ClientExchange>(std::move(authorization), answer_bytes_max);
}

}  // namespace trued::git
