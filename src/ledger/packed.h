// packed.h: values one after the other, for what a ledger holds millions of. Private.
//
//   integer    7 bits a byte, lowest first; the top bit is set on all bytes but the last
//   signed     as an integer: 0, -1, 1, -2, … are 0, 1, 2, 3, …
//   enum, bool one byte
//   text       twice its length and its bytes; or 2n - 1: the same as the n-th text before
//   digest     a zero byte and 32 bytes; or n: the same as the n-th digest before
//   time       signed: the difference to the time before it, the first to 1970, milliseconds
//   duration   signed, milliseconds
//   optional   a zero byte, or a byte that is 1 and the value
//   list       the number of its values, and these
//
// "Before" counts texts of at least kTextMin bytes and digests that were written out, at most
// kRecentMax back: what was meant and what was seen are mostly the same.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "base/strong_id.h"
#include "base/time.h"
#include "base/uuid.h"

namespace trued::codec {

inline constexpr std::size_t kRecentMax = 4;
inline constexpr std::size_t kTextMin = 4;

/// Milliseconds that can be added to another such number without overflow: 280,000 years.
inline constexpr std::int64_t kSpanMax = std::int64_t{1} << 53;

/// The last few values that were written out.
template <class T>
class Recent {
 public:
  /// n if `value` is the n-th before; 0 if it is none of them.
  [[nodiscard]] std::size_t find(const T& value) const {
    for (std::size_t n = 1; n <= kRecentMax && n <= count_; ++n) {
      if (values_.at((count_ - n) % kRecentMax) == value) return n;
    }
    return 0;
  }
  [[nodiscard]] const T* at(std::size_t n) const {
    if (n == 0 || n > kRecentMax || n > count_) return nullptr;
    return &values_.at((count_ - n) % kRecentMax);
  }
  void add(const T& value) { values_.at(count_++ % kRecentMax) = value; }

 private:
  std::array<T, kRecentMax> values_{};
  std::size_t count_ = 0;
};

/// The greatest value of an enum that is written; packed_shapes.h.
template <class Enum>
inline constexpr Enum kLast;

template <class T>
inline constexpr bool kIsOptional = false;
template <class T>
inline constexpr bool kIsOptional<std::optional<T>> = true;
template <class T>
inline constexpr bool kIsList = false;
template <class T>
inline constexpr bool kIsList<std::vector<T>> = true;
template <class T>
inline constexpr bool kIsId = false;
template <class Tag, class T>
inline constexpr bool kIsId<StrongId<Tag, T>> = true;

/// Writes values; what a structure consists of is told by its fields() (packed_shapes.h). Texts
/// must outlive it.
class Pack {
 public:
  explicit Pack(std::string& out) : out_(out) {}

  template <class... Values>
  void operator()(const Values&... values) {
    (put(values), ...);
  }
  void byte(std::uint8_t value) { out_ += static_cast<char>(value); }

 private:
  template <class T>
  void put(const T& value) {
    if constexpr (std::is_same_v<T, bool> || std::is_enum_v<T>) {
      byte(static_cast<std::uint8_t>(value));
    } else if constexpr (std::is_unsigned_v<T>) {
      integer(value);
    } else if constexpr (kIsId<T>) {
      put(value.value());
    } else if constexpr (kIsOptional<T>) {
      byte(value ? 1 : 0);
      if (value) put(*value);
    } else if constexpr (kIsList<T>) {
      integer(value.size());
      for (const auto& each : value) put(each);
    } else if constexpr (std::is_same_v<T, Duration>) {
      number(value.count());
    } else {
      leaf(value);
    }
  }
  template <class T>
  void leaf(const T& value) {
    fields(*this, value);
  }
  void leaf(const std::string& value);
  void leaf(const Digest& value);
  void leaf(const Uuid& value);
  void leaf(const WallTime& value);
  void integer(std::uint64_t value);
  void number(std::int64_t value);

  std::string& out_;
  Recent<std::string_view> texts_;
  Recent<Digest> digests_;
  std::int64_t time_ = 0;
};

/// Reads values back. After a fault every value is left as it was; ok() tells.
class Unpack {
 public:
  explicit Unpack(std::string_view in) : in_(in) {}

  template <class... Values>
  void operator()(Values&... values) {
    (get(values), ...);
  }
  std::uint8_t byte();
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool at_end() const { return in_.empty(); }
  void fail() {
    ok_ = false;
    in_ = {};
  }

 private:
  template <class T>
  void get(T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      value = below(2) != 0;
    } else if constexpr (std::is_enum_v<T>) {
      value = static_cast<T>(below(std::to_underlying(kLast<T>) + 1));
    } else if constexpr (std::is_unsigned_v<T>) {
      const std::uint64_t read = integer();
      if (!std::in_range<T>(read)) return fail();
      value = static_cast<T>(read);
    } else if constexpr (kIsId<T>) {
      typename T::rep read{};
      get(read);
      value = T(read);
    } else if constexpr (kIsOptional<T>) {
      if (below(2) != 0) get(value.emplace());
    } else if constexpr (kIsList<T>) {
      // A value takes a byte at least: no count makes us reserve more than there can be.
      const std::uint64_t count = integer();
      if (count > in_.size()) return fail();
      value.resize(static_cast<std::size_t>(count));
      for (auto& each : value) get(each);
    } else if constexpr (std::is_same_v<T, Duration>) {
      value = Duration(within_span(number()));
    } else {
      leaf(value);
    }
  }
  template <class T>
  void leaf(T& value) {
    fields(*this, value);
  }
  void leaf(std::string& value);
  void leaf(Digest& value);
  void leaf(Uuid& value);
  void leaf(WallTime& value);
  std::uint8_t below(int limit);
  std::int64_t within_span(std::int64_t value);
  std::string_view take(std::uint64_t size);
  std::uint64_t integer();
  std::int64_t number();

  std::string_view in_;
  bool ok_ = true;
  Recent<std::string_view> texts_;
  Recent<Digest> digests_;
  std::int64_t time_ = 0;
};

}  // namespace trued::codec
