#include "ledger/postgres/values.h"

#include <limits>

#include "base/encoding.h"
#include "ledger/postgres/postgres_test_support.h"

namespace trued::postgres {
namespace {

// What the server itself writes for the same array.
std::string sent(const std::string& array) {
  return test::server().sql("SELECT encode(array_send(" + array + "), 'hex')");
}

std::string shown(const Column& column) {
  const pg::Parameter parameter = column.parameter();
  EXPECT_TRUE(parameter.is_binary());
  return hex_encode(parameter.value().value_or(""));
}

TEST(Values, T2_columns_are_arrays_as_postgresql_writes_them) {
  Numbers numbers;
  Blobs blobs;
  // Without elements there is nothing but their type, whatever the server says of no dimensions.
  EXPECT_EQ(shown(numbers), sent("'{}'::bigint[]"));
  EXPECT_EQ(shown(blobs), sent("'{}'::bytea[]"));

  numbers.add(std::int64_t{1});
  numbers.add(-5);
  numbers.add(std::optional<WallTime>{});
  numbers.add(std::numeric_limits<std::int64_t>::min());
  numbers.add(std::numeric_limits<std::int64_t>::max());
  numbers.add(WallTime(Duration{1'700'000'000'123}));
  EXPECT_EQ(numbers.size(), 6U);
  EXPECT_EQ(shown(numbers), sent("'{1,-5,NULL,-9223372036854775808,9223372036854775807,"
                                 "1700000000123}'::bigint[]"));

  blobs.add(std::string_view("a\0b\\\"", 5));
  blobs.add(std::string_view());
  blobs.add_null();
  blobs.add(std::string(300, '\xff'));
  EXPECT_EQ(shown(blobs), sent("ARRAY['\\x6100625c22', '', NULL, "
                               "decode(repeat('ff', 300), 'hex')]::bytea[]"));
}

}  // namespace
}  // namespace trued::postgres
