#include "target/secrets.h"

#include <algorithm>
#include <functional>

#include "base/assert.h"

namespace trued {
namespace {

bool is_secret_word(std::string_view word) {
  constexpr std::array<std::string_view, 13> kWords = {
      "auth", "authorization", "authentication", "cookie",     "cookie2",    "token", "secret",
      "key",  "password",      "passwd",         "passphrase", "credential", "apikey"};
  if (std::ranges::find(kWords, word) != kWords.end()) return true;
  // What is written as one word: accesstoken, clientsecret. No other word of English ends so.
  return word.ends_with("token") || word.ends_with("secret") || word.ends_with("password");
}

}  // namespace

void Secrets::add_one(std::string_view value) {
  static_assert(kSecretMin > 0 && kPartMin >= kSecretMin);
  TRUED_ASSERT(value.size() >= kSecretMin);
  if (std::ranges::find(values_, value) != values_.end()) return;
  begins_.at(static_cast<unsigned char>(value.front())) = true;
  values_.emplace_back(value);
  std::ranges::sort(values_, std::greater<>(), &std::string::size);
}

void Secrets::add(std::string_view value, char between) {
  if (value.size() >= kSecretMin) add_one(value);
  std::size_t begin = 0;
  while (begin < value.size()) {
    const std::size_t end = std::min(value.find(between, begin), value.size());
    if (end - begin >= kPartMin) add_one(value.substr(begin, end - begin));
    begin = end + 1;
  }
}

std::string Secrets::masked(std::string_view text, std::size_t bytes_max) const {
  std::string out;
  out.reserve(std::min(text.size(), bytes_max));
  std::size_t at = 0;
  while (at < text.size() && out.size() < bytes_max) {
    const std::string_view rest = text.substr(at);
    const auto found = !begins_.at(static_cast<unsigned char>(rest.front()))
                           ? values_.end()
                           : std::ranges::find_if(values_, [&](const std::string& value) {
                               return rest.starts_with(value);
                             });
    if (found == values_.end()) {
      out += rest.front();
      ++at;
    } else {
      out += "***";
      at += found->size();
    }
  }
  if (out.size() > bytes_max) out.resize(bytes_max);
  TRUED_ASSERT(out.size() <= bytes_max);
  return out;
}

bool names_a_secret(std::string_view name) {
  std::string word;
  for (const char c : name) {
    if (c == '-' || c == '_' || c == '.') {
      if (is_secret_word(word)) return true;
      word.clear();
    } else {
      word += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    }
  }
  return is_secret_word(word);
}

}  // namespace trued
