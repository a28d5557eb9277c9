// remote.h: the server, as the commands talk to it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "cli/output.h"
#include "io/http_client.h"
#include "json/value.h"

namespace trued::cli {

struct RemoteAnswer {
  int status = 0;
  std::string text;          ///< the body
  json::Value value;         ///< parsed; null if it is no JSON
  std::string session = {};  ///< what the server's Trued-Session says; may be empty
  std::string served = {};   ///< the same of Trued-Consistency-Served

  /// The body for programs: an object has these two among its members.
  [[nodiscard]] std::string emitted() const;
};

// What a request may have done that ended without an answer, and what to do then.
inline constexpr std::string_view kSameKey =
    "The server may have accepted it; run it again with the same key";
inline constexpr std::string_view kOnlyLooked = "It would have changed nothing; run it again";

class Remote {
 public:
  explicit Remote(const Common& common);

  /// One request. An error says whether it may have been accepted.
  [[nodiscard]] Result<RemoteAnswer> call(const std::string& method, const std::string& path,
                                          const std::string& body = {},
                                          const std::vector<io::Header>& headers = {});

  /// Prints the answer of a request for one receipt and returns the exit code that fits it.
  int show_receipt(const Result<RemoteAnswer>& answer, std::string_view unknown = kSameKey);
  /// What to say when a request failed; the exit code that fits. `unknown` is said where it may
  /// have been accepted.
  int show_failure(const Error& error, std::string_view unknown = kSameKey);
  int show_problem(const RemoteAnswer& answer);

 private:
  void show_errors(const RemoteAnswer& answer) const;

  const Common& common_;
  io::HttpClient client_;
  std::string server_;
  std::string token_;
  std::optional<Error> fault_;  ///< of the server's URL or the token: nothing is sent
};

/// What is wrong with a server's URL as a person gave it; empty when nothing is.
[[nodiscard]] std::string wrong_with_server(std::string_view url);

/// Percent-encodes a query value.
[[nodiscard]] std::string query_encode(std::string_view text);

}  // namespace trued::cli
