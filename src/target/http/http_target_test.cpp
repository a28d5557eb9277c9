#include "target/http/http_target.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "io/counting_server_test.h"
#include "json/parse.h"

namespace trued {
namespace {

using io::CountingServer;
using io::Peer;
using io::SeenRequest;

class HttpTargetTest : public testing::Test {
 protected:
  HttpTargetTest() {
    spec_.base_url = server_.url("/v1");
    spec_.allow_private = true;
  }
  void answer(std::string status, std::string body = "", std::string headers = "") {
    server_.set_handler(
        [=](const SeenRequest&, Peer& peer) { return peer.answer(status, body, headers), true; });
  }
  CallTarget& target() {
    if (!target_) {
      auto opened = HttpTarget::open(spec_);
      EXPECT_TRUE(opened.has_value()) << opened.error().message;
      target_ = std::move(opened).value();
    }
    return *target_;
  }
  static Call call_of(const std::string& request) {
    Call call;
    call.context.identity = "0123456789abcdef0123456789abcdef";
    call.context.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    call.context.timeout = Duration{5'000};
    auto parsed = json::parse(request);
    EXPECT_TRUE(parsed.has_value()) << request;
    call.request = std::move(parsed).value();
    return call;
  }
  EffectResult perform(const std::string& request = R"({"method":"POST","path":"/charges"})") {
    return target().perform(call_of(request));
  }
  RawRead read(const std::string& request) { return target().read(call_of(request)); }
  // The same member once more, with a value that a template was filled in with.
  EffectEnded filled(const std::string& member, const std::string& value) {
    Call call = call_of(R"({"method":"POST","path":"/a"})");
    json::Value::Object members{{"method", json::Value("POST")}, {"path", json::Value("/a")}};
    if (member == "path") members.at(1).second = json::Value("/a/" + value);
    if (member == "url") members.at(1) = {"url", json::Value(value)};
    if (member == "header") {
      members.emplace_back("headers", json::Value(json::Value::Object{{"X", json::Value(value)}}));
    }
    call.request = json::Value(std::move(members));
    return target().perform(call).ended;
  }

  CountingServer server_{
      [](const SeenRequest&, Peer& peer) { return peer.answer("200 OK", ""), true; }};
  HttpSpec spec_;
  std::shared_ptr<CallTarget> target_;
};

TEST_F(HttpTargetTest, T1_what_is_sent) {
  spec_.headers = {{"Authorization", "Bearer 12345678", true}, {"X-Plan", "target's"}};
  const EffectResult result = perform(
      R"({"method":"POST","path":"/charges?a=1","query":{"b":"x y&","c":[1,true],"d":null},
          "headers":{"X-Plan":"call's","X-N":7},"json":{"amount":10.50,"user":"ü"}})");
  ASSERT_EQ(result.ended.kind, EffectKind::acknowledged) << result.ended.reason;
  const SeenRequest sent = server_.requests().at(0);
  EXPECT_EQ(sent.target, "/v1/charges?a=1&b=x%20y%26&c=1&c=true");
  EXPECT_EQ(sent.body, "{\"amount\":10.5,\"user\":\"ü\"}");
  EXPECT_EQ(sent.header("Content-Type"), "application/json");
  EXPECT_EQ(sent.header("Idempotency-Key"), "0123456789abcdef0123456789abcdef");
  EXPECT_EQ(sent.header("traceparent"), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  EXPECT_EQ(sent.header("Authorization"), "Bearer 12345678");
  EXPECT_EQ(sent.header("X-Plan"), "call's");
  EXPECT_EQ(sent.header("X-N"), "7");
}

TEST_F(HttpTargetTest, T2_the_identity_goes_where_the_call_says) {
  perform(R"({"method":"POST","path":"/a","idempotency_header":"X-Request-Id"})");
  perform(R"({"method":"POST","path":"/a","idempotency_header":null})");
  EXPECT_EQ(server_.requests().at(0).header("X-Request-Id"), "0123456789abcdef0123456789abcdef");
  for (const SeenRequest& sent : server_.requests()) {
    EXPECT_EQ(sent.header("Idempotency-Key"), "") << sent.head;
  }
}

TEST_F(HttpTargetTest, V10_secrets_are_masked_and_nothing_else) {
  spec_.headers = {{"X-Api-Key", "1", true},
                   {"X-Monkey", "banana-12345"},
                   {"X-Auth-Mode", "live"},
                   {"Authorization", "Bearer s3cr3t-word"}};
  const std::string plain = R"({"amount":11,"mode":"live","monkey":"banana-12345"})";
  answer("200 OK", plain);
  EXPECT_EQ(perform().ended.result, plain);
  answer("200 OK", R"({"sent":"s3cr3t-word"})");
  EXPECT_EQ(perform().ended.result, R"({"sent":"***"})");
}

TEST_F(HttpTargetTest, V10_an_excerpt_that_ends_within_a_secret_shows_none_of_it) {
  spec_.headers = {{"Authorization", "Bearer s3cr3t-word"}};
  answer("400 Bad Request", std::string(295, 'x') + "s3cr3t-word");
  const std::string why = perform().ended.reason;
  EXPECT_EQ(why.find("s3"), std::string::npos) << why;
  const std::string unreadable = read(R"({"path":"/a"})").detail;
  EXPECT_EQ(unreadable.find("s3"), std::string::npos) << unreadable;
}

TEST_F(HttpTargetTest, a_form_and_a_text) {
  perform(R"({"method":"POST","path":"/a","form":{"a":"1 2","b":[3,"ü"]}})");
  perform(R"({"method":"PUT","path":"/a","body":"text"})");
  EXPECT_EQ(server_.requests().at(0).body, "a=1%202&b=3&b=%C3%BC");
  EXPECT_EQ(server_.requests().at(0).header("Content-Type"), "application/x-www-form-urlencoded");
  EXPECT_EQ(server_.requests().at(1).body, "text");
}

TEST_F(HttpTargetTest, T1_T5_what_each_status_says) {
  const auto kind = [&](const std::string& status, const std::string& headers = "") {
    answer(status + " X", "", headers);
    return perform().ended.kind;
  };
  for (const char* yes : {"200", "201", "202", "204", "299"}) {
    EXPECT_EQ(kind(yes), EffectKind::acknowledged) << yes;
  }
  for (const char* final : {"307", "308", "400", "401", "403", "404", "405", "409", "410", "412",
                            "413", "422", "451"}) {
    EXPECT_EQ(kind(final), EffectKind::rejected_final) << final;
  }
  for (const char* later : {"425", "429"}) {
    EXPECT_EQ(kind(later), EffectKind::rejected_retryable) << later;
  }
  EXPECT_EQ(kind("503", "Retry-After: 3\r\n"), EffectKind::rejected_retryable);
  for (const char* unknown :
       {"301", "302", "303", "304", "408", "500", "501", "502", "503", "504", "507", "599"}) {
    EXPECT_EQ(kind(unknown), EffectKind::unknown) << unknown;
  }
}

TEST_F(HttpTargetTest, T2_a_conflict_on_our_own_key_is_not_a_no) {
  spec_.deduplicates = true;
  answer("409 Conflict", "{}", "Retry-After: 2\r\n");
  const EffectResult under_way = perform();
  EXPECT_EQ(under_way.ended.kind, EffectKind::unknown);
  EXPECT_EQ(under_way.retry_after, Duration{2'000});
  const EffectResult without =
      perform(R"({"method":"POST","path":"/a","idempotency_header":null})");
  EXPECT_EQ(without.ended.kind, EffectKind::rejected_final);
}

TEST_F(HttpTargetTest, T1_a_definition_may_know_better) {
  const std::string request = R"({"method":"DELETE","path":"/a","answers":
      {"404":"acknowledged","5xx":"retryable","500":"unknown","2xx":"unknown","200":"final"}})";
  const std::pair<const char*, EffectKind> cases[] = {
      {"404", EffectKind::acknowledged},   {"502", EffectKind::rejected_retryable},
      {"500", EffectKind::unknown},        {"202", EffectKind::unknown},
      {"200", EffectKind::rejected_final}, {"429", EffectKind::rejected_retryable}};
  for (const auto& [status, kind] : cases) {
    answer(std::string(status) + " X");
    EXPECT_EQ(perform(request).ended.kind, kind) << status;
  }
}

TEST_F(HttpTargetTest, T5_retry_after_in_both_forms_and_bounded) {
  answer("429 Slow down", "", "Retry-After: 5\r\n");
  EXPECT_EQ(perform().retry_after, Duration{5'000});
  answer("429 Slow down", "", "Retry-After: 999999\r\n");
  EXPECT_EQ(perform().retry_after, Duration{3'600'000});
  // By the clock of whoever wrote the date.
  answer("503 Busy", "",
         "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:49:52 GMT\r\n");
  EXPECT_EQ(perform().retry_after, Duration{15'000});
  answer("429 Slow down", "", "Retry-After: soon\r\n");
  EXPECT_EQ(perform().retry_after, Duration{0});
}

TEST_F(HttpTargetTest, T6_too_many_requests_is_no_failure_of_the_target) {
  answer("429 Slow down");
  EXPECT_TRUE(perform().throttled);
  for (const char* status : {"425 Too Early", "503 Busy", "500 X", "403 X", "200 OK"}) {
    answer(status, "", "Retry-After: 1\r\n");
    EXPECT_FALSE(perform().throttled) << status;
  }
  answer("429 Slow down");
  EXPECT_FALSE(perform(R"({"method":"POST","path":"/a","answers":{"429":"final"}})").throttled);
}

TEST_F(HttpTargetTest, T1_the_answer_becomes_the_result) {
  answer("201 Created", "{ \"id\": \"ch_1\" }", "ETag: \"v7\"\r\n");
  const EffectEnded created = perform().ended;
  EXPECT_EQ(created.result, "{\"id\":\"ch_1\"}");
  EXPECT_EQ(created.version, "\"v7\"");
  EXPECT_TRUE(created.changed);
  answer("200 OK", "{}", "Idempotent-Replayed: true\r\n");
  EXPECT_FALSE(perform().ended.changed);
  answer("200 OK", "not { json \xff");
  EXPECT_EQ(perform().ended.result, "{\"status\":200,\"text\":\"not { json \xef\xbf\xbd\"}");
  answer("204 No Content");
  EXPECT_EQ(perform().ended.result, "{\"status\":204,\"text\":\"\"}");
  answer("200 OK", "[\"" + std::string(100'000, 'x') + "\"]");
  const EffectEnded large = perform().ended;
  EXPECT_LE(large.result.size(), std::size_t{64} << 10U);
  EXPECT_NE(large.result.find("\"truncated\":true"), std::string::npos);
}

TEST_F(HttpTargetTest, T1_an_answer_beyond_the_bound_is_still_a_yes) {
  spec_.response_bytes_max = 1'000;
  answer("200 OK", std::string(5'000, 'x'));
  const EffectEnded ended = perform().ended;
  EXPECT_EQ(ended.kind, EffectKind::acknowledged) << ended.reason;
  EXPECT_NE(ended.result.find("\"truncated\":true"), std::string::npos);
  EXPECT_EQ(read(R"({"path":"/a"})").seen, Seen::unreadable);
}

TEST_F(HttpTargetTest, S7_what_was_filled_in_cannot_break_out) {
  for (const char* value : {"..",
                            ".",
                            "../x",
                            "%2e%2e",
                            "%2e%2e%2fx",
                            "..%2fx",
                            "x/../../y",
                            "%252e%252e%252fx",
                            "/x",
                            "/evil.example",
                            "x y",
                            "x\r\nHost: y",
                            "x%0d%0aHost:%20y",
                            "%00",
                            "x#y",
                            "x\\..\\y",
                            "%5c..%5cy",
                            "%zz",
                            "%",
                            "ü",
                            "\x7f",
                            "..%5cx"}) {
    const EffectEnded ended = filled("path", value);
    EXPECT_EQ(ended.kind, EffectKind::rejected_final) << value;
    EXPECT_NE(ended.reason.find("/path"), std::string::npos) << ended.reason;
  }
  for (const char* value : {"a\r\nX-Evil: 1", "a\nb", "a\rb", "\x01", "a\x7f"}) {
    EXPECT_EQ(filled("header", value).kind, EffectKind::rejected_final) << value;
  }
  EXPECT_EQ(filled("header", std::string("a\0b", 3)).kind, EffectKind::rejected_final);
  for (const std::string& url :
       {std::string("http://evil.example/v1/a"), server_.url("/v2/a"), server_.url("/v1x"),
        server_.url("/v1/../admin"), server_.url("/v1/%2e%2e/admin"),
        std::string("https") + server_.url().substr(4), std::string("http://127.0.0.1:1/v1/a"),
        std::string("http://user@") + server_.url("/v1/a").substr(7),
        std::string("//evil.example/v1"), std::string("/v1/a"), std::string("javascript:1")}) {
    EXPECT_EQ(filled("url", url).kind, EffectKind::rejected_final) << url;
  }
  EXPECT_EQ(server_.requests().size(), 0U);
  for (const char* value : {"ch_1", "a%2Fb", "%C3%BC", "100%25", "a..b", "...", "a:b@c", "~x"}) {
    EXPECT_EQ(filled("path", value).kind, EffectKind::acknowledged) << value;
  }
  EXPECT_EQ(filled("url", server_.url("/v1/charges/1?x=y")).kind, EffectKind::acknowledged);
}

TEST_F(HttpTargetTest, S5_secrets_are_in_no_reason_and_no_result) {
  spec_.headers = {{"Authorization", "Bearer tok-123456789", true}, {"X-Api-Key", "k-987654321"}};
  spec_.proxy = "";
  const std::string echo = "you sent Bearer tok-123456789 and k-987654321";
  for (const char* status : {"200 OK", "400 Bad", "500 Oops"}) {
    answer(status, "{\"echo\":\"" + echo + "\"}");
    const EffectEnded ended = perform().ended;
    for (const std::string& text : {ended.reason, ended.result}) {
      EXPECT_EQ(text.find("tok-123456789"), std::string::npos) << text;
      EXPECT_EQ(text.find("k-987654321"), std::string::npos) << text;
    }
  }
  const RawRead back = read(R"({"path":"/a"})");
  EXPECT_EQ(back.detail.find("tok-123456789"), std::string::npos) << back.detail;
  const EffectEnded query =
      perform(R"({"method":"POST","path":"/a","query":{"api_key":"hush-hush"}})").ended;
  EXPECT_EQ(query.reason.find("hush-hush"), std::string::npos) << query.reason;
}

TEST_F(HttpTargetTest, V3_what_a_read_finds) {
  answer("200 OK", "content", "ETag: \"e\"\r\nX-Served-By: edge\r\n");
  const RawRead found = read(R"({"path":"/a","query":{"k":"1"}})");
  EXPECT_EQ(found.seen, Seen::found);
  EXPECT_EQ(found.content, "content");
  EXPECT_EQ(found.version, "\"e\"");
  EXPECT_EQ(found.served_by, "edge");
  EXPECT_EQ(server_.requests().back().target, "/v1/a?k=1");
  EXPECT_EQ(server_.requests().back().header("Idempotency-Key"), "");
  answer("204 No Content");
  EXPECT_EQ(read(R"({"path":"/a"})").seen, Seen::found);
  for (const char* absent : {"404 Not Found", "410 Gone"}) {
    answer(absent);
    EXPECT_EQ(read(R"({"path":"/a"})").seen, Seen::absent) << absent;
    EXPECT_EQ(read(R"({"path":"/a","absent_on":[204]})").seen, Seen::unreadable) << absent;
  }
  for (const char* neither : {"202 Accepted", "206 Partial Content", "302 Found", "304 X", "401 X",
                              "403 X", "429 X", "500 X", "503 X"}) {
    answer(neither);
    const RawRead back = read(R"({"path":"/a"})");
    EXPECT_EQ(back.seen, Seen::unreadable) << neither;
    EXPECT_NE(back.detail.find(std::string(neither).substr(0, 3)), std::string::npos);
  }
  answer("200 OK", "[]");
  EXPECT_EQ(read(R"({"method":"POST","path":"/search","json":{"q":1}})").content, "[]");
  EXPECT_EQ(server_.requests().back().body, "{\"q\":1}");
}

TEST_F(HttpTargetTest, S7_inner_addresses_are_refused_unless_allowed) {
  spec_.allow_private = false;
  const EffectEnded ended = perform().ended;
  EXPECT_EQ(ended.kind, EffectKind::rejected_final);
  EXPECT_NE(ended.reason.find("127.0.0.1 is refused: it is a loopback address"), std::string::npos)
      << ended.reason;
  EXPECT_EQ(read(R"({"path":"/a"})").seen, Seen::unreadable);
  EXPECT_EQ(server_.connections(), 0);
  spec_.allowed_networks = {"127.0.0.0/8"};
  target_.reset();
  EXPECT_EQ(perform().ended.kind, EffectKind::acknowledged);
}

TEST(HttpSpec, V10_everything_that_is_wrong_is_said) {
  const auto settings = [](const HttpSpec& spec) {
    std::string all;
    for (const SpecFault& fault : wrong_with(spec)) all += fault.setting + " ";
    return all;
  };
  HttpSpec fine;
  fine.base_url = "https://api.example.com/v1";
  EXPECT_EQ(settings(fine), "");
  for (const char* base : {"", "api.example.com", "ftp://x", "https://", "https://u:p@x",
                           "https://x?q=1", "https://x/#f", "https://${input.host}/"}) {
    HttpSpec spec;
    spec.base_url = base;
    EXPECT_EQ(settings(spec), "base_url ") << base;
    EXPECT_FALSE(HttpTarget::open(spec).has_value());
  }
  HttpSpec spec = fine;
  spec.headers = {{"Host", "x"}, {"A B", "x"}, {"X", "a\nb"},
                  {"Y", "1"},    {"y", "2"},   {"Idempotency-Key", "x"}};
  spec.allowed_networks = {"10.0.0.1/8", "all"};
  spec.proxy = "https://user:hunter2@p";
  spec.remembers = Duration{1'000};
  spec.first_byte_timeout = Duration{60'000};
  spec.send_timeout = Duration{0};
  EXPECT_EQ(settings(spec),
            "headers.Host headers.A B headers.X headers.y headers.Idempotency-Key allow_private "
            "allow_private proxy remembers timeouts.send timeouts.first_byte ");
  const auto opened = HttpTarget::open(spec);
  EXPECT_EQ(opened.error().message.find("hunter2"), std::string::npos) << opened.error().message;
  spec = fine;
  spec.no_proxy = "x";
  EXPECT_EQ(settings(spec), "no_proxy ");
  spec = fine;
  spec.ca_file = "/no/such.pem";
  EXPECT_NE(HttpTarget::open(spec).error().message.find("/no/such.pem"), std::string::npos);
}

}  // namespace
}  // namespace trued
