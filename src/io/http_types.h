// http_types.h: requests and responses as plain values, for everything above src/io.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace trued::io {

struct Header {
  std::string name;
  std::string value;
};

/// The first header of that name, in any case; null for none.
[[nodiscard]] const std::string* find_header(const std::vector<Header>& headers,
                                             std::string_view name);

struct HttpRequest {
  std::string method;
  std::string target;  ///< path and query as they were sent; of a whole URL only these
  std::string path;    ///< percent-decoded; valid UTF-8 without NUL
  std::string query;   ///< as it was sent, without '?'
  std::vector<Header> headers;
  std::string body;
  std::string peer;  ///< "address:port"
  [[nodiscard]] const std::string* find(std::string_view name) const {
    return find_header(headers, name);
  }
};

struct HttpResponse {
  int status = 200;
  std::vector<Header> headers;  ///< Content-Length and Connection are added when it is sent
  std::string body;
  [[nodiscard]] const std::string* find(std::string_view name) const {
    return find_header(headers, name);
  }
};

/// Adds what every answer has that a browser could come by: no sniffing, no storing, no scripts.
/// The server's own refusals have it too.
void add_safety_headers(HttpResponse& response);

/// What a parameter of a query, name or value, can be wrong by.
enum class QueryWrong : std::uint8_t {
  escape,  ///< a '%' that two hexadecimal digits do not follow
  utf8,    ///< decoded, it is not valid UTF-8
};
struct QueryFault {
  std::string parameter;  ///< its name, decoded as far as that can be done
  QueryWrong wrong = QueryWrong::escape;
};
/// The first parameter that cannot be decoded.
[[nodiscard]] std::optional<QueryFault> find_query_fault(std::string_view query);

/// Names and values of a query, percent- and plus-decoded, in order.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> parse_query(std::string_view query);

/// Percent-decodes; false for a malformed escape.
[[nodiscard]] bool percent_decode(std::string_view text, bool plus_is_space, std::string& out);

}  // namespace trued::io
