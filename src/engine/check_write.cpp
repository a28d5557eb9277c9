#include "engine/check_write.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "base/assert.h"
#include "base/encoding.h"
#include "target/nesting.h"

namespace trued {
namespace {

constexpr std::size_t kMessageBytesMax = 64 * 1024;
constexpr std::size_t kBaseBytesMax = 255;

bool fail(InputFault& fault, std::string pointer, std::string detail) {
  TRUED_ASSERT(!detail.empty());
  fault.pointer = std::move(pointer);
  fault.detail = std::move(detail);
  return false;
}

std::string path_of(std::size_t artifact) {
  return "/artifacts/" + std::to_string(artifact) + "/path";
}

// What people will see of it, in terminals and logs among others; empty when it is fine.
std::string wrong_with_text(std::string_view text, Breaks breaks) {
  if (!utf8_valid(text)) return " is not valid UTF-8";
  if (!has_control(text, breaks)) return "";
  return breaks == Breaks::allowed
             ? " holds a control character; line breaks and tabs are fine, others not"
             : " holds a control character";
}

bool check_sizes(const Intent& intent, InputFault& fault) {
  if (intent.message.size() > kMessageBytesMax) {
    return fail(fault, "/message", "is longer than 65536 bytes");
  }
  if (intent.base && (intent.base->empty() || intent.base->size() > kBaseBytesMax)) {
    return fail(fault, "/base", "must be a version of 1 to 255 bytes");
  }
  return check_count(intent.artifacts.size(), fault);
}

bool check_names(const Intent& intent, const Target* target, InputFault& fault) {
  std::unordered_set<std::string_view> names;
  for (std::size_t i = 0; i < intent.artifacts.size(); ++i) {
    const std::string& name = intent.artifacts.at(i).name;
    if (target != nullptr) {
      const std::string wrong = target->store->check_name(name);
      if (!wrong.empty()) return fail(fault, path_of(i), wrong);
      const std::string text = wrong_with_text(name, Breaks::refused);
      if (!text.empty()) return fail(fault, path_of(i), "the path" + text);
    }
    if (!names.insert(name).second) {
      return fail(fault, path_of(i), "names an artifact that stands earlier in the list");
    }
  }
  return true;
}

// No target can hold a file and something below its path.
bool all_can_exist(const Intent& intent, InputFault& fault) {
  const auto clash = find_clash(intent);
  if (!clash) return true;
  TRUED_ASSERT(clash->file != clash->below);
  const std::size_t second = std::max(clash->file, clash->below);
  const std::size_t first = std::min(clash->file, clash->below);
  return fail(fault, path_of(second),
              describe(intent, *clash) + " (see /artifacts/" + std::to_string(first) +
                  "); write one of them, or give '" + intent.artifacts.at(clash->file).name +
                  "' as \"absent\": true");
}

bool check_message(const Intent& intent, InputFault& fault) {
  const std::string wrong = wrong_with_text(intent.message, Breaks::allowed);
  return wrong.empty() || fail(fault, "/message", "the message" + wrong);
}

bool check_base(const Intent& intent, const Target& target, InputFault& fault) {
  if (!intent.base) return true;
  if (!target.policy.capabilities.history) {
    return fail(fault, "/base",
                "the target '" + intent.target + "' (" + target.kind +
                    ") has no versions, so 'base' cannot be held to anything; leave it out");
  }
  const std::string wrong = wrong_with_text(*intent.base, Breaks::refused);
  return wrong.empty() || fail(fault, "/base", "the base" + wrong);
}

}  // namespace

bool has_control(std::string_view text, Breaks breaks) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0U;
    const bool fine = breaks == Breaks::allowed &&
                      (byte == '\n' || byte == '\t' || (byte == '\r' && next == '\n'));
    if (!fine && (byte < 0x20 || byte == 0x7f)) return true;
    if (byte == 0xc2 && next >= 0x80 && next < 0xa0) return true;  // U+0080 to U+009F
  }
  return false;
}

bool check_count(std::size_t artifacts, InputFault& fault) {
  if (artifacts == 0) {
    return fail(fault, "/artifacts", "must be an array of at least one artifact");
  }
  if (artifacts <= kArtifactsMax) return true;
  return fail(fault, "/artifacts",
              "has " + std::to_string(artifacts) + " entries; at most " +
                  std::to_string(kArtifactsMax) + " fit one operation");
}

bool check_intent(const Intent& intent, const Target* target, InputFault& fault) {
  if (!check_sizes(intent, fault) || !check_names(intent, target, fault)) return false;
  return target == nullptr || (all_can_exist(intent, fault) && check_message(intent, fault) &&
                               check_base(intent, *target, fault));
}

bool check_input_bytes(std::size_t bytes, InputFault& fault) {
  if (bytes <= kInputBytesMax) return true;
  return fail(fault, "",
              "is " + std::to_string(bytes) + " bytes of JSON; at most " +
                  std::to_string(kInputBytesMax) + " fit one operation: split it");
}

std::string wrong_with_actor(std::string_view actor) {
  if (actor.size() > kActorBytesMax) return "actor has at most 255 bytes";
  const std::string wrong = wrong_with_text(actor, Breaks::refused);
  return wrong.empty() ? "" : "actor" + wrong;
}

}  // namespace trued
