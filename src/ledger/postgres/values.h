// values.h: numbers, bytes and lists as PostgreSQL writes them and reads them. Private. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "pg/parameter.h"

namespace trued::postgres {

/// One column of many rows, as an array that unnest() takes apart: bigint[] or bytea[]. In its
/// binary form, which array_recv() reads in half the time that its text would take.
class Column {
 public:
  enum class Element : std::uint8_t { number, bytes };
  explicit Column(Element element) : element_(element) {}

  void add(std::int64_t value);
  void add(std::uint64_t value) { add(static_cast<std::int64_t>(value)); }
  void add(int value) { add(std::int64_t{value}); }
  void add(WallTime value) { add(value.time_since_epoch().count()); }
  void add(std::optional<WallTime> value) { value ? add(*value) : add_null(); }
  void add(std::string_view bytes);
  void add_null();
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] pg::Parameter parameter() const;

 private:
  Element element_;
  bool nulls_ = false;
  std::uint32_t size_ = 0;
  std::string elements_;
};

struct Numbers : Column {
  Numbers() : Column(Element::number) {}
};
struct Blobs : Column {
  Blobs() : Column(Element::bytes) {}
};

/// A parameter of type bytea.
[[nodiscard]] pg::Parameter bytea(std::string_view bytes);

/// The columns of one row, from the left; what is not what it should be is found at the end.
class Fields {
 public:
  explicit Fields(const std::vector<std::optional<std::string>>& row) : row_(row) {}

  [[nodiscard]] bool null() const { return at_ >= row_.size() || !row_[at_]; }
  void skip(std::size_t columns = 1) { at_ += columns; }
  [[nodiscard]] std::int64_t integer();
  [[nodiscard]] std::uint64_t number() { return static_cast<std::uint64_t>(integer()); }
  [[nodiscard]] WallTime moment() { return WallTime(Duration(integer())); }
  [[nodiscard]] std::string bytes();
  [[nodiscard]] std::string text();
  [[nodiscard]] bool truth() { return text() == "t"; }
  /// `corrupt` if anything asked for was missing or of another kind.
  [[nodiscard]] Result<void> check() const;

 private:
  [[nodiscard]] const std::string* take();

  const std::vector<std::optional<std::string>>& row_;
  std::size_t at_ = 0;
  bool wrong_ = false;
};

}  // namespace trued::postgres
