#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/digest.h"
#include "base/encoding.h"
#include "base/random.h"
#include "base/resembles.h"
#include "base/result.h"
#include "base/time.h"
#include "base/uuid.h"

namespace trued {
namespace {

TEST(Digest, sha256_is_that_of_fips_180_4) {
  EXPECT_EQ(sha256("abc").hex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256("").hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  Sha256 pieces;
  pieces.update("a");
  pieces.update("bc");
  EXPECT_EQ(pieces.finish(), sha256("abc"));
}

TEST(Digest, hex_reads_back_and_refuses_what_it_is_not) {
  const Digest digest = sha256("x");
  EXPECT_EQ(Digest::from_hex(digest.hex()), digest);
  EXPECT_FALSE(Digest::from_hex("ab"));
  EXPECT_FALSE(Digest::from_hex(std::string(64, 'g')));
}

TEST(Encoding, base64_of_rfc_4648) {
  const std::pair<const char*, const char*> cases[] = {{"", ""},
                                                       {"f", "Zg=="},
                                                       {"fo", "Zm8="},
                                                       {"foo", "Zm9v"},
                                                       {"foob", "Zm9vYg=="},
                                                       {"fooba", "Zm9vYmE="},
                                                       {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, encoded] : cases) {
    EXPECT_EQ(base64_encode(plain), encoded);
    EXPECT_EQ(base64_decode(encoded), plain);
  }
}

TEST(Encoding, base64_refuses_what_is_not_canonical) {
  for (const char* bad : {"Zg", "Zg=", "Zh==", "Zm9=", "Zm 9v", "====", "Z===", "Zg==Zg=="}) {
    EXPECT_FALSE(base64_decode(bad)) << bad;
  }
}

RC_GTEST_PROP(Encoding, base64_and_hex_read_back, (const std::string& data)) {
  RC_ASSERT(base64_decode(base64_encode(data)) == data);
  RC_ASSERT(hex_decode(hex_encode(data)) == data);
}

TEST(Encoding, all_but_the_unreserved_is_percent_encoded) {
  EXPECT_EQ(percent_encoded("aZ09-._~"), "aZ09-._~");
  EXPECT_EQ(percent_encoded("a b/\xC3\xBC%"), "a%20b%2F%C3%BC%25");
  EXPECT_EQ(percent_encoded("a b/c", "/"), "a%20b/c");
}

TEST(Encoding, utf8_is_repaired_byte_by_byte_and_only_where_it_is_broken) {
  EXPECT_EQ(utf8_repaired("gr\xC3\xBC\xC3\x9F"), "gr\xC3\xBC\xC3\x9F");
  EXPECT_EQ(utf8_repaired("a\xFF\xC3z"), "a\xEF\xBF\xBD\xEF\xBF\xBDz");
  EXPECT_TRUE(utf8_valid(utf8_repaired("\xED\xA0\x80\xF0\x9F\x98")));
}

TEST(Encoding, utf8_is_that_of_rfc_3629) {
  for (const char* good :
       {"", "a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xed\x9f\xbf"}) {
    EXPECT_TRUE(utf8_valid(good)) << good;
  }
  for (const char* bad : {"\x80", "\xc0\xaf", "\xc1\x81", "\xe0\x80\x80", "\xed\xa0\x80",
                          "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe2\x82", "\xff"}) {
    EXPECT_FALSE(utf8_valid(bad));
  }
}

TEST(Uuid, T2_ids_grow_strictly_even_if_the_clock_steps_back) {
  UuidV7Generator generator;
  SeededRandom dice(1);
  Uuid last = generator.next(WallTime(Duration(1'000)), dice.next(), dice.next());
  for (int i = 0; i < 20'000; ++i) {
    const WallTime now{Duration(1'000 - i % 7)};
    const Uuid next = generator.next(now, dice.next(), dice.next());
    ASSERT_LT(last, next);
    ASSERT_LT(last.base32(), next.base32());
    last = next;
  }
  EXPECT_EQ(last.bytes.at(6) >> 4, 7);
  EXPECT_EQ(last.bytes.at(8) >> 6, 2);
}

RC_GTEST_PROP(Uuid, base32_reads_back, (const std::array<std::uint8_t, 16>& bytes)) {
  const Uuid uuid{bytes};
  RC_ASSERT(uuid.base32().size() == 26U);
  RC_ASSERT(Uuid::from_base32(uuid.base32()) == uuid);
}

TEST(Uuid, base32_refuses_other_texts) {
  EXPECT_FALSE(Uuid::from_base32(""));
  EXPECT_FALSE(Uuid::from_base32(std::string(26, 'u')));
  EXPECT_FALSE(Uuid::from_base32("8" + std::string(25, '0')));
}

TEST(Time, rfc_3339_reads_and_writes) {
  const auto at = parse_rfc3339("2026-11-21T04:15:06.123Z");
  ASSERT_TRUE(at);
  EXPECT_EQ(format_rfc3339(*at), "2026-11-21T04:15:06.123Z");
  EXPECT_EQ(format_rfc3339(*parse_rfc3339("2026-11-21T06:15:06+02:00")),
            "2026-11-21T04:15:06.000Z");
  EXPECT_EQ(format_rfc3339(*parse_rfc3339("1969-12-31T23:59:59.999Z")), "1969-12-31T23:59:59.999Z");
  for (const char* bad : {"", "tomorrow", "2026-02-30T00:00:00Z", "2026-11-21T24:00:00Z",
                          "2026-11-21T04:15:06", "2026-11-21T04:15:06Zx", "2026-11-21T04:15:06.Z",
                          "20261121T041506Z", "2026-11-21T04:15:06+2:00"}) {
    EXPECT_FALSE(parse_rfc3339(bad)) << bad;
  }
}

TEST(Time, what_no_rfc_3339_time_in_utc_is_is_not_read) {
  for (const char* bad : {"0000-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01"}) {
    EXPECT_FALSE(parse_rfc3339(bad)) << bad;
  }
  for (const char* good : {"0000-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z"}) {
    EXPECT_EQ(format_rfc3339(*parse_rfc3339(good)), good);
  }
}

TEST(Time, durations_read_and_write) {
  EXPECT_EQ(*parse_duration("250ms"), Duration(250));
  EXPECT_EQ(*parse_duration("24h"), Duration(86'400'000));
  EXPECT_EQ(format_duration(Duration(90'000)), "90s");
  EXPECT_EQ(format_duration(Duration(0)), "0ms");
  for (const char* bad :
       {"", "5", "s", "-1s", "1.5s", "1 s", "5w", "99999999999999999999d", "9999999999d"}) {
    EXPECT_FALSE(parse_duration(bad)) << bad;
  }
}

RC_GTEST_PROP(Time, durations_read_back, (std::uint32_t ms)) {
  RC_ASSERT(*parse_duration(format_duration(Duration(ms))) == Duration(ms));
}

TEST(Resembles, what_was_meant_is_found_and_what_is_far_off_is_not) {
  const std::vector<std::string> known{"path", "method", "headers"};
  EXPECT_EQ(resembles("paht", known), "path") << "two swapped letters are one slip";
  EXPECT_EQ(resembles("methods", known), "method");
  EXPECT_EQ(resembles("body", known), std::nullopt);
  EXPECT_EQ(resembles(std::string(10'000, 'p'), known), std::nullopt);
  EXPECT_EQ(did_you_mean("paht", known), "did you mean 'path'?");
  EXPECT_EQ(did_you_mean("body", known), "known here: path, method, headers");
  const std::vector<std::string> many(30, "some_setting");
  EXPECT_TRUE(did_you_mean("body", many).ends_with(", …"));
}

TEST(Result, a_value_or_an_error_and_never_both) {
  const Result<int> value = 3;
  const Result<int> error = Error{.code = ErrorCode::io, .message = "no"};
  EXPECT_EQ(*value, 3);
  EXPECT_EQ(error.error().code, ErrorCode::io);
  EXPECT_DEATH((void)*error, "assertion failed");
  const auto twice = [](const Result<int>& in) -> Result<int> {
    TRUED_TRY(const int x, in);
    return x * 2;
  };
  EXPECT_EQ(*twice(value), 6);
  EXPECT_FALSE(twice(error));
}

}  // namespace
}  // namespace trued
