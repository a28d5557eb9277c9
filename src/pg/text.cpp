#include "pg/text.h"

#include <algorithm>
#include <numeric>

namespace trued::pg {
namespace {

std::string doubled(std::string_view text, char quote) {
  std::string out(1, quote);
  for (const char c : text) {
    if (c == quote) out += quote;
    out += c;
  }
  return out + quote;
}

}  // namespace

std::string replaced(std::string text, std::string_view what, std::string_view with) {
  if (what.empty()) return text;
  for (std::size_t at = text.find(what); at != std::string::npos;
       at = text.find(what, at + with.size())) {
    text.replace(at, what.size(), with);
  }
  return text;
}

std::string quoted_identifier(std::string_view name) { return doubled(name, '"'); }
std::string quoted_literal(std::string_view text) { return doubled(text, '\''); }

std::string without_parameters(std::string message, const Parameters& parameters) {
  const auto text_of = [&](std::size_t i) {
    const Parameter& each = parameters.at(i);
    return each.is_binary() ? std::string() : each.value().value_or("");
  };
  // Longest first, so that one that is part of another leaves nothing of it.
  std::vector<std::size_t> order(parameters.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, [&](std::size_t a, std::size_t b) {
    const std::size_t of_a = text_of(a).size();
    const std::size_t of_b = text_of(b).size();
    return of_a == of_b ? a < b : of_a > of_b;
  });
  constexpr std::size_t kTelling = 4;  // a shorter one is blotted out where it is quoted only
  for (const std::size_t i : order) {
    const std::string value = text_of(i);
    if (value.empty()) continue;
    const std::string name = "$" + std::to_string(i + 1);
    message = replaced(std::move(message), doubled(value, '"'), name);
    message = replaced(std::move(message), std::string("\"").append(value).append("\""), name);
    message = replaced(std::move(message), doubled(value, '\''), name);
    message = replaced(std::move(message), std::string("(").append(value).append(")"),
                       std::string("(").append(name).append(")"));
    if (value.size() >= kTelling) message = replaced(std::move(message), value, name);
  }
  return message;
}

}  // namespace trued::pg
