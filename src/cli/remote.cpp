#include "cli/remote.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/assert.h"
#include "base/encoding.h"
#include "cli/exit_codes.h"
#include "json/canonical.h"
#include "json/parse.h"

namespace trued::cli {
namespace {

constexpr const char* kDefaultServer = "http://127.0.0.1:7117";
constexpr Duration kAnswerWithin{90'000};  // longer than the longest wait a server grants

io::ClientOptions client_options() {
  io::ClientOptions options;
  options.connect_timeout = Duration{5'000};
  options.total_timeout = kAnswerWithin;
  options.user_agent = "trued-cli";
  return options;
}

Error usage_error(std::string message) {
  return {.code = ErrorCode::invalid_argument, .message = std::move(message)};
}

// "" or ":PORT" after the host.
bool is_port(std::string_view text) {
  if (text.empty()) return true;
  constexpr int kPortMax = 65'535;
  int port = 0;
  const char* const end = text.data() + text.size();
  const bool numeric = text.size() > 1 && std::ranges::all_of(text.substr(1), [](char c) {
                         return c >= '0' && c <= '9';
                       });
  const auto read = std::from_chars(text.data() + 1, end, port);
  return text.front() == ':' && numeric && read.ec == std::errc{} && port > 0 && port <= kPortMax;
}

std::string wrong_with_authority(std::string_view authority) {
  const std::size_t bracket = authority.find(']');
  const bool literal = authority.starts_with('[');
  const std::size_t end = literal ? (bracket == std::string_view::npos ? 0 : bracket + 1)
                                  : std::min(authority.find(':'), authority.size());
  if (end == 0 || (literal && end <= 2)) return "names no host";
  return is_port(authority.substr(end)) ? "" : "has a port that is no number from 1 to 65535";
}

}  // namespace

std::string wrong_with_server(std::string_view url) {
  const std::size_t scheme = url.starts_with("https://") ? 8 : url.starts_with("http://") ? 7 : 0;
  if (scheme == 0) return "is not an http:// or https:// URL";
  const std::string_view rest = url.substr(scheme);
  const bool visible = std::ranges::all_of(
      url, [](char c) { return static_cast<unsigned char>(c) > 0x20 && c != 0x7f; });
  if (!visible || !utf8_valid(url)) return "holds what no URL holds";
  if (rest.find_first_of("?#") != std::string_view::npos) return "has a query or a fragment";
  return wrong_with_authority(rest.substr(0, rest.find('/')));
}

std::string query_encode(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       c == '-' || c == '_' || c == '.' || c == '~';
    if (plain) {
      out += c;
    } else {
      out += '%';
      out += kHex[static_cast<unsigned char>(c) >> 4];
      out += kHex[static_cast<unsigned char>(c) & 15];
    }
  }
  TRUED_ASSERT(out.size() >= text.size());
  return out;
}

Remote::Remote(const Common& common) : common_(common), client_(client_options()) {
  // What is given on the command line wins over the environment.
  const char* environment = std::getenv("TRUED_SERVER");
  std::string where = "--server";
  if (!common.server.empty()) {
    server_ = common.server;
  } else if (environment != nullptr && *environment != '\0') {
    server_ = environment;
    where = "TRUED_SERVER";
  } else {
    server_ = kDefaultServer;
  }
  const std::string wrong = wrong_with_server(server_);
  if (server_.find('@') != std::string::npos) {
    // Not repeated: they would be in every log of what was said.
    fault_ = usage_error(where + ": credentials do not belong into a URL; give a token by " +
                         "--token-file or TRUED_TOKEN");
  } else if (!wrong.empty()) {
    fault_ = usage_error(where + " " + shell_quoted(server_) + " " + wrong + "; expected such as " +
                         kDefaultServer);
  }
  while (server_.ends_with('/')) server_.pop_back();
  if (fault_) return;
  if (!common.token_file.empty()) {
    std::ifstream file(common.token_file);
    if (!std::getline(file, token_)) {
      fault_ = usage_error("cannot read a token from " + shell_quoted(common.token_file));
    }
  } else if (const char* token = std::getenv("TRUED_TOKEN")) {
    token_ = token;
  }
}

Result<RemoteAnswer> Remote::call(const std::string& method, const std::string& path,
                                  const std::string& body, const std::vector<io::Header>& headers) {
  if (fault_) return *fault_;
  TRUED_ASSERT(path.starts_with('/') && !server_.ends_with('/'));
  io::ClientRequest request;
  request.method = method;
  request.url = server_ + path;
  request.headers = headers;
  request.body = body;
  if (!body.empty()) request.headers.push_back({"Content-Type", "application/json"});
  if (!token_.empty()) request.headers.push_back({"Authorization", "Bearer " + token_});
  TRUED_TRY(io::HttpResponse response, client_.call(request));
  RemoteAnswer answer;
  answer.status = response.status;
  if (const std::string* session = response.find("Trued-Session")) answer.session = *session;
  if (const std::string* served = response.find("Trued-Consistency-Served")) {
    answer.served = *served;
  }
  answer.text = std::move(response.body);
  auto value = json::parse(answer.text);
  if (value.has_value()) answer.value = std::move(value).value();
  return answer;
}

std::string RemoteAnswer::emitted() const {
  if (!value.is_object() || !text.ends_with('}')) return text;
  std::string out = text.substr(0, text.size() - 1);
  const auto add = [&](const char* name, const std::string& told) {
    if (told.empty() || value.find(name) != nullptr) return;
    out += out.ends_with('{') ? "" : ",";
    out += "\"" + std::string(name) + "\":";
    json::write_string(told, out);
  };
  add("session", session);
  add("served", served);
  return out + "}";
}

int Remote::show_failure(const Error& error, std::string_view unknown) {
  if (error.code == ErrorCode::invalid_argument) return complain(common_, kUsage, error.message);
  if (error.happened == Happened::no) {
    return complain(common_, kUnreachable,
                    error.message + ". Nothing was accepted; is 'trued serve' running?");
  }
  return complain(common_, kTempFail, "unknown: " + error.message + ". " + std::string(unknown));
}

int Remote::show_problem(const RemoteAnswer& answer) {
  const int code = exit_code_of_http(answer.status);
  if (!answer.value.is_object()) {
    return complain(common_, code,
                    server_ + " answered " + std::to_string(answer.status) + ": " + answer.text);
  }
  common_.json ? print(answer.text) : say("trued: " + problem_text(answer.value));
  return code;
}

// The problem's own sentence quotes the first of several things that are wrong.
void Remote::show_errors(const RemoteAnswer& answer) const {
  const json::Value* errors = answer.value.find("errors");
  if (common_.json || errors == nullptr || !errors->is_array() || errors->items().size() < 2) {
    return;
  }
  for (const json::Value& each : errors->items()) {
    say(plain("  " + text_of(each, "pointer") + ": " + text_of(each, "detail")));
  }
}

int Remote::show_receipt(const Result<RemoteAnswer>& answer, std::string_view unknown) {
  if (!answer.has_value()) return show_failure(answer.error(), unknown);
  if (answer->status >= 300 || !answer->value.is_object()) {
    const int code = show_problem(*answer);
    show_errors(*answer);
    return code;
  }
  print(common_.json ? answer->emitted() : receipt_text(answer->value, use_colour()));
  return exit_code_of(text_of(answer->value, "status"));
}

}  // namespace trued::cli
