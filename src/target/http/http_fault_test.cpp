// Every way in which a call can break, against a server that keeps count of what it executed: what
// the target says must be what happened, and nothing is sent twice.
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>
#include <zlib.h>

#include <gtest/gtest.h>

#include "io/counting_server_test.h"
#include "json/parse.h"
#include "target/http/http_target.h"

namespace trued {
namespace {

using io::CountingServer;
using io::Peer;
using io::SeenRequest;

constexpr const char* kCharge = R"({"method":"POST","path":"/charge","json":{"amount":1}})";

Call call_of(const std::string& identity, Duration timeout = Duration{5'000}) {
  Call call;
  call.context.identity = identity;
  call.context.timeout = timeout;
  call.request = json::parse(kCharge).value();
  return call;
}

std::shared_ptr<CallTarget> open(HttpSpec spec, const std::string& url) {
  spec.base_url = url;
  spec.allow_private = true;
  auto target = HttpTarget::open(spec);
  EXPECT_TRUE(target.has_value()) << target.error().message;
  return std::move(target).value();
}

std::string make_gzip_bomb() {
  const std::string content(20'000'000, 'x');
  z_stream state{};
  EXPECT_EQ(::deflateInit2(&state, 9, Z_DEFLATED, 31, 9, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(::deflateBound(&state, content.size()), '\0');
  state.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
  state.avail_in = static_cast<uInt>(content.size());
  state.next_out = reinterpret_cast<Bytef*>(out.data());
  state.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(::deflate(&state, Z_FINISH), Z_STREAM_END);
  out.resize(state.total_out);
  ::deflateEnd(&state);
  return out;
}

const std::string& gzip_bomb() {
  static const std::string bomb = make_gzip_bomb();
  return bomb;
}

struct Fault {
  std::string name;
  std::function<bool(Peer&)> after_execution;
  EffectKind kind;
};

std::vector<Fault> faults() {
  const auto bytes = [](std::string text) {
    return [text](Peer& peer) { return peer.send(text), false; };
  };
  return {
      {"closed", [](Peer&) { return false; }, EffectKind::unknown},
      {"reset", [](Peer& peer) { return peer.reset(), false; }, EffectKind::unknown},
      {"silent", [](Peer& peer) { return peer.hang(), false; }, EffectKind::unknown},
      {"half a head", bytes("HTTP/1.1 200 O"), EffectKind::unknown},
      {"half a body", bytes("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"),
       EffectKind::unknown},
      {"half a refusal", bytes("HTTP/1.1 422 No\r\nContent-Length: 9\r\n\r\nhalf"),
       EffectKind::unknown},
      {"broken chunks",
       bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\nZ"),
       EffectKind::unknown},
      {"chunks without an end",
       bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n"),
       EffectKind::unknown},
      {"interim alone", bytes("HTTP/1.1 102 Processing\r\n\r\n"), EffectKind::unknown},
      {"another protocol", bytes("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"),
       EffectKind::unknown},
      {"garbage", bytes("\x16\x03\x01\x02 what?\r\n\r\n"), EffectKind::unknown},
      {"another version", bytes("HTTP/7.3 200 OK\r\n\r\n"), EffectKind::unknown},
      {"a status of four digits", bytes("HTTP/1.1 2000 OK\r\n\r\n"), EffectKind::unknown},
      {"slow drip",
       [](Peer& peer) {
         peer.answer_head("200 OK", 10'000);
         while (!peer.gone_within(10)) peer.send("x");
         return false;
       },
       EffectKind::unknown},
      {"too large",
       [](Peer& peer) { return peer.answer("200 OK", std::string(50'000, 'x')), true; },
       EffectKind::acknowledged},
      {"gzip bomb",
       [](Peer& peer) {
         return peer.answer("200 OK", gzip_bomb(), "Content-Encoding: gzip\r\n"), true;
       },
       EffectKind::acknowledged},
      {"gzip that is none",
       [](Peer& peer) { return peer.answer("200 OK", "x", "Content-Encoding: gzip\r\n"), true; },
       EffectKind::acknowledged},
      {"interim first",
       [](Peer& peer) {
         peer.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
         return peer.answer("201 Created", "{}"), true;
       },
       EffectKind::acknowledged},
      // A server that says it keeps the connection and closes it races with the next effect.
      {"no content", [](Peer& peer) { return peer.send("HTTP/1.1 204 No Content\r\n\r\n"), true; },
       EffectKind::acknowledged},
      {"no length", bytes("HTTP/1.0 200 OK\r\n\r\n{}"), EffectKind::acknowledged},
  };
}

class HttpFaultTest : public testing::TestWithParam<bool> {};

// On a connection of its own, and on one that was used before.
TEST_P(HttpFaultTest, T1_T5_word_and_truth_agree) {
  ASSERT_LT(gzip_bomb().size(), 50'000U);
  for (const Fault& fault : faults()) {
    std::atomic<int> executed{0};
    std::atomic<bool> faulty{false};
    CountingServer server([&](const SeenRequest&, Peer& peer) {
      ++executed;
      if (faulty) return fault.after_execution(peer);
      return peer.answer("200 OK", "{}"), true;
    });
    HttpSpec spec;
    spec.first_byte_timeout = Duration{1'000};
    spec.total_timeout = Duration{1'500};
    spec.send_timeout = spec.connect_timeout = Duration{1'000};
    spec.response_bytes_max = 20'000;
    spec.fresh_connections = GetParam();
    const auto target = open(spec, server.url());
    ASSERT_EQ(target->perform(call_of("first")).ended.kind, EffectKind::acknowledged);
    faulty = true;
    const EffectEnded ended = target->perform(call_of("second")).ended;
    EXPECT_EQ(ended.kind, fault.kind) << fault.name << ": " << ended.reason;
    EXPECT_EQ(executed, 2) << fault.name << ": executed once, and never sent again";
    EXPECT_EQ(server.connections(), GetParam() ? 2 : 1) << fault.name;
    faulty = false;
    EXPECT_EQ(target->perform(call_of("third")).ended.kind, EffectKind::acknowledged) << fault.name;
    EXPECT_EQ(executed, 3) << fault.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Http, HttpFaultTest, testing::Bool(), [](const auto& info) {
  return info.param ? "fresh_connection" : "used_connection";
});

TEST(HttpFault, T1_a_server_that_goes_before_it_read_anything_did_nothing_and_is_not_asked_again) {
  CountingServer server(
      [](const SeenRequest&, Peer& peer) { return peer.answer("200 OK", ""), true; });
  server.refuse_to_listen(true);
  const auto target = open({}, server.url());
  const EffectEnded ended = target->perform(call_of("a")).ended;
  // It cannot be told from one that read everything, executed, and went.
  EXPECT_TRUE(ended.kind == EffectKind::unknown || ended.kind == EffectKind::not_sent)
      << ended.reason;
  EXPECT_EQ(server.requests().size(), 0U);
  EXPECT_EQ(server.connections(), 1);
}

TEST(HttpFault, T1_who_deduplicates_is_called_on_used_connections) {
  CountingServer server(
      [](const SeenRequest&, Peer& peer) { return peer.answer("200 OK", ""), true; });
  HttpSpec spec;
  spec.deduplicates = true;
  const auto target = open(spec, server.url());
  for (int i = 0; i < 3; ++i) (void)target->perform(call_of("a"));
  EXPECT_EQ(server.connections(), 1);
  // By its key: what is sent without one must not meet a connection that is just closed.
  Call keyless = call_of("a");
  json::Value::Object members = keyless.request.members();
  members.emplace_back("idempotency_header", json::Value());
  keyless.request = json::Value(std::move(members));
  (void)target->perform(keyless);
  EXPECT_EQ(server.connections(), 2);
}

}  // namespace
}  // namespace trued
