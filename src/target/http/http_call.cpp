#include "target/http/http_call.h"

#include <algorithm>
#include <array>
#include <functional>
#include <utility>

#include "base/encoding.h"
#include "base/resembles.h"
#include "json/canonical.h"
#include "json/pointer.h"
#include "json/scalar.h"

namespace trued {
namespace {

using json::Value;

const std::vector<std::string> kEffectMembers = {
    "answers", "body",   "form", "headers", "idempotency_header",
    "json",    "method", "path", "query",   "url"};
const std::vector<std::string> kReadMembers = {"absent_on", "headers", "json", "method",
                                               "path",      "query",   "url"};

bool iequals(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

bool is_open(const std::string& text) { return text.find("${") != std::string::npos; }

// "${…}" and nothing else: it may become a value of any type.
bool is_one_hole(const Value& value) {
  if (!value.is_string()) return false;
  const std::string& text = value.as_string();
  return text.starts_with("${") && text.find('}') == text.size() - 1;
}

// The text with every "${…}" replaced by a plain word.
std::string stand_in(const std::string& text) {
  std::string out;
  std::size_t at = 0;
  while (true) {
    const std::size_t begin = text.find("${", at);
    out.append(text, at, begin == std::string::npos ? std::string::npos : begin - at);
    if (begin == std::string::npos) return out;
    out += 'x';
    const std::size_t end = text.find('}', begin);
    if (end == std::string::npos) return out;
    at = end + 1;
  }
}

bool has_dot_part(std::string_view text) {
  while (true) {
    const std::size_t end = std::min(text.find_first_of("/\\"), text.size());
    const std::string_view part = text.substr(0, end);
    if (part == "." || part == "..") return true;
    if (end == text.size()) return false;
    text.remove_prefix(end + 1);
  }
}

// Undoes escapes as often as somebody on the way might.
std::string wrong_with_segment(std::string segment) {
  constexpr int kLayersMax = 3;
  for (int layer = 0; layer < kLayersMax; ++layer) {
    for (const char c : segment) {
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return "holds a control character";
    }
    if (has_dot_part(segment)) return "has a segment of dots, which leads out of its place";
    std::string decoded;
    if (!io::percent_decode(segment, false, decoded)) {
      return layer == 0 ? "holds a '%' that escapes nothing" : "";
    }
    if (decoded == segment) return "";
    segment = std::move(decoded);
  }
  return "";
}

std::string wrong_with_target(std::string_view target) {
  if (!target.starts_with('/')) return "does not begin with '/'";
  for (const char c : target) {
    if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f) {
      return "holds a blank, a control character or one that is not ASCII; escape it (%20)";
    }
    if (c == '#') return "holds '#': a fragment is never sent";
    if (c == '\\') return "holds '\\'";
  }
  std::string_view path = target.substr(0, target.find('?'));
  path.remove_prefix(1);
  while (true) {
    const std::size_t end = std::min(path.find('/'), path.size());
    const std::string wrong = wrong_with_segment(std::string(path.substr(0, end)));
    if (!wrong.empty()) return wrong;
    if (end == path.size()) return "";
    // The last segment alone may be empty.
    if (end == 0) return "has an empty segment ('//')";
    path.remove_prefix(end + 1);
  }
}

/// Reads one call, collecting faults.
class CallReader {
 public:
  CallReader(CallUse use, CallForm form, const io::Url& base)
      : use_(use), form_(form), base_(base) {}

  ReadCall read(const Value& request) {
    if (!request.is_object()) {
      fault("", "a call is an object");
      return std::move(out_);
    }
    request_ = &request;
    const auto& known = use_ == CallUse::effect ? kEffectMembers : kReadMembers;
    for (const auto& [name, value] : request.members()) {
      if (std::ranges::find(known, name) != known.end()) continue;
      fault(json::pointer_below("", name),
            "unknown member '" + name + "'; " + did_you_mean(name, known));
    }
    read_method();
    const std::string target = read_target();
    out_.call.url = with_base(target) + read_pairs("query", target.find('?') != std::string::npos);
    read_headers();
    read_body();
    if (use_ == CallUse::effect) {
      read_idempotency_header();
      read_answers();
    } else {
      read_absent_on();
    }
    return std::move(out_);
  }

 private:
  void fault(std::string pointer, std::string detail) {
    out_.faults.push_back({std::move(pointer), std::move(detail)});
  }
  [[nodiscard]] const Value* find(std::string_view name) const { return request_->find(name); }
  [[nodiscard]] bool any_value(const Value& value) const {
    return form_ == CallForm::as_template && is_one_hole(value);
  }
  [[nodiscard]] std::string looked_at(const std::string& text) const {
    return form_ == CallForm::as_template ? stand_in(text) : text;
  }
  // True, with a fault, for a text that must stand as it is.
  bool refuse_open(const std::string& pointer, const std::string& text) {
    if (form_ != CallForm::as_template || !is_open(text)) return false;
    fault(pointer, "cannot be filled in: write it out");
    return true;
  }
  [[nodiscard]] std::string with_base(const std::string& target) const {
    std::string path = base_.path();
    while (path.ends_with('/')) path.pop_back();
    return (base_.origin.tls ? "https://" : "http://") + base_.authority + path + target;
  }

  void read_method();
  std::string read_target();
  std::string read_url(const std::string& url);
  std::string read_pairs(const char* member, bool begun);
  void read_pair(const std::string& pointer, const std::string& name, const Value& value,
                 std::string& out);
  void read_headers();
  void read_body();
  void read_idempotency_header();
  void read_answers();
  void read_absent_on();
  void set_content_type(const char* type);

  CallUse use_;
  CallForm form_;
  const io::Url& base_;
  const Value* request_ = nullptr;
  ReadCall out_;
};

void CallReader::read_method() {
  const Value* found = find("method");
  std::string& method = out_.call.method;
  if (found == nullptr) {
    method = "GET";
    if (use_ == CallUse::effect) fault("/method", "is missing: POST, PUT, PATCH or DELETE");
    return;
  }
  if (!found->is_string()) return fault("/method", "expected a text such as \"POST\"");
  method = found->as_string();
  if (refuse_open("/method", method)) return;
  if (!io::is_token(method)) return fault("/method", "'" + method + "' is no method");
  const bool lower = std::ranges::any_of(method, [](char c) { return c >= 'a' && c <= 'z'; });
  if (lower) return fault("/method", "methods are written in capital letters");
  if (use_ == CallUse::read) {
    if (method == "GET" || method == "HEAD" || method == "POST") return;
    return fault("/method", "'" + method +
                                "' does not only read: expected GET, HEAD, or POST for "
                                "a query that changes nothing");
  }
  for (const char* other : {"GET", "HEAD", "OPTIONS", "TRACE", "CONNECT"}) {
    if (method == other) {
      return fault("/method", "'" + method +
                                  "' has no effect by its meaning, so others may send "
                                  "it again: expected POST, PUT, PATCH or DELETE");
    }
  }
}

// The path and query of the call, below the base.
std::string CallReader::read_target() {
  const Value* path = find("path");
  const Value* url = find("url");
  if ((path == nullptr) == (url == nullptr)) {
    fault(path == nullptr ? "/path" : "/url", path == nullptr
                                                  ? "is missing: a path below base_url, or a url"
                                                  : "there is a path already");
    return "/";
  }
  const Value& found = path != nullptr ? *path : *url;
  const char* pointer = path != nullptr ? "/path" : "/url";
  if (!found.is_string()) {
    fault(pointer, "expected a text");
    return "/";
  }
  std::string target = path != nullptr ? found.as_string() : read_url(found.as_string());
  if (form_ == CallForm::as_template && path != nullptr && target.starts_with("${")) return "/";
  const std::string wrong = wrong_with_target(looked_at(target));
  if (!wrong.empty()) fault(pointer, wrong);
  return target;
}

// What of a whole URL is below the base.
std::string CallReader::read_url(const std::string& url) {
  const std::string base = with_base("");
  const auto elsewhere = [&] {
    fault("/url", "leads elsewhere than to base_url, " + base);
    return std::string("/");
  };
  if (form_ == CallForm::as_template && is_open(url)) {
    const std::string start = url.substr(0, url.find("${"));
    if (start.starts_with(base + "/")) return url.substr(base.size());
    return (base + "/").starts_with(start) ? "/" : elsewhere();
  }
  const auto parsed = io::parse_url(url);
  if (!parsed.has_value()) {
    fault("/url", parsed.error().message);
    return "/";
  }
  std::string prefix = base_.path();
  while (prefix.ends_with('/')) prefix.pop_back();
  const std::string& target = parsed->target;
  const bool below = target.starts_with(prefix) &&
                     (target.size() == prefix.size() || target.at(prefix.size()) == '/' ||
                      target.at(prefix.size()) == '?');
  if (parsed->origin != base_.origin || !below) return elsewhere();
  std::string rest = target.substr(prefix.size());
  return rest.starts_with('/') ? rest : "/" + rest;
}

void CallReader::read_pair(const std::string& pointer, const std::string& name, const Value& value,
                           std::string& out) {
  if (value.is_null()) return;
  const auto text = json::scalar_text(value);
  if (!text) return fault(pointer, "expected a text, a number, true or false");
  if (!out.empty()) out += '&';
  out += percent_encoded(name) + '=' + percent_encoded(*text);
}

// The members of an object as "a=1&b=2"; of a query with the mark before it.
std::string CallReader::read_pairs(const char* member, bool begun) {
  const Value* found = find(member);
  if (found == nullptr || any_value(*found)) return "";
  const std::string pointer = json::pointer_below("", member);
  if (!found->is_object()) {
    fault(pointer, "expected an object of names and values");
    return "";
  }
  std::string out;
  for (const auto& [name, value] : found->members()) {
    const std::string at = json::pointer_below(pointer, name);
    if (!value.is_array()) {
      read_pair(at, name, value, out);
      continue;
    }
    for (std::size_t i = 0; i < value.items().size(); ++i) {
      read_pair(json::pointer_below(at, std::to_string(i)), name, value.items().at(i), out);
    }
  }
  if (std::string_view(member) != "query" || out.empty()) return out;
  return (begun ? "&" : "?") + out;
}

void CallReader::read_headers() {
  const Value* found = find("headers");
  if (found == nullptr || any_value(*found)) return;
  if (!found->is_object()) return fault("/headers", "expected an object of names and values");
  for (const auto& [name, value] : found->members()) {
    const std::string pointer = json::pointer_below("/headers", name);
    if (refuse_open(pointer, name)) continue;
    if (const std::string wrong = wrong_with_header_name(name); !wrong.empty()) {
      fault(pointer, wrong);
      continue;
    }
    if (value.is_null()) continue;
    const auto text = json::scalar_text(value);
    if (!text) {
      fault(pointer, "expected a text, a number, true or false");
    } else if (!io::is_field_value(*text)) {
      fault(pointer, "holds a line end or another control character");
    } else if (io::find_header(out_.call.headers, name) != nullptr) {
      fault(pointer, "is there twice, in another case");
    } else {
      out_.call.headers.push_back({name, *text});
    }
  }
}

void CallReader::set_content_type(const char* type) {
  if (io::find_header(out_.call.headers, "Content-Type") != nullptr) return;
  out_.call.headers.push_back({"Content-Type", type});
}

void CallReader::read_body() {
  const Value* as_json = find("json");
  const Value* body = use_ == CallUse::effect ? find("body") : nullptr;
  const Value* form = use_ == CallUse::effect ? find("form") : nullptr;
  const bool several = (as_json != nullptr) + (body != nullptr) + (form != nullptr) > 1;
  if (several) {
    return fault(form != nullptr ? "/form" : "/body", "only one of json, body and form is sent");
  }
  if (as_json != nullptr && use_ == CallUse::read && out_.call.method != "POST") {
    return fault("/json", "a " + out_.call.method + " has no body; declare method = \"POST\"");
  }
  if (as_json != nullptr) {
    out_.call.body = json::canonical(*as_json);
    set_content_type("application/json");
  } else if (body != nullptr) {
    if (!body->is_string()) return fault("/body", "expected a text; write json for a document");
    out_.call.body = body->as_string();
    set_content_type("text/plain; charset=utf-8");
  } else if (form != nullptr) {
    out_.call.body = read_pairs("form", false);
    set_content_type("application/x-www-form-urlencoded");
  }
}

void CallReader::read_idempotency_header() {
  const Value* found = find("idempotency_header");
  std::string name = "Idempotency-Key";
  if (found != nullptr && found->is_null()) return;
  if (found != nullptr) {
    if (!found->is_string()) {
      return fault("/idempotency_header", "expected a header's name, or null for none");
    }
    name = found->as_string();
    if (refuse_open("/idempotency_header", name)) return;
    // Its own name is not a caller's to set elsewhere; here it is.
    const std::string wrong = iequals(name, "idempotency-key") ? "" : wrong_with_header_name(name);
    if (!wrong.empty()) return fault("/idempotency_header", wrong);
  }
  if (io::find_header(out_.call.headers, name) != nullptr) {
    return fault(json::pointer_below("/headers", name), "is what carries the operation's identity");
  }
  out_.call.idempotency_header = std::move(name);
}

void CallReader::read_answers() {
  const Value* found = find("answers");
  if (found == nullptr) return;
  if (!found->is_object()) {
    return fault("/answers", "expected an object such as {\"404\": \"acknowledged\"}");
  }
  for (const auto& [status, value] : found->members()) {
    const std::string pointer = json::pointer_below("/answers", status);
    if (!is_answer_status(status)) {
      fault(pointer, "'" + status + "' is no status: expected 100 to 599, or a class such as 5xx");
      continue;
    }
    const std::string kind = value.is_string() ? value.as_string() : "";
    const auto parsed = parse_answer_kind(kind);
    if (!parsed) {
      std::string message = "expected acknowledged, retryable, final or unknown";
      if (const auto meant = resembles(kind, {"acknowledged", "retryable", "final", "unknown"})) {
        message += "; did you mean '" + *meant + "'?";
      }
      fault(pointer, message);
      continue;
    }
    out_.call.answers[status] = *parsed;
  }
}

void CallReader::read_absent_on() {
  const Value* found = find("absent_on");
  if (found == nullptr) {
    out_.call.absent_on = {404, 410};
    return;
  }
  if (!found->is_array()) return fault("/absent_on", "expected a list of statuses, [404, 410]");
  for (std::size_t i = 0; i < found->items().size(); ++i) {
    const Value& item = found->items().at(i);
    const std::int64_t status = item.is_int() ? item.as_int() : 0;
    // What a working target answers for something that is there cannot mean that it is not.
    const bool sound = status >= 204 && status <= 499 && status != 206;
    if (!sound) {
      fault("/absent_on/" + std::to_string(i), "expected a status of 204 or 3xx to 4xx");
      continue;
    }
    out_.call.absent_on.push_back(static_cast<int>(status));
  }
}

}  // namespace

std::string wrong_with_header_name(const std::string& name) {
  if (!io::is_token(name)) return "'" + name + "' is no name of a header";
  constexpr std::array kOurs = {"host",       "content-length", "transfer-encoding",
                                "connection", "keep-alive",     "upgrade",
                                "te",         "trailer",        "expect"};
  for (const char* each : kOurs) {
    if (iequals(name, each)) return "is set by the connection, not by a call";
  }
  if (iequals(name.substr(0, 6), "proxy-")) return "is for a proxy: give proxy = \"…\"";
  if (iequals(name, "traceparent")) return "is set from the operation's trace";
  if (iequals(name, "idempotency-key")) {
    return "is set to the operation's identity; idempotency_header names another header for it";
  }
  return "";
}

ReadCall read_http_call(const Value& request, CallUse use, CallForm form, const io::Url& base) {
  return CallReader(use, form, base).read(request);
}

}  // namespace trued
