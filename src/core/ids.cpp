#include "core/ids.h"

#include <algorithm>

namespace trued {
namespace {

constexpr std::string_view kPrefix = "op_";
constexpr std::size_t kKeyBytesMax = 255;
constexpr std::size_t kNameBytesMax = 64;

void append_part(std::string& out, std::string_view part) {
  out += std::to_string(part.size());
  out += ':';
  out += part;
}

}  // namespace

std::string to_string(const OperationId& id) { return std::string(kPrefix) + id.value().base32(); }

std::optional<OperationId> parse_operation_id(std::string_view text) {
  if (!text.starts_with(kPrefix)) return std::nullopt;
  const auto uuid = Uuid::from_base32(text.substr(kPrefix.size()));
  if (!uuid) return std::nullopt;
  return OperationId(*uuid);
}

std::string effect_identity(const Identity& identity) {
  constexpr std::size_t kDigits = 32;
  static_assert(kDigits <= sizeof(Digest::bytes) * 2);
  return identity_digest(identity).hex().substr(0, kDigits);
}

Digest identity_digest(const Identity& identity) {
  std::string text;
  text.reserve(identity.scope.size() + identity.type.size() + identity.key.size() + 16);
  append_part(text, identity.scope);
  append_part(text, identity.type);
  append_part(text, identity.key);
  return sha256(text);
}

bool valid_key(std::string_view key) {
  return !key.empty() && key.size() <= kKeyBytesMax &&
         std::ranges::all_of(key, [](char c) { return c >= 0x21 && c <= 0x7e; });
}

bool valid_name(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
  };
  return !name.empty() && name.size() <= kNameBytesMax && std::ranges::all_of(name, allowed);
}

}  // namespace trued
