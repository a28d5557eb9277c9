// Batches: order, bounds, and lines that are wrong among lines that are right.
#include <thread>

#include "api/api_test_support.h"

namespace trued::api {
namespace {

std::string line(const std::string& key, const std::string& path, const std::string& content) {
  return R"({"key":")" + key + R"(",)" + Server::submission(path, content).substr(1) + "\n";
}

Got send(Server& server, const std::string& body, const std::string& prefer = "wait=30") {
  return server.post("/v1/operations/batch", body,
                     {{"Content-Type", "application/x-ndjson"}, {"Prefer", prefer}});
}

std::vector<Got> answers(const Got& got) {
  std::vector<Got> lines;
  std::string_view rest = got.response.body;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    auto value = json::parse(rest.substr(0, end));
    EXPECT_TRUE(value.has_value());
    Got one;
    if (value.has_value()) one.value = std::move(value).value();
    lines.push_back(std::move(one));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return lines;
}

TEST(Batch, T1_every_line_has_its_answer_in_order) {
  Server server;
  ASSERT_EQ(server.write("old", "old.md", "1").status(), 201);
  const std::string body = line("a", "a.md", "1") + "not json\n" + line("old", "old.md", "1") +
                           "\r\n" + line("old", "old.md", "2") + R"({"type":"write","input":{}})" +
                           "\n" + R"({"type":"write","key":"b","status":"confirmed","input":{}})" +
                           "\n" + line("b", "../b.md", "1") + line("a", "a.md", "1") +
                           line("long", "long.md", std::string(200'000, 'x')) +
                           line("z", "z.md", "1").substr(0, line("z", "z.md", "1").size() - 1);
  const Got got = send(server, body);
  ASSERT_EQ(got.status(), 200) << got.response.body;
  EXPECT_EQ(got.header("Content-Type"), "application/x-ndjson");
  EXPECT_EQ(got.header("Preference-Applied"), "wait=30");
  const auto lines = answers(got);
  ASSERT_EQ(lines.size(), 10U);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    EXPECT_EQ(lines.at(i).number("index"), static_cast<std::int64_t>(i));
  }
  const auto problem = [&](std::size_t i) {
    return lines.at(i).text("problem/type").substr(std::string("urn:trued:problem:").size());
  };
  EXPECT_EQ(lines.at(0).number("status"), 201);
  EXPECT_EQ(lines.at(0).text("receipt/status"), "confirmed");
  EXPECT_EQ(lines.at(1).number("status"), 400);
  EXPECT_EQ(problem(1), "malformed");
  EXPECT_EQ(lines.at(2).number("status"), 200);
  EXPECT_EQ(lines.at(2).text("receipt/decision"), "duplicate");
  EXPECT_EQ(lines.at(3).number("status"), 409);
  EXPECT_EQ(problem(3), "idempotency-conflict");
  EXPECT_EQ(lines.at(3).text("problem/differing/0"), "/input/artifacts/0/content");
  EXPECT_EQ(problem(4), "idempotency-key-required");
  EXPECT_EQ(lines.at(5).text("problem/pointer"), "/status");
  EXPECT_EQ(lines.at(6).number("status"), 422);
  EXPECT_EQ(lines.at(7).number("status"), 200);
  EXPECT_EQ(lines.at(7).text("receipt/id"), lines.at(0).text("receipt/id"));
  EXPECT_EQ(lines.at(8).number("status"), 413);
  EXPECT_EQ(problem(8), "too-large");
  EXPECT_EQ(lines.at(9).number("status"), 201);
}

TEST(Batch, T1_many_lines_go_in_few_commits_and_never_all_at_once) {
  ServerOptions options = quick();
  options.batch_in_flight_max = 500;
  Server server(options);
  std::string body;
  constexpr std::size_t kLines = 3'000;
  for (std::size_t i = 0; i < kLines; ++i) {
    const std::string number = std::to_string(i);
    body += i % 10 == 9 ? "wrong\n" : line("k" + number, number, number);
  }
  const Got got = send(server, body, "wait=60");
  ASSERT_EQ(got.status(), 200);
  const auto lines = answers(got);
  ASSERT_EQ(lines.size(), kLines);
  for (std::size_t i = 0; i < kLines; ++i) {
    ASSERT_EQ(lines.at(i).number("index"), static_cast<std::int64_t>(i));
    ASSERT_EQ(lines.at(i).number("status"), i % 10 == 9 ? 400 : 201);
    if (i % 10 != 9) {
      ASSERT_EQ(lines.at(i).text("receipt/key"), "k" + std::to_string(i));
    }
  }
  const EngineStats stats = server.engine->stats();
  EXPECT_LT(stats.commits, kLines);
}

TEST(Batch, T1_without_a_wait_lines_are_answered_when_they_are_durable) {
  Server server;
  server.gate->shut();
  const Got got = send(server, line("a", "a.md", "1") + line("b", "a.md", "2"), "");
  const auto lines = answers(got);
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines.at(0).number("status"), 202);
  EXPECT_EQ(lines.at(1).number("status"), 202);
  EXPECT_EQ(lines.at(1).text("receipt/state"), "accepted");
  EXPECT_NE(lines.at(1).text("receipt/reason").find("same artifact"), std::string::npos);
  server.gate->open();
  EXPECT_EQ(
      server.get("/v1/operations/" + lines.at(1).text("receipt/id") + "?wait=10").text("status"),
      "confirmed");
  EXPECT_EQ(server.store->content("a.md"), "2");
}

TEST(Batch, T4_a_repeat_that_waited_is_answered_as_it_would_be_by_itself) {
  Server server;
  server.gate->shut();
  ASSERT_EQ(server.submit("k1", "a.md", "1").status(), 202);
  Got lines;
  Got single;
  std::thread batch([&] { lines = send(server, line("k1", "a.md", "1")); });
  std::thread alone([&] { single = server.write("k1", "a.md", "1"); });
  while (server.get("/v1/status").number("waiting_callers") < 2) std::this_thread::yield();
  server.gate->open();
  batch.join();
  alone.join();
  EXPECT_EQ(single.status(), 200);
  EXPECT_EQ(single.header("Idempotent-Replayed"), "true");
  EXPECT_EQ(single.text("decision"), "in_flight");
  EXPECT_EQ(single.text("state"), "confirmed");
  const auto answered = answers(lines);
  ASSERT_EQ(answered.size(), 1U);
  EXPECT_EQ(answered.at(0).number("status"), single.status());
  EXPECT_EQ(answered.at(0).text("receipt/decision"), single.text("decision"));
  EXPECT_EQ(answered.at(0).text("receipt/state"), single.text("state"));
}

// Two lines that are answered at once around one that waits for the gate of "docs".
std::string around_a_gate() {
  return R"({"key":"one",)" + Server::submission("1", "x", "still").substr(1) + "\n" +
         line("held", "a.md", "x") + R"({"key":"three",)" +
         Server::submission("3", "x", "still").substr(1) + "\n";
}

TEST(Batch, T1_answers_go_out_in_order_while_later_lines_are_under_way) {
  Server server;
  server.gate->shut();
  const std::string body = around_a_gate();
  const RawConnection raw(server.port());
  raw.send(
      "POST /v1/operations/batch HTTP/1.1\r\nHost: localhost:" + std::to_string(server.port()) +
      "\r\nContent-Type: application/x-ndjson\r\nPrefer: wait=60\r\nConnection: close\r\n"
      "Content-Length: " +
      std::to_string(body.size()) + "\r\n\r\n" + body);
  const std::string first = raw.read_until("\r\n\r\n");
  EXPECT_NE(first.find("Transfer-Encoding: chunked"), std::string::npos) << first;
  const std::string answered = raw.read_until("\n\r\n");
  EXPECT_NE(answered.find(R"({"index":0,"status":201)"), std::string::npos) << answered;
  EXPECT_EQ(answered.find(R"("index":2)"), std::string::npos) << answered;
  server.gate->open();
  const std::string rest = raw.read_until("\r\n0\r\n\r\n");
  EXPECT_LT(rest.find(R"("index":1)"), rest.find(R"("index":2)"));
  EXPECT_TRUE(rest.ends_with("\r\n0\r\n\r\n"));
}

TEST(Batch, T1_a_client_that_goes_away_cancels_nothing) {
  Server server;
  server.gate->shut();
  const std::string body = around_a_gate();
  {
    const RawConnection raw(server.port());
    raw.send(
        "POST /v1/operations/batch HTTP/1.1\r\nHost: localhost:" + std::to_string(server.port()) +
        "\r\nContent-Type: application/x-ndjson\r\nPrefer: wait=60\r\n"
        "Content-Length: " +
        std::to_string(body.size()) + "\r\n\r\n" + body);
    raw.read_until(R"({"index":0,"status":201)");
  }
  server.gate->open();
  for (const char* key : {"one", "held", "three"}) {
    Got got;
    while (got.text("operations/0/status") != "confirmed") {
      got = server.get(std::string("/v1/operations?key=") + key);
    }
  }
  EXPECT_EQ(server.store->content("a.md"), "x");
}

TEST(Batch, T1_lines_beyond_the_open_bound_are_refused_one_by_one) {
  ServerOptions options = quick();
  options.engine.open_max = 3;
  Server server(options);
  server.gate->shut();
  std::string body;
  for (int i = 0; i < 5; ++i) body += line("k" + std::to_string(i), std::to_string(i), "x");
  const auto lines = answers(send(server, body, ""));
  ASSERT_EQ(lines.size(), 5U);
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(lines.at(i).number("status"), i < 3 ? 202 : 429);
  }
  EXPECT_GT(lines.at(4).number("problem/retry_after"), 0);
}

TEST(Batch, T1_batches_without_lines_or_with_too_many_are_refused_whole) {
  ServerOptions options = quick();
  options.batch_lines_max = 3;
  Server server(options);
  EXPECT_EQ(send(server, "\n\r\n\n").problem(), "malformed");
  const Got got = send(server, "1\n2\n3\n4\n");
  EXPECT_EQ(got.status(), 413);
  EXPECT_EQ(got.problem(), "too-large");
  const Got typed = server.post("/v1/operations/batch", line("a", "a", "1"));
  EXPECT_EQ(typed.status(), 415);
  EXPECT_EQ(server.get("/v1/status").number("ledger/operations"), 0);
}

TEST(Batch, T1_a_batch_may_be_longer_than_a_single_submission) {
  EXPECT_EQ(body_limit("/v1/operations", 1'000), 1'000U);
  EXPECT_EQ(body_limit("/v1/operations/batch?x", 1'000), std::size_t{64} << 20);
  EXPECT_EQ(body_limit("/v1/operations/batches", 1'000), 1'000U);
  EXPECT_EQ(body_limit("/v1/operations/batch", std::size_t{1} << 30), std::size_t{1} << 30);
}

}  // namespace
}  // namespace trued::api
