// Who may speak to the server, what it says about itself, and what its documents promise.
#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

#include "api/api_test_support.h"

namespace trued::api {
namespace {

std::string file_text(const std::string& path) {
  std::ifstream file(std::string(TRUED_SOURCE_DIR) + "/" + path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

AuthOptions with_token() {
  AuthOptions auth;
  auth.tokens.push_back({"ada", sha256("right")});
  auth.tokens.push_back({"ben", sha256("also-right")});
  return auth;
}

// Callers are answered before the counters of that turn are shown, so what was just counted is
// asked for until it is there.
template <class Seen>
Got get_until(Server& server, const std::string& path, const Seen& seen) {
  constexpr int kAskedMax = 2'000;
  Got got = server.get(path);
  for (int i = 0; i < kAskedMax && !seen(got); ++i) got = server.get(path);
  return got;
}

std::string raw_get(std::uint16_t port, const std::string& headers) {
  return raw_exchange(port, "GET /v1/status HTTP/1.1\r\n" + headers + "Connection: close\r\n\r\n");
}

TEST(Auth, S8_a_foreign_host_is_421) {
  Server server;
  const std::string port = ":" + std::to_string(server.port());
  for (const std::string& host :
       {"localhost" + port, "127.0.0.1" + port, "LOCALHOST" + port, "[::1]" + port}) {
    EXPECT_EQ(server.call("GET", "/v1/status", "", {{"Host", host}}).status(), 200) << host;
  }
  for (const std::string& host :
       {std::string("evil.example"), "evil.example" + port, std::string("localhost"),
        "localhost:1" + port, "localhost.evil.example" + port, "localhost" + port + ".evil"}) {
    const Got got = server.call("GET", "/healthz", "", {{"Host", host}});
    EXPECT_EQ(got.status(), 421) << host;
    EXPECT_EQ(got.problem(), "host-not-allowed");
  }
  EXPECT_TRUE(raw_get(server.port(), "Host: localhost" + port + "\r\nHost: evil.example\r\n")
                  .starts_with("HTTP/1.1 421"));
  EXPECT_TRUE(raw_get(server.port(), "").starts_with("HTTP/1.1 421"));
}

TEST(Auth, S8_hosts_can_be_allowed) {
  ServerOptions options = quick();
  options.auth.address = "10.1.2.3";
  options.auth.allowed_hosts = {"trued.example", "other.example:443"};
  Server server(options);
  const std::string port = ":" + std::to_string(server.port());
  const auto status = [&](const std::string& host) {
    return server.call("GET", "/healthz", "", {{"Host", host}}).status();
  };
  EXPECT_EQ(status("trued.example"), 200);
  EXPECT_EQ(status("Trued.Example" + port), 200);
  EXPECT_EQ(status("other.example:443"), 200);
  EXPECT_EQ(status("other.example"), 421);
  EXPECT_EQ(status("10.1.2.3" + port), 200);
  EXPECT_EQ(status("10.1.2.4" + port), 421);
}

TEST(Auth, S8_listening_everywhere_any_literal_address_is_a_host_but_no_name) {
  for (const char* wildcard : {"0.0.0.0", "::"}) {
    ServerOptions options = quick();
    options.auth.address = wildcard;
    Server server(options);
    const std::string port = ":" + std::to_string(server.port());
    const auto got = [&](const std::string& host) {
      return server.call("GET", "/healthz", "", {{"Host", host}});
    };
    for (const std::string& host :
         {"10.1.2.3" + port, std::string("10.1.2.3"), std::string("192.0.2.7:8080"),
          "[2001:db8::7]" + port, std::string("[fe80::1]")}) {
      EXPECT_EQ(got(host).status(), 200) << host;
    }
    for (const std::string& host :
         {"evil.example" + port, "10.1.2" + port, "10.1.2.3.evil.example" + port,
          std::string("10.1.2.3:"), std::string("10.1.2.3:port"), std::string("10.1.2.256"),
          std::string("2001:db8::7"), std::string("[2001:db8::7"), std::string("[::1]x"),
          std::string("0x7f.1"), std::string("2130706433")}) {
      EXPECT_EQ(got(host).status(), 421) << host;
    }
  }
}

TEST(Auth, S8_a_refused_host_is_repeated_bounded_and_escaped) {
  Server server;
  const auto detail = [&](const std::string& host) {
    return server.call("GET", "/healthz", "", {{"Host", host}}).text("detail");
  };
  EXPECT_NE(detail("evil.example").find("'evil.example'"), std::string::npos);
  EXPECT_NE(detail("caf\xc3\xa9").find("caf\\xc3\\xa9"), std::string::npos);
  EXPECT_LT(detail(std::string(5'000, 'h')).size(), 300U);
}

TEST(Auth, S8_a_page_of_an_allowed_origin_can_use_the_server) {
  ServerOptions options = quick();
  options.auth = with_token();
  options.auth.allowed_origins = {"https://console.example"};
  Server server(options);
  const auto ask = [&](const std::string& method, const std::string& path,
                       const std::string& origin, const std::string& token = "") {
    return server.call(method, path, "",
                       {{"Origin", origin},
                        {"Access-Control-Request-Method", method == "OPTIONS" ? "POST" : ""},
                        {"Authorization", token}});
  };
  const Got asked = ask("OPTIONS", "/v1/operations", "https://console.example");
  EXPECT_EQ(asked.status(), 204);
  EXPECT_EQ(asked.header("Access-Control-Allow-Origin"), "https://console.example");
  EXPECT_EQ(asked.header("Vary"), "Origin");
  EXPECT_EQ(asked.header("Access-Control-Allow-Methods"), "POST, GET, HEAD");
  for (const char* name : {"Authorization", "Content-Type", "Idempotency-Key", "Prefer",
                           "Trued-Consistency", "Trued-Session"}) {
    EXPECT_NE(asked.header("Access-Control-Allow-Headers").find(name), std::string::npos) << name;
  }
  const Got got = ask("GET", "/v1/status", "https://console.example", "Bearer right");
  EXPECT_EQ(got.status(), 200);
  EXPECT_EQ(got.header("Access-Control-Allow-Origin"), "https://console.example");
  EXPECT_EQ(got.header("Vary"), "Origin");
  EXPECT_EQ(got.header("Access-Control-Expose-Headers"),
            "Location, Idempotent-Replayed, Preference-Applied, Retry-After, Trued-Session, "
            "Trued-Consistency-Served");
  const Got none = ask("GET", "/v1/status", "https://console.example");
  EXPECT_EQ(none.status(), 401);
  EXPECT_EQ(none.header("Access-Control-Allow-Origin"), "https://console.example");
  for (const char* method : {"OPTIONS", "GET"}) {
    const Got foreign = ask(method, "/v1/operations", "https://evil.example", "Bearer right");
    EXPECT_EQ(foreign.status(), 403);
    EXPECT_EQ(foreign.header("Access-Control-Allow-Origin"), "");
    EXPECT_EQ(foreign.header("Access-Control-Allow-Methods"), "");
    EXPECT_EQ(foreign.header("Vary"), "Origin");
  }
  EXPECT_EQ(ask("OPTIONS", "/nothing", "https://console.example").status(), 401);
  EXPECT_EQ(server.get("/healthz").header("Access-Control-Allow-Origin"), "");
}

TEST(Auth, S8_a_foreign_origin_is_403_and_nothing_is_done) {
  ServerOptions options = quick();
  options.auth.allowed_origins = {"https://console.example"};
  Server server(options);
  const std::string port = std::to_string(server.port());
  const auto with_origin = [&](const std::string& origin) {
    return server.post("/v1/operations", Server::submission("a.md", "x"),
                       {{"Idempotency-Key", "k"}, {"Origin", origin}});
  };
  const std::string other_port = "http://127.0.0.1:" + port + "0";
  for (const char* origin :
       {"http://evil.example", "null", "http://127.0.0.1:1", other_port.c_str()}) {
    const Got got = with_origin(origin);
    EXPECT_EQ(got.status(), 403) << origin;
    EXPECT_EQ(got.problem(), "origin-not-allowed");
    EXPECT_EQ(got.header("Access-Control-Allow-Origin"), "");
  }
  EXPECT_EQ(server.get("/v1/status").number("ledger/operations"), 0);
  EXPECT_EQ(with_origin("http://127.0.0.1:" + port).status(), 202);
  EXPECT_LT(with_origin("https://console.example").status(), 300);
}

TEST(Auth, S2_a_token_is_asked_for_and_compared) {
  ServerOptions options = quick();
  options.auth = with_token();
  Server server(options);
  const Got none = server.get("/v1/status");
  EXPECT_EQ(none.status(), 401);
  EXPECT_EQ(none.problem(), "unauthorized");
  EXPECT_EQ(none.header("WWW-Authenticate"), "Bearer");
  const auto with = [&](const std::string& header) {
    return server.call("GET", "/v1/status", "", {{"Authorization", header}}).status();
  };
  EXPECT_EQ(with("Bearer right"), 200);
  EXPECT_EQ(with("bearer also-right"), 200);
  EXPECT_EQ(with("Bearer wrong"), 401);
  EXPECT_EQ(with("Bearer"), 401);
  EXPECT_EQ(with("Basic right"), 401);
  EXPECT_EQ(server.get("/v1/status?token=right").status(), 401);
  EXPECT_EQ(server.get("/nothing/here").status(), 401);
  for (const char* open : {"/healthz", "/readyz", "/openapi.yaml", "/"}) {
    EXPECT_EQ(server.get(open).status(), 200) << open;
  }
  EXPECT_EQ(server.get("/metrics").status(), 401);
}

TEST(Auth, S2_the_token_says_who_acted) {
  ServerOptions options = quick();
  options.auth = with_token();
  Server server(options);
  const auto post = [&](const std::string& path, const std::string& body) {
    return server.post(path, body, {{"Authorization", "Bearer right"}, {"Idempotency-Key", "k"}});
  };
  const std::string body = Server::submission("a.md", "x");
  const Got made =
      post("/v1/operations",
           R"({"actor":"job-7","not_before":"2099-01-01T00:00:00Z",)" + body.substr(1));
  ASSERT_EQ(made.status(), 202) << made.response.body;
  EXPECT_EQ(made.text("actor"), "ada/job-7");
  const std::string path = "/v1/operations/" + made.text("id");
  ASSERT_EQ(post(path + "/cancel", R"({"who":"eve"})").status(), 200);
  const Got events = server.call("GET", path + "/events", "", {{"Authorization", "Bearer right"}});
  EXPECT_NE(events.response.body.find("\"who\":\"ada/eve\""), std::string::npos);
  EXPECT_EQ(events.response.body.find("right"), std::string::npos);
}

TEST(Auth, S2_many_wrong_tokens_are_slowed_down) {
  ServerOptions options = quick();
  options.auth = with_token();
  Server server(options);
  const auto with = [&](const std::string& token) {
    return server.call("GET", "/v1/status", "", {{"Authorization", "Bearer " + token}});
  };
  int limited = 0;
  for (int i = 0; i < 1'000 && limited == 0; ++i) {
    const Got got = with("guess-" + std::to_string(i));
    EXPECT_TRUE(got.status() == 401 || got.status() == 429);
    EXPECT_EQ(got.response.body.find("guess"), std::string::npos);
    if (got.status() == 429) {
      ++limited;
      EXPECT_EQ(got.problem(), "too-many-wrong-tokens");
      EXPECT_FALSE(got.header("Retry-After").empty());
    }
  }
  EXPECT_EQ(limited, 1);
  EXPECT_EQ(with("right").status(), 200) << "others guessed wrong, not this one";
  EXPECT_EQ(with("guess").status(), 429);
  EXPECT_EQ(server.get("/v1/status").status(), 401);
  EXPECT_EQ(server.get("/healthz").status(), 200);
}

TEST(Routes, S8_every_answer_has_the_headers_of_safety) {
  Server server;
  for (const char* path : {"/", "/healthz", "/readyz", "/metrics", "/openapi.yaml", "/v1/status",
                           "/v1/operations", "/v1/operations/x", "/nothing"}) {
    const Got got = server.get(path);
    EXPECT_EQ(got.header("X-Content-Type-Options"), "nosniff") << path;
    EXPECT_EQ(got.header("Cache-Control"), "no-store") << path;
    EXPECT_TRUE(got.header("Content-Security-Policy").starts_with("default-src 'none'")) << path;
    EXPECT_EQ(got.header("Access-Control-Allow-Origin"), "") << path;
  }
}

TEST(Routes, T1_a_query_that_cannot_be_decoded_is_400) {
  Server server;
  for (const char* query : {"key=%zz", "key=%", "%4=1", "key=%ff", "wait=%2"}) {
    const Got got = server.get(std::string("/v1/operations?") + query);
    EXPECT_EQ(got.status(), 400) << query;
    EXPECT_EQ(got.problem(), "malformed");
  }
  EXPECT_EQ(server.get("/v1/operations?key=a%2Fb").status(), 200);
  EXPECT_EQ(server.get("/v1/operations?type=write&key=%zz").text("detail"),
            "the parameter 'key' has a '%' that two hexadecimal digits do not follow; a '%' itself "
            "is written '%25'");
  EXPECT_EQ(server.get("/v1/operations?type=write&key=%ff").text("detail"),
            "the parameter 'key' is not valid UTF-8 once its '%' escapes are decoded");
}

TEST(Auth, S8_a_request_target_may_be_a_whole_url_whose_host_is_ours) {
  Server server;
  const std::string ours = "127.0.0.1:" + std::to_string(server.port());
  const auto get = [&](const std::string& target, const std::string& host) {
    return raw_exchange(server.port(),
                        "GET " + target + " HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n");
  };
  const std::string host = "Host: " + ours + "\r\n";
  for (const std::string& target :
       {"http://" + ours + "/healthz", "HTTP://" + ours + "/v1/operations?limit=1",
        "https://" + ours + "/healthz", "http://" + ours, "http://" + ours + "?"}) {
    EXPECT_TRUE(get(target, host).starts_with("HTTP/1.1 200")) << target;
  }
  // The URL's host counts, not the header's (RFC 9112, section 3.2.2).
  EXPECT_TRUE(
      get("http://" + ours + "/healthz", "Host: evil.example\r\n").starts_with("HTTP/1.1 200"));
  EXPECT_NE(get("http://evil.example/healthz", host).find("for the host 'evil.example'"),
            std::string::npos);
  for (const std::string& target :
       {std::string("http://evil.example/healthz"), "http://" + ours + "@evil.example/healthz",
        "http://user@" + ours + "/healthz", std::string("http://localhost/healthz")}) {
    EXPECT_TRUE(get(target, host).starts_with("HTTP/1.1 421")) << target;
  }
  EXPECT_TRUE(get("http://" + ours + "/healthz", "").starts_with("HTTP/1.1 421"));
  EXPECT_TRUE(get("http://" + ours + "/healthz", host + host).starts_with("HTTP/1.1 421"));
}

TEST(Routes, S9_a_target_that_is_no_path_is_told_what_is_wrong) {
  Server server;
  const auto get = [&](const std::string& target) {
    return raw_exchange(
        server.port(),
        "GET " + target + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  };
  for (const char* target : {"ftp://h/x", "*", "h:80", "http:///x"}) {
    const std::string answer = get(target);
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 400")) << target;
    EXPECT_NE(answer.find("neither a path nor an http:// URL"), std::string::npos) << answer;
  }
  EXPECT_NE(get("/%zz").find("two hexadecimal digits"), std::string::npos);
  EXPECT_NE(get("/%ff").find("not valid UTF-8"), std::string::npos);
  EXPECT_NE(get("/%00").find("NUL"), std::string::npos);
}

TEST(Routes, T10_a_word_that_is_none_is_answered_with_those_that_are) {
  Server server;
  const std::string status = server.get("/v1/operations?status=bogus").text("detail");
  EXPECT_NE(status.find("'bogus'"), std::string::npos);
  EXPECT_TRUE(
      status.ends_with("there are pending, confirmed, unverified, superseded, failed, "
                       "undone, canceled, needs_action"))
      << status;
  const std::string state = server.get("/v1/operations?state=bogus").text("detail");
  EXPECT_TRUE(state.ends_with("compensated, canceled")) << state;
}

TEST(Routes, T10_who_and_why_hold_no_control_characters) {
  Server server;
  server.gate->shut();
  const std::string path = "/v1/operations/" + server.submit("k1", "a.md", "x").text("id");
  const Got who = server.post(path + "/cancel", R"({"who":"eve\u001b[1A"})");
  EXPECT_EQ(who.status(), 422);
  EXPECT_EQ(who.text("pointer"), "/who");
  EXPECT_EQ(server.post(path + "/cancel", R"({"why":"a\u0000"})").text("pointer"), "/why");
  EXPECT_EQ(server.post(path + "/cancel", R"({"why":"a","why":"b"})").text("pointer"), "/why");
  EXPECT_EQ(server.post(path + "/cancel", R"({"why":"line\nline"})").status(), 409);
}

TEST(Routes, S9_what_is_not_in_the_table_is_404_or_405) {
  Server server;
  for (const char* path : {"/v1", "/v1/operations/", "/v1/operations/x/y", "//healthz", "/healthz/",
                           "/v1/Operations", "/debug", "/v1/operations/a/b/c"}) {
    const Got got = server.get(path);
    EXPECT_EQ(got.status(), 404) << path;
    EXPECT_EQ(got.problem(), "no-such-resource") << path;
  }
  const Got put = server.call("PUT", "/v1/operations", "{}");
  EXPECT_EQ(put.status(), 405);
  EXPECT_EQ(put.problem(), "method-not-allowed");
  EXPECT_EQ(put.header("Allow"), "POST, GET, HEAD");
  EXPECT_EQ(server.get("/v1/operations/batch").header("Allow"), "POST");
  EXPECT_EQ(server.call("DELETE", "/v1/operations/x").header("Allow"), "GET, HEAD");
  EXPECT_EQ(server.call("OPTIONS", "/v1/status").status(), 405);
}

TEST(Routes, S9_the_table_is_what_openapi_describes) {
  std::istringstream text(file_text("docs/openapi.yaml"));
  std::set<std::string> described;
  std::string line;
  std::string path;
  bool in_paths = false;
  while (std::getline(text, line)) {
    if (!line.empty() && !line.starts_with(' ')) in_paths = line == "paths:";
    if (!in_paths) continue;
    if (line.starts_with("  /")) path = line.substr(2, line.size() - 3);
    for (const char* method : {"get", "post", "put", "delete", "patch"}) {
      if (line != "    " + std::string(method) + ":") continue;
      std::string name = method;
      std::ranges::transform(name, name.begin(), [](char c) { return static_cast<char>(c - 32); });
      described.insert(name + " " + path);
    }
  }
  std::set<std::string> served;
  for (const RouteName& route : Service::route_names()) {
    served.insert(std::string(route.method) + " " + std::string(route.pattern));
  }
  EXPECT_EQ(served, described);
}

TEST(Routes, T10_openapi_and_the_index_are_served) {
  Server server;
  const Got openapi = server.get("/openapi.yaml");
  EXPECT_EQ(openapi.response.body, file_text("docs/openapi.yaml"));
  EXPECT_EQ(openapi.header("Content-Type"), "application/yaml");
  const Got index = server.get("/");
  EXPECT_NE(index.response.body.find("POST  /v1/operations/batch"), std::string::npos);
}

TEST(Problems, T10_each_has_its_section_in_the_docs) {
  std::istringstream text(file_text("docs/problems.md"));
  std::vector<std::string> sections;
  std::string line;
  while (std::getline(text, line)) {
    if (line.starts_with("### ")) sections.push_back(line.substr(4));
  }
  std::vector<std::string> problems;
  for (const ProblemType& type : kProblems) {
    problems.push_back("`" + std::string(type.name) + "` (" + std::to_string(type.status) + ")");
  }
  EXPECT_EQ(sections, problems);
}

TEST(Problems, T10_each_refusal_of_the_engine_has_a_problem) {
  const auto problem = [](ProblemCode code, const std::string& name = {}) {
    return problem_of(
        {.code = code, .name = name, .detail = "why", .retry_after = Duration{1'500}});
  };
  const Problem unknown = problem(ProblemCode::outcome_unknown);
  EXPECT_EQ(unknown.name, "outcome-unknown");
  const io::HttpResponse response = respond(unknown, "/x");
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(*response.find("Retry-After"), "2");
  EXPECT_EQ(problem(ProblemCode::overloaded).name, "overloaded");
  EXPECT_EQ(problem(ProblemCode::draining).name, "draining");
  EXPECT_EQ(problem(ProblemCode::ledger_unavailable).name, "ledger-unavailable");
  EXPECT_EQ(problem(ProblemCode::below_floor).name, "durability-below-floor");
  EXPECT_EQ(problem(ProblemCode::not_found).name, "no-such-operation");
  EXPECT_EQ(problem(ProblemCode::refused, "not-retryable").name, "not-retryable");
}

TEST(Status, T10_operators_see_what_is_open_since_when_and_why) {
  Server server;
  server.write("k1", "a.md", "x");
  server.store->script({.kind = EffectKind::acknowledged, .lands = false, .reason = ""});
  ASSERT_EQ(server.write("k2", "b.md", "x").text("status"), "needs_action");
  server.gate->shut();
  server.submit("k3", "c.md", "x");
  const Got got = get_until(server, "/v1/status",
                            [](const Got& g) { return g.number("open/attempting") == 1; });
  ASSERT_EQ(got.status(), 200);
  EXPECT_EQ(got.text("version"), "1.2.3");
  EXPECT_TRUE(got.at("ready").as_bool());
  EXPECT_GE(got.number("uptime_ms"), 0);
  EXPECT_EQ(got.text("ledger/durability"), "memory");
  EXPECT_EQ(got.number("ledger/operations"), 3);
  EXPECT_EQ(got.number("ledger/open"), 1);
  EXPECT_EQ(got.number("ledger/needs_action"), 1);
  EXPECT_EQ(got.number("open/attempting"), 1);
  EXPECT_EQ(got.number("open/unknown"), 0);
  EXPECT_EQ(got.number("decisions_since_start/new"), 3);
  EXPECT_EQ(got.number("settled_since_start/confirmed"), 1);
  std::int64_t tells = 0;
  for (const auto& [name, count] : got.at("tells_since_start").members()) tells += count.as_int();
  EXPECT_EQ(tells, 1);
  EXPECT_EQ(got.text("targets/0/name"), "docs");
  EXPECT_EQ(got.text("targets/0/kind"), "memory");
  EXPECT_EQ(got.text("targets/1/levels/1"), "serving");
}

TEST(Status, T4_decisions_are_in_the_metrics_which_prometheus_can_read) {
  Server server;
  server.write("k1", "a.md", "x");
  server.write("k1", "a.md", "x");
  server.submit("k1", "a.md", "y");
  const Got got = get_until(server, "/metrics", [](const Got& g) {
    constexpr const char* kLast = "trued_submissions_total{decision=\"conflict\"} 1";
    return g.response.body.find(kLast) != std::string::npos;
  });
  EXPECT_TRUE(got.header("Content-Type").starts_with("text/plain; version=0.0.4"));
  const std::string& text = got.response.body;
  for (const char* sample :
       {"trued_submissions_total{decision=\"new\"} 1",
        "trued_submissions_total{decision=\"late\"} 0",
        "trued_submissions_total{decision=\"duplicate\"} 1",
        "trued_submissions_total{decision=\"conflict\"} 1",
        "trued_operations_settled_total{state=\"confirmed\"} 1",
        "trued_operations_open{state=\"unknown\"} 0", "trued_operations_needing_action 0",
        "trued_tells_total{tell=\"empty_write\"} 0", "trued_ready 1",
        "trued_info{version=\"1.2.3\",durability=\"memory\"} 1",
        "trued_ledger_durability{level=\"memory\"} 1",
        "trued_ledger_durability{level=\"quorum\"} 0", "trued_ledger_durability_age_seconds 0",
        "trued_ledger_below_minimum_durability 0",
        "trued_ledger_commit_seconds_bucket{le=\"+Inf\"}"}) {
    EXPECT_NE(text.find(sample), std::string::npos) << sample << "\n" << text;
  }
  std::istringstream lines(text);
  std::string line;
  std::set<std::string> explained;
  while (std::getline(lines, line)) {
    if (line.starts_with("# HELP ")) {
      const std::string name = line.substr(7, line.find(' ', 7) - 7);
      EXPECT_TRUE(name.starts_with("trued_")) << name;
      EXPECT_TRUE(explained.insert(name).second) << name;
    }
    const bool counter = line.starts_with("# TYPE ") && line.ends_with(" counter");
    if (counter) {
      EXPECT_NE(line.find("_total counter"), std::string::npos) << line;
    }
  }
  EXPECT_GE(explained.size(), 20U);
}

TEST(Status, T10_health_says_alive_and_readiness_says_why_not) {
  Server server;
  EXPECT_EQ(server.get("/healthz").status(), 200);
  const Got ready = server.get("/readyz");
  EXPECT_EQ(ready.status(), 200);
  EXPECT_TRUE(ready.at("reasons").items().empty());
  server.engine->begin_drain();
  const Got draining = server.get("/readyz");
  EXPECT_EQ(draining.status(), 503);
  EXPECT_FALSE(draining.at("ready").as_bool());
  EXPECT_EQ(draining.text("reasons/0"), "draining");
  EXPECT_EQ(server.get("/healthz").status(), 200);
}

}  // namespace
}  // namespace trued::api
