#include "config/table.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

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

std::size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row.at(j) = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row.at(0);
    row.at(0) = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row.at(j);
      const std::size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      row.at(j) = std::min({above + 1, row.at(j - 1) + 1, change});
      diagonal = above;
    }
  }
  return row.back();
}

}  // namespace

std::optional<std::string> resembles(const std::string& name,
                                     const std::vector<std::string>& known) {
  std::optional<std::string> best;
  std::size_t least = std::max<std::size_t>(name.size() / 3, 1) + 1;
  for (const std::string& each : known) {
    const std::size_t d = distance(name, each);
    if (d < least) {
      least = d;
      best = each;
    }
  }
  return best;
}

const toml::node* Table::get(const char* name) {
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

void Table::flag(const char* name, bool& out) {
  const toml::node* node = get(name);
  if (node == nullptr) return;
  const auto value = node->value_exact<bool>();
  value ? out = *value, void() : fault(name, "expected true or false");
}

void Table::whole(const char* name, std::int64_t& out, std::int64_t min, std::int64_t max) {
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

void Table::texts(const char* name, std::vector<std::string>& out) {
  const toml::node* node = get(name);
  if (node == nullptr) return;
  const toml::array* list = node->as_array();
  if (list == nullptr || (!list->empty() && !list->is_homogeneous<std::string>())) {
    return fault(name, "expected a list of texts");
  }
  for (const toml::node& each : *list) out.push_back(*each.value_exact<std::string>());
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
    const auto meant = resembles(name, known_);
    std::string message = "unknown key '" + (path_.empty() ? name : path_ + "." + name) + "'";
    if (meant) {
      message += "; did you mean '" + *meant + "'?";
    } else {
      std::string list;
      for (const std::string& each : known_) list += (list.empty() ? "" : ", ") + each;
      message += "; known here: " + list;
    }
    faults_.add(key.source(), message);
  }
}

}  // namespace trued::config
