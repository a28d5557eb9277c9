// fields.h: reading and writing the members of a record that is JSON, with defaults left out.
// Private.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/encoding.h"
#include "base/result.h"
#include "core/operation.h"
#include "json/value.h"
#include "json/writer.h"
#include "ledger/packed.h"

namespace trued::codec {

inline void put(json::Writer& out, std::string_view name, const std::string& text) {
  if (!text.empty()) out.member(name, std::string_view(text));
}
inline void put(json::Writer& out, std::string_view name, bool flag) {
  if (flag) out.member(name, flag);
}
inline void put(json::Writer& out, std::string_view name, std::uint32_t number) {
  if (number != 0) out.member(name, number);
}
inline void put(json::Writer& out, std::string_view name, std::uint64_t number) {
  if (number != 0) out.member(name, number);
}
inline void put(json::Writer& out, std::string_view name, Duration span) {
  if (span.count() != 0) out.member(name, static_cast<std::int64_t>(span.count()));
}
inline void put(json::Writer& out, std::string_view name, WallTime at) {
  put(out, name, Duration(at.time_since_epoch()));
}
inline void put(json::Writer& out, std::string_view name, const std::optional<WallTime>& at) {
  if (at) out.member(name, static_cast<std::int64_t>(at->time_since_epoch().count()));
}
inline void put(json::Writer& out, std::string_view name, const Digest& digest) {
  out.member(name, std::string_view(base64_encode(
                       {reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size()})));
}

/// Reads members of one object; remembers whether one was of the wrong kind.
class Get {
 public:
  explicit Get(const json::Value& object) : object_(object) {
    if (!object.is_object()) fail("a record's part is not an object");
  }

  /// A member that is always written.
  void need(std::string_view name) {
    if (object_.find(name) == nullptr) fail(name);
  }
  void text(std::string_view name, std::string& out) {
    const json::Value* value = object_.find(name);
    if (value == nullptr) return;
    if (!value->is_string()) return fail(name);
    out = value->as_string();
  }
  void flag(std::string_view name, bool& out) {
    const json::Value* value = object_.find(name);
    if (value == nullptr) return;
    if (!value->is_bool()) return fail(name);
    out = value->as_bool();
  }
  template <class Number>
  void number(std::string_view name, Number& out) {
    const json::Value* value = object_.find(name);
    if (value == nullptr) return;
    if (!value->is_int() || !std::in_range<Number>(value->as_int())) return fail(name);
    out = static_cast<Number>(value->as_int());
  }
  void span(std::string_view name, Duration& out) {
    Duration::rep count = out.count();
    number(name, count);
    if (count < -kSpanMax || count > kSpanMax) return fail(name);
    out = Duration(count);
  }
  void moment(std::string_view name, WallTime& out) {
    Duration since = out.time_since_epoch();
    span(name, since);
    out = WallTime(since);
  }
  void moment(std::string_view name, std::optional<WallTime>& out) {
    if (object_.find(name) == nullptr) return;
    WallTime at{};
    moment(name, at);
    out = at;
  }
  void digest(std::string_view name, Digest& out) {
    std::string text64;
    text(name, text64);
    if (text64.empty()) return;
    const auto raw = base64_decode(text64);
    if (!raw || raw->size() != out.bytes.size()) return fail(name);
    std::memcpy(out.bytes.data(), raw->data(), raw->size());
  }
  template <class Enum>
  void word(std::string_view name, Enum& out, std::optional<Enum> (*parse)(std::string_view)) {
    std::string text_value;
    text(name, text_value);
    if (text_value.empty()) return;
    const auto value = parse(text_value);
    if (!value) return fail(name);
    out = *value;
  }
  void attempt(std::string_view name, AttemptNo& out) {
    std::uint32_t value = out.value();
    number(name, value);
    out = AttemptNo(value);
  }
  /// The array of that name; null for none.
  const json::Value::Array* list(std::string_view name) {
    const json::Value* value = object_.find(name);
    if (value == nullptr) return nullptr;
    if (!value->is_array()) {
      fail(name);
      return nullptr;
    }
    return &value->items();
  }
  const json::Value* object(std::string_view name) { return object_.find(name); }

  void fail(std::string_view what) {
    if (!fault_) fault_ = std::string(what);
  }
  /// Takes over another reader's fault.
  void absorb(const Get& other) {
    if (other.fault_) fail(*other.fault_);
  }
  [[nodiscard]] const std::optional<std::string>& fault() const { return fault_; }

 private:
  const json::Value& object_;
  std::optional<std::string> fault_;
};

// Shapes that events and rows share (shapes.cpp).
void put_value(json::Writer& out, const ArtifactSummary& meant);
void put_value(json::Writer& out, const Observation& read);
void put(json::Writer& out, std::string_view name, const History& history);
void get_value(Get& get, ArtifactSummary& meant);
void get_value(Get& get, Observation& read);
void get_reads(Get& get, std::string_view name, std::vector<Observation>& reads);
void get_history(Get& get, std::string_view name, History& history);

// What was written before records were packed (text_events.cpp, text_rows.cpp).
[[nodiscard]] Result<std::vector<Event>> decode_text_events(std::string_view text);
[[nodiscard]] Result<OperationId> decode_text_id(std::string_view text);
[[nodiscard]] Result<void> decode_text_row(std::string_view text, Operation& operation);

}  // namespace trued::codec
