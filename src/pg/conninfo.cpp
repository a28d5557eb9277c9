#include "pg/conninfo.h"

#include <memory>
#include <utility>

#include <libpq-fe.h>

#include "pg/text.h"

namespace trued::pg {
namespace {

struct FreeOptions {
  void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};
struct FreeText {
  void operator()(char* text) const { PQfreemem(text); }
};

// libpq quotes the part that it did not understand, which may be a password with a stray '@'.
std::string without_quotations(const std::string& text) {
  std::string out;
  bool inside = false;
  for (const char c : text) {
    if (c == '"') {
      inside = !inside;
      if (inside) out += "(a part of it)";
    } else if (!inside && c != '\n') {
      out += c;
    }
  }
  return out;
}

std::string value_of(const PQconninfoOption* options, std::string_view keyword) {
  for (const PQconninfoOption* each = options; each->keyword != nullptr; ++each) {
    if (keyword == each->keyword) return each->val == nullptr ? "" : each->val;
  }
  return "";
}

// "h1:5432,h2" as the URL writes it; libpq keeps hosts and ports apart.
std::string places(const std::string& hosts, const std::string& ports, unsigned& count) {
  std::string out;
  count = 0;
  std::size_t at = 0;
  std::size_t port_at = 0;
  while (true) {
    const std::size_t end = hosts.find(',', at);
    const std::size_t port_end = ports.find(',', port_at);
    out += (count == 0 ? "" : ",") + hosts.substr(at, end - at);
    const std::string port = ports.substr(port_at, port_end - port_at);
    if (!port.empty()) out += ":" + port;
    ++count;
    if (end == std::string::npos) return out;
    at = end + 1;
    // One port stands for all hosts.
    if (port_end != std::string::npos) port_at = port_end + 1;
  }
}

}  // namespace

Result<ConnInfo> ConnInfo::parse(const std::string& url, const std::string& password) {
  const auto refused = [](const std::string& why) {
    return Error{.code = ErrorCode::invalid_argument,
                 .message = "the url " + why + "; expected postgresql://USER@HOST:PORT/DATABASE"};
  };
  if (!url.starts_with("postgresql://") && !url.starts_with("postgres://")) {
    return refused("does not begin with postgresql://");
  }
  if (url.find('\0') != std::string::npos) return refused("holds a zero byte");
  char* raw = nullptr;
  const std::unique_ptr<PQconninfoOption, FreeOptions> options(PQconninfoParse(url.c_str(), &raw));
  const std::unique_ptr<char, FreeText> complaint(raw);
  if (options == nullptr) {
    return refused("is not understood: " +
                   without_quotations(complaint ? complaint.get() : "out of memory"));
  }
  ConnInfo info;
  info.url_ = url;
  info.password_ = password.empty() ? value_of(options.get(), "password") : password;
  std::string host = value_of(options.get(), "host");
  if (host.empty()) host = value_of(options.get(), "hostaddr");
  const std::string user = value_of(options.get(), "user");
  info.shown_ = "postgresql://" + (user.empty() ? "" : user + "@") +
                places(host, value_of(options.get(), "port"), info.hosts_) + "/" +
                value_of(options.get(), "dbname");
  return info;
}

std::string ConnInfo::without_secrets(std::string text) const {
  // A password of a letter or two would blot out half of every message, and is no secret.
  constexpr std::size_t kSecretMin = 4;
  if (password_.size() >= kSecretMin) text = replaced(std::move(text), password_, "***");
  return replaced(std::move(text), url_, shown_);
}

}  // namespace trued::pg
