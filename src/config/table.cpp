#include "config/table.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/assert.h"
#include "base/resembles.h"

namespace trued::config {
namespace {

constexpr std::string_view kHowToGive = "write ${env:NAME} or ${file:PATH}";

std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return text;
}

// Expands "${env:NAME}" and "${file:PATH}"; what is wrong comes back in `fault`.
std::string expand(const std::string& text, std::string& fault) {
  std::string out;
  std::size_t at = 0;
  while (true) {
    const std::size_t begin = text.find("${", at);
    out.append(text, at, begin == std::string::npos ? std::string::npos : begin - at);
    if (begin == std::string::npos) return out;
    const std::size_t end = text.find('}', begin);
    const std::string inside =
        end == std::string::npos ? "" : text.substr(begin + 2, end - begin - 2);
    if (inside.starts_with("env:")) {
      const char* value = std::getenv(inside.c_str() + 4);
      if (value == nullptr) fault = "the environment has no " + inside.substr(4);
      out += value == nullptr ? "" : value;
    } else if (inside.starts_with("file:")) {
      std::ifstream file(inside.substr(5), std::ios::binary);
      std::stringstream content;
      content << file.rdbuf();
      if (!file) fault = "cannot read " + inside.substr(5);
      out += trimmed(content.str());
    } else {
      fault = "'${" + inside + "}' is neither ${env:NAME} nor ${file:PATH}";
    }
    if (end == std::string::npos) return out;
    at = end + 1;
  }
}

}  // namespace

std::optional<std::string> resembles(const std::string& name,
                                     const std::vector<std::string>& known) {
  return trued::resembles(name, known);
}

const toml::node* Table::get(const char* name) {
  TRUED_ASSERT(name != nullptr);
  known_.emplace_back(name);
  return table_.get(name);
}

void Table::fault(const char* name, const std::string& message) {
  const toml::node* node = table_.get(name);
  faults_.add(node == nullptr ? table_.source() : node->source(), full(name) + ": " + message);
}

void Table::text(const char* name, std::string& out) {
  const toml::node* node = get(name);
  if (node == nullptr) return;
  const auto value = node->value_exact<std::string>();
  value ? out = *value, void() : fault(name, "expected a text");
}

void Table::secret(const char* name, std::string& out) {
  std::string raw;
  text(name, raw);
  if (raw.empty()) {
    const toml::node* node = table_.get(name);
    if (node != nullptr && node->is_string()) fault(name, "is empty; " + std::string(kHowToGive));
    return;
  }
  if (raw.find("${") == std::string::npos) {
    return fault(name, "a secret does not belong into the file; " + std::string(kHowToGive));
  }
  std::string wrong;
  out = expand(raw, wrong);
  // An empty secret would let in whoever gives none.
  if (wrong.empty() && out.empty()) wrong = "'" + raw + "' stands for nothing: it is empty";
  if (!wrong.empty()) fault(name, wrong);
}

void Table::text_or_secret(const char* name, std::string& out, bool* is_secret) {
  const toml::node* node = table_.get(name);
  const auto plain = node == nullptr ? std::nullopt : node->value_exact<std::string>();
  const bool open = plain && plain->find("${") != std::string::npos;
  if (is_secret != nullptr) *is_secret = open;
  open ? secret(name, out) : text(name, out);
}

void Table::flag_or_text(const char* name, bool& flag, std::string& text) {
  const toml::node* node = get(name);
  if (node == nullptr) return;
  if (const auto value = node->value_exact<bool>()) {
    flag = *value;
  } else if (const auto word = node->value_exact<std::string>()) {
    text = *word;
  } else {
    fault(name, "expected true, false or a text");
  }
}

void Table::flag_or_texts(const char* name, bool& flag, std::vector<std::string>& out) {
  const toml::node* node = get(name);
  if (node == nullptr) return;
  if (const auto value = node->value_exact<bool>()) {
    flag = *value;
  } else if (node->is_array()) {
    texts(name, out);
  } else {
    fault(name, "expected true, false or a list of texts");
  }
}

void Table::flag(const char* name, bool& out) {
  const toml::node* node = get(name);
  if (node == nullptr) return;
  const auto value = node->value_exact<bool>();
  value ? out = *value, void() : fault(name, "expected true or false");
}

void Table::whole(const char* name, std::int64_t& out, std::int64_t min, std::int64_t max) {
  TRUED_ASSERT(min <= max);
  const toml::node* node = get(name);
  if (node == nullptr) return;
  const auto value = node->value_exact<std::int64_t>();
  if (!value || *value < min || *value > max) {
    return fault(
        name, "expected a whole number from " + std::to_string(min) + " to " + std::to_string(max));
  }
  out = *value;
}

void Table::duration(const char* name, Duration& out) {
  const toml::node* node = get(name);
  if (node == nullptr) return;
  const auto value = node->value_exact<std::string>();
  const auto parsed = parse_duration(value.value_or(""));
  if (!parsed.has_value()) return fault(name, "expected a duration such as \"250ms\" or \"24h\"");
  out = *parsed;
}

void Table::share(const char* name, std::uint32_t& permille) {
  const toml::node* node = get(name);
  if (node == nullptr) return;
  const auto value = node->value<double>();
  const bool number = node->is_floating_point() || node->is_integer();
  // Written so that a NaN is refused too.
  if (!number || !value || !(*value >= 0 && *value <= 1)) {
    return fault(name, "expected a number from 0 to 1, such as 0.2");
  }
  permille = static_cast<std::uint32_t>(std::lround(*value * 1'000));
  TRUED_ASSERT(permille <= 1'000);
}

const toml::table* Table::table_or_false(const char* name, bool& enabled) {
  const toml::node* node = get(name);
  if (node == nullptr) return nullptr;
  const auto flag = node->value_exact<bool>();
  if (flag && !*flag) {
    enabled = false;
    return nullptr;
  }
  if (node->as_table() == nullptr) fault(name, "expected a table, or false for none");
  return node->as_table();
}

void Table::texts(const char* name, std::vector<std::string>& out) {
  const toml::node* node = get(name);
  if (node == nullptr) return;
  const toml::array* list = node->as_array();
  if (list == nullptr || (!list->empty() && !list->is_homogeneous<std::string>())) {
    return fault(name, "expected a list of texts");
  }
  for (const toml::node& each : *list) out.push_back(*each.value_exact<std::string>());
}

void Table::numbers(const char* name, std::vector<int>& out, std::int64_t min, std::int64_t max) {
  TRUED_ASSERT(min <= max);
  const toml::node* node = get(name);
  if (node == nullptr) return;
  const auto wrong = [&] {
    fault(name, "expected a list of whole numbers from " + std::to_string(min) + " to " +
                    std::to_string(max));
  };
  if (!node->is_array()) return wrong();
  for (const toml::node& each : *node->as_array()) {
    const auto value = each.value_exact<std::int64_t>();
    if (!value || *value < min || *value > max) return wrong();
    out.push_back(static_cast<int>(*value));
  }
}

const toml::table* Table::table(const char* name) {
  const toml::node* node = get(name);
  if (node == nullptr) return nullptr;
  if (node->as_table() == nullptr) fault(name, "expected a table");
  return node->as_table();
}

void Table::check_names() {
  for (const auto& [key, node] : table_) {
    const std::string name(key.str());
    if (std::ranges::find(known_, name) != known_.end()) continue;
    const std::string message =
        "unknown key '" + full(name.c_str()) + "'; " + did_you_mean(name, known_);
    faults_.add(key.source(), message);
  }
}

}  // namespace trued::config
