#include "target/http/http_answers.h"

namespace trued {
namespace {

constexpr int kRequestTimeout = 408;
constexpr int kConflict = 409;
constexpr int kTooEarly = 425;
constexpr int kTooMany = 429;
constexpr int kUnavailable = 503;
constexpr int kTemporaryRedirect = 307;
constexpr int kPermanentRedirect = 308;

EffectKind classify_by_default(const HttpSaid& said) {
  switch (said.status) {
    case kTemporaryRedirect:
    case kPermanentRedirect:
      return EffectKind::rejected_final;
    case kRequestTimeout:
      return EffectKind::unknown;
    case kConflict:
      return said.key_deduplicated ? EffectKind::unknown : EffectKind::rejected_final;
    case kTooEarly:
    case kTooMany:
      return EffectKind::rejected_retryable;
    case kUnavailable:
      return said.has_retry_after ? EffectKind::rejected_retryable : EffectKind::unknown;
    default:
      break;
  }
  if (said.status >= 200 && said.status <= 299) return EffectKind::acknowledged;
  if (said.status >= 400 && said.status <= 499) return EffectKind::rejected_final;
  return EffectKind::unknown;
}

}  // namespace

std::optional<EffectKind> parse_answer_kind(std::string_view text) {
  if (text == "acknowledged") return EffectKind::acknowledged;
  if (text == "retryable") return EffectKind::rejected_retryable;
  if (text == "final") return EffectKind::rejected_final;
  if (text == "unknown") return EffectKind::unknown;
  return std::nullopt;
}

bool is_answer_status(std::string_view text) {
  if (text.size() != 3 || text[0] < '1' || text[0] > '5') return false;
  if (text.substr(1) == "xx") return true;
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  return digit(text[1]) && digit(text[2]);
}

EffectKind classify(const HttpSaid& said, const HttpAnswers& answers) {
  const std::string exact = std::to_string(said.status);
  if (const auto found = answers.find(exact); found != answers.end()) return found->second;
  const auto whole_class = answers.find(exact.substr(0, 1) + "xx");
  if (whole_class != answers.end()) return whole_class->second;
  return classify_by_default(said);
}

bool is_throttled(const HttpSaid& said, EffectKind kind) {
  return said.status == kTooMany && kind == EffectKind::rejected_retryable;
}

std::string_view explain(const HttpSaid& said, EffectKind kind) {
  if (kind == EffectKind::unknown) {
    if (said.status == kConflict)
      return "our own key is under way there, or known with another call";
    if (said.status >= 300 && said.status <= 399) return "a redirection that may follow the effect";
    if (said.status >= 500) return "it may have failed before the effect or after it";
    return "that does not tell whether it happened";
  }
  if (said.status == kTemporaryRedirect || said.status == kPermanentRedirect) {
    return "it belongs elsewhere; allow_redirects = \"effects\" follows within the origin";
  }
  return "";
}

std::string served_by(const io::HttpResponse& response) {
  for (const std::string_view name : {"X-Served-By", "X-Replica", "Via"}) {
    if (const std::string* value = response.find(name); value != nullptr && !value->empty()) {
      return *value;
    }
  }
  // An age differs from read to read, so it names nobody: it only tells that a cache answered.
  return response.find("Age") == nullptr ? std::string() : std::string("cache");
}

}  // namespace trued
