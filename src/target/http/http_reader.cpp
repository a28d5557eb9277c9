#include "target/http/http_reader.h"

#include <algorithm>
#include <string_view>

#include "base/assert.h"
#include "io/http_client.h"
#include "io/http_url.h"
#include "target/http/http_answers.h"
#include "target/outcome.h"

namespace trued {
namespace {

constexpr Duration kConnectTimeout{5'000};

std::string reason_of(const io::HttpResponse& response, const std::string& url) {
  std::string reason = url + " answered " + std::to_string(response.status);
  if (const std::string* location = response.find("Location")) {
    reason += " (moved to " + io::shown_location(*location) + ")";
  }
  return reason;
}

RawRead to_read(io::HttpResponse response, const std::string& url) {
  constexpr int kOk = 200;
  constexpr int kNotFound = 404;
  constexpr int kGone = 410;
  const std::string* tag = response.find("ETag");
  const std::string version = tag == nullptr ? std::string() : *tag;
  std::string server = served_by(response);
  RawRead read;
  if (response.status == kNotFound || response.status == kGone) {
    read = read_absent(version);
  } else if (response.status != kOk) {
    read = read_unreadable(reason_of(response, url));
  } else if (const std::string* encoding = response.find("Content-Encoding");
             encoding != nullptr && *encoding != "identity") {
    read = read_unreadable(url + " answered in the encoding '" + *encoding +
                           "', which was not asked for");
  } else {
    read = read_found(std::move(response.body), version);
  }
  read.served_by = std::move(server);
  return read;
}

}  // namespace

Result<std::unique_ptr<HttpReader>> HttpReader::open(HttpReaderOptions options) {
  TRUED_TRY(UrlTemplate url, UrlTemplate::parse(options.url));
  for (const auto& [name, value] : options.headers) {
    if (!io::is_token(name) || !io::is_field_value(value)) {
      // The value may be a secret, so it is not repeated.
      return Error{.code = ErrorCode::invalid_argument,
                   .message = "the header '" + name +
                              "' cannot be sent: its name or value holds "
                              "a character that HTTP does not allow"};
    }
  }
  return std::unique_ptr<HttpReader>(new HttpReader(std::move(options), std::move(url)));
}

HttpReader::HttpReader(HttpReaderOptions options, UrlTemplate url)
    : options_(std::move(options)),
      url_(std::move(url)),
      client_(std::make_unique<io::HttpClient>(io::ClientOptions{
          .connect_timeout = kConnectTimeout, .response_bytes_max = options_.read_bytes_max})) {}

HttpReader::~HttpReader() = default;

std::vector<RawRead> HttpReader::read(const ReadRequest& request) {
  Stopwatch watch;
  std::vector<RawRead> reads;
  reads.reserve(request.artifacts.size());
  for (const std::uint32_t index : request.artifacts) {
    reads.push_back(
        read_one(request.intent->artifacts.at(index).name, watch.left_of(request.timeout)));
  }
  TRUED_ASSERT(reads.size() == request.artifacts.size());
  return reads;
}

RawRead HttpReader::read_one(const std::string& path, Duration timeout) {
  Stopwatch watch;
  io::ClientRequest request;
  request.url = url_.expand(path);
  if (timeout <= Duration{0}) return read_unreadable("no time was left for " + request.url);
  for (const auto& [name, value] : options_.headers) request.headers.push_back({name, value});
  request.total_timeout = timeout;
  auto response = client_->call(request);
  RawRead read = response.has_value() ? to_read(std::move(*response), request.url)
                                      : read_unreadable(response.error().message);
  read.latency = watch.elapsed();
  return read;
}

}  // namespace trued
