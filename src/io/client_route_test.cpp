// Where the client goes, and where it does not: addresses, redirections, proxies.
#include <atomic>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "io/counting_server_test.h"
#include "io/http_client.h"
#include "io/http_date.h"

namespace trued::io {
namespace {

bool answer_ok(const SeenRequest& request, Peer& peer) {
  peer.answer("200 OK", request.method + " " + request.target);
  return true;
}

AddressRules guarded(bool inside = false, std::vector<Network> allowed = {}) {
  return {.guarded = true, .allow_inside = inside, .allowed = std::move(allowed)};
}

TEST(ClientAddresses, S7_inner_addresses_are_refused_in_every_spelling) {
  CountingServer server(answer_ok);
  HttpClient client({.addresses = guarded()});
  const std::string port = ":" + std::to_string(server.port()) + "/";
  for (const char* host : {"127.0.0.1",       "localhost",  "[::1]",           "[::ffff:127.0.0.1]",
                           "2130706433",      "0x7f000001", "0177.0.0.1",      "127.1",
                           "0.0.0.0",         "[::]",       "10.0.0.1",        "192.168.0.1",
                           "172.16.0.1",      "100.64.0.1", "169.254.169.254", "[fe80::1]",
                           "[fd00:ec2::254]", "224.0.0.1",  "[::7f00:1]",      "[64:ff9b::7f00:1]",
                           "[2002:7f00:1::]"}) {
    const auto answer =
        client.call({.method = "POST", .url = "http://" + std::string(host) + port});
    ASSERT_FALSE(answer.has_value()) << host;
    EXPECT_EQ(answer.error().happened, Happened::no) << host;
    // A machine without IPv6 does not look ::1 up at all.
    EXPECT_TRUE(answer.error().code == ErrorCode::permission_denied ||
                answer.error().message.find("resolved") != std::string::npos)
        << host << ": " << answer.error().message;
  }
  EXPECT_EQ(server.connections(), 0);
}

TEST(ClientAddresses, S7_a_target_may_allow_them) {
  CountingServer server(answer_ok);
  HttpClient inside({.addresses = guarded(true)});
  EXPECT_TRUE(inside.call({.url = server.url("/")}).has_value());
  EXPECT_FALSE(
      inside.call({.url = "http://169.254.169.254/", .total_timeout = Duration{200}}).has_value());
  HttpClient named({.addresses = guarded(false, {*parse_network("127.0.0.0/24")})});
  EXPECT_TRUE(named.call({.url = server.url("/")}).has_value());
  HttpClient other({.addresses = guarded(false, {*parse_network("10.0.0.0/8")})});
  EXPECT_EQ(other.call({.url = server.url("/")}).error().code, ErrorCode::permission_denied);
}

// A name that leads where it may when it is first looked up, and to an inner server from then on.
TEST(ClientAddresses, S7_what_is_connected_to_is_what_was_looked_at) {
  CountingServer server(answer_ok);  // at 127.0.0.1, and nowhere else
  std::atomic<int> lookups{0};
  HttpClient client({.connect_timeout = Duration{200},
                     .addresses = guarded(false, {*parse_network("127.0.0.3")}),
                     .resolver = [&](const std::string&, Duration) {
                       const char* address = ++lookups == 1 ? "127.0.0.3" : "127.0.0.1";
                       return Result<std::vector<IpAddress>>(
                           std::vector<IpAddress>{*parse_ip(address)});
                     }});
  const std::string url = "http://rebind.example:" + std::to_string(server.port()) + "/";
  const auto answer = client.call({.url = url});
  ASSERT_FALSE(answer.has_value());
  EXPECT_NE(answer.error().code, ErrorCode::permission_denied) << answer.error().message;
  EXPECT_EQ(lookups, 1) << "one look-up, which the connection itself uses";
  EXPECT_EQ(server.connections(), 0);
}

TEST(ClientAddresses, S7_of_several_addresses_the_inner_ones_are_left_out) {
  CountingServer server(answer_ok);
  HttpClient client(
      {.addresses = guarded(false, {*parse_network("127.0.0.1")}),
       .resolver = [](const std::string&, Duration) {
         return Result<std::vector<IpAddress>>(std::vector<IpAddress>{
             *parse_ip("10.9.9.9"), *parse_ip("::ffff:10.9.9.9"), *parse_ip("127.0.0.1")});
       }});
  const std::string url = "http://mixed.example:" + std::to_string(server.port()) + "/";
  EXPECT_TRUE(client.call({.url = url}).has_value());
}

TEST(ClientRedirects, S7_a_redirection_to_an_inner_address_is_refused) {
  CountingServer inner(answer_ok);
  CountingServer outer([&](const SeenRequest&, Peer& peer) {
    const std::string port = std::to_string(inner.port());
    return peer.answer("302 Found", "", "Location: http://127.0.0.2:" + port + "/\r\n"), true;
  });
  HttpClient client(
      {.redirects = Redirects::reads, .addresses = guarded(false, {*parse_network("127.0.0.1")})});
  const auto answer = client.call({.url = outer.url("/")});
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().code, ErrorCode::permission_denied);
  EXPECT_EQ(inner.connections(), 0);
}

TEST(ClientRedirects, are_returned_unless_asked_for) {
  CountingServer server([](const SeenRequest& request, Peer& peer) {
    if (request.target == "/there") return answer_ok(request, peer);
    return peer.answer(request.target.substr(1) + " Moved", "", "Location: ./there\r\n"), true;
  });
  const auto status = [&](Redirects redirects, const char* method, const std::string& code) {
    HttpClient client({.redirects = redirects});
    return client.call({.method = method, .url = server.url("/" + code), .body = ""})->status;
  };
  for (const int number : {301, 302, 303, 307, 308}) {
    const std::string code = std::to_string(number);
    const bool same = number > 303;
    EXPECT_EQ(status(Redirects::none, "GET", code), number);
    EXPECT_EQ(status(Redirects::reads, "GET", code), 200);
    EXPECT_EQ(status(Redirects::reads, "POST", code), number) << code;
    EXPECT_EQ(status(Redirects::effects, "POST", code), same ? 200 : number) << code;
  }
}

TEST(ClientRedirects, are_bounded) {
  CountingServer server([](const SeenRequest& request, Peer& peer) {
    return peer.answer("302 Found", "", "Location: " + request.target + "x\r\n"), true;
  });
  HttpClient client({.redirects = Redirects::reads, .redirects_max = 3});
  EXPECT_FALSE(client.call({.url = server.url("/")}).has_value());
  EXPECT_EQ(server.requests().size(), 4U);
}

TEST(ClientRedirects, S7_credentials_stay_at_their_origin) {
  CountingServer other(answer_ok);
  CountingServer server([&](const SeenRequest& request, Peer& peer) {
    const std::string to = request.target == "/out" ? other.url("/x") : "/in";
    if (request.target == "/in") return answer_ok(request, peer);
    return peer.answer("307 Moved", "", "Location: " + to + "\r\n"), true;
  });
  HttpClient client({.redirects = Redirects::effects});
  const std::vector<Header> headers{{"Authorization", "Bearer x"},
                                    {"Cookie", "a=b"},
                                    {"X-Api-Key", "secret"},
                                    {"Proxy-Authorization", "p"},
                                    {"Accept", "text/plain"}};
  ASSERT_TRUE(client.call({.url = server.url("/out"), .headers = headers}).has_value());
  const SeenRequest leaked = other.requests().at(0);
  for (const char* name : {"Authorization", "Cookie", "X-Api-Key", "Proxy-Authorization"}) {
    EXPECT_EQ(leaked.header(name), "") << leaked.head;
  }
  EXPECT_EQ(leaked.header("Accept"), "text/plain");
  ASSERT_TRUE(client.call({.url = server.url("/stay"), .headers = headers}).has_value());
  EXPECT_EQ(server.requests().back().header("Authorization"), "Bearer x");
  // An effect does not leave its origin at all.
  EXPECT_EQ(client.call({.method = "POST", .url = server.url("/out"), .headers = headers})->status,
            307);
  EXPECT_EQ(other.requests().size(), 1U);
}

TEST(ClientProxy, http_is_asked_for_by_its_whole_url) {
  CountingServer proxy(answer_ok);
  HttpClient client(
      {.proxy = parse_proxy("http://user:p%40ss@127.0.0.1:" + std::to_string(proxy.port())).value(),
       .no_proxy = "127.0.0.1"});
  ASSERT_TRUE(client.call({.url = "http://far.example/a?b"}).has_value());
  EXPECT_EQ(proxy.requests().at(0).target, "http://far.example/a?b");
  EXPECT_EQ(proxy.requests().at(0).header("Host"), "far.example");
  EXPECT_EQ(proxy.requests().at(0).header("Proxy-Authorization"), "Basic dXNlcjpwQHNz");
  CountingServer near(answer_ok);
  ASSERT_TRUE(client.call({.url = near.url("/direct")}).has_value());
  EXPECT_EQ(near.requests().at(0).target, "/direct");
  EXPECT_EQ(near.requests().at(0).header("Proxy-Authorization"), "");
}

TEST(ClientProxy, T1_https_goes_through_a_tunnel_that_may_be_refused) {
  CountingServer proxy([](const SeenRequest& request, Peer& peer) {
    EXPECT_EQ(request.method + " " + request.target, "CONNECT far.example:443");
    return peer.answer("403 Forbidden", "no"), true;
  });
  HttpClient client(
      {.proxy = parse_proxy("http://127.0.0.1:" + std::to_string(proxy.port())).value()});
  const auto answer = client.call({.method = "POST",
                                   .url = "https://far.example/charge",
                                   .headers = {{"Authorization", "Bearer x"}}});
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().happened, Happened::no);
  EXPECT_NE(answer.error().message.find("status 403"), std::string::npos);
  EXPECT_EQ(proxy.requests().at(0).header("Authorization"), "");
}

TEST(ClientProxy, S7_an_inner_address_in_the_url_is_refused_through_a_proxy_too) {
  CountingServer proxy(answer_ok);
  HttpClient client(
      {.addresses = guarded(),
       .proxy = parse_proxy("http://127.0.0.1:" + std::to_string(proxy.port())).value()});
  EXPECT_FALSE(client.call({.url = "http://169.254.169.254/latest/meta-data"}).has_value());
  EXPECT_EQ(proxy.connections(), 0);
  EXPECT_TRUE(client.call({.url = "http://far.example/"}).has_value());
}

TEST(HttpUrl, is_read_strictly) {
  for (const char* bad :
       {"", "http://", "ftp://x/", "http://u@x/", "http://x:0/", "http://x:65536/", "http://x:/",
        "http://[::1/", "http://::1/", "http://a b/", "http://x/a b", "http://x\\y/",
        "http://[1.2.3.4]/", "http://x:1:2/", "http://x%2f/"}) {
    EXPECT_FALSE(parse_url(bad).has_value()) << bad;
  }
  const Url url = parse_url("HTTPS://Example.COM:8443/A?b#c").value();
  EXPECT_EQ(url.origin, (Origin{.tls = true, .host = "example.com", .port = "8443"}));
  EXPECT_EQ(url.target, "/A?b");
  EXPECT_EQ(parse_url("http://[::1]").value().origin.authority(), "[::1]:80");
}

TEST(ClientUrl, S13_credentials_are_known_in_every_form) {
  using Texts = std::vector<std::string>;
  EXPECT_EQ(credentials_in("Bearer abc"), Texts{"abc"});
  EXPECT_EQ(credentials_in("basic dXNlcjpodXNoLWh1c2g="),
            (Texts{"dXNlcjpodXNoLWh1c2g=", "hush-hush"}));
  EXPECT_EQ(credentials_in("Basic dTphYg=="), Texts{"dTphYg=="}) << "'ab' stands in many words";
  for (const char* none : {"", "Bearer", "Bearer "}) EXPECT_TRUE(credentials_in(none).empty());
}

TEST(ClientUrl, S13_a_location_is_shown_without_what_may_be_secret) {
  for (const auto& [location, expected] : std::vector<std::pair<const char*, const char*>>{
           {"http://user:pass@h:1/a?sig=x#y", "http://h:1/a"},
           {"https://a@b@h", "https://h"},
           {"//u:p@h/x@y//z", "//h/x@y//z"},
           {"/a/b@c?d", "/a/b@c"},
           {"http://h/x//y@z", "http://h/x//y@z"},
           {"http://u:p@", "http://"},
           {"a?http://u:p@h/", "a"},
           {"", ""}}) {
    EXPECT_EQ(shown_location(location), expected) << location;
  }
}

TEST(HttpUrl, references_are_resolved_as_rfc_3986_says) {
  const Url base = parse_url("http://a/b/c/d;p?q").value();
  const std::pair<const char*, const char*> cases[] = {{"g", "http://a/b/c/g"},
                                                       {"./g", "http://a/b/c/g"},
                                                       {"g/", "http://a/b/c/g/"},
                                                       {"/g", "http://a/g"},
                                                       {"//g", "http://g/"},
                                                       {"?y", "http://a/b/c/d;p?y"},
                                                       {"g?y", "http://a/b/c/g?y"},
                                                       {"#s", "http://a/b/c/d;p?q"},
                                                       {"", "http://a/b/c/d;p?q"},
                                                       {".", "http://a/b/c/"},
                                                       {"..", "http://a/b/"},
                                                       {"../g", "http://a/b/g"},
                                                       {"../../../g", "http://a/g"},
                                                       {"/./g", "http://a/g"},
                                                       {"/../g", "http://a/g"},
                                                       {"g;x=1/../y", "http://a/b/c/y"},
                                                       {"g?y/../x", "http://a/b/c/g?y/../x"},
                                                       {"https://z/x", "https://z/x"}};
  for (const auto& [reference, expected] : cases) {
    EXPECT_EQ(resolve_url(base, reference).value().text(), expected) << reference;
  }
  EXPECT_FALSE(resolve_url(base, "javascript:alert(1)").has_value());
  EXPECT_FALSE(resolve_url(base, "/a\r\nX: y").has_value());
}

TEST(HttpUrl, proxies_and_what_goes_around_them) {
  for (const char* bad : {"", "proxy:3128", "https://p:1", "http://p:1/x", "http://p:x",
                          "socks5://p:1", "http://a b:1"}) {
    EXPECT_FALSE(parse_proxy(bad).has_value()) << bad;
  }
  EXPECT_EQ(parse_proxy("http://secret:hunter2@p:x").error().message.find("hunter2"),
            std::string::npos);
  EXPECT_TRUE(bypasses_proxy("api.Example.com", "localhost, .example.com"));
  EXPECT_TRUE(bypasses_proxy("example.com", ".example.com"));
  EXPECT_TRUE(bypasses_proxy("10.0.0.1", "10.0.0.1"));
  EXPECT_TRUE(bypasses_proxy("x", "*"));
  EXPECT_FALSE(bypasses_proxy("notexample.com", "example.com"));
  EXPECT_FALSE(bypasses_proxy("x", ""));
}

TEST(HttpDate, all_three_forms) {
  const WallTime meant = parse_rfc3339("1994-11-06T08:49:37Z").value();
  const WallTime now = parse_rfc3339("2026-01-01T00:00:00Z").value();
  for (const char* text : {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
                           "Sun Nov  6 08:49:37 1994"}) {
    EXPECT_EQ(parse_http_date(text, now), meant) << text;
  }
  for (const char* bad : {"", "tomorrow", "Sun, 31 Feb 2026 00:00:00 GMT", "06 Nov 1994",
                          "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 08:49:37 CET"}) {
    EXPECT_EQ(parse_http_date(bad, now), std::nullopt) << bad;
  }
}

TEST(HttpDate, T5_retry_after_is_bounded) {
  const WallTime now = parse_rfc3339("1994-11-06T08:49:37Z").value();
  const auto after = [&](const char* text) {
    return parse_retry_after(text, now, Duration{60'000});
  };
  EXPECT_EQ(after("7"), Duration{7'000});
  EXPECT_EQ(after(" 0 "), Duration{0});
  EXPECT_EQ(after("3600"), Duration{60'000});
  EXPECT_EQ(after("99999999999999999999"), Duration{60'000});
  EXPECT_EQ(after("Sun, 06 Nov 1994 08:49:47 GMT"), Duration{10'000});
  EXPECT_EQ(after("Sun, 06 Nov 1994 08:00:00 GMT"), Duration{0});
  EXPECT_EQ(after("Sun, 06 Nov 2094 08:00:00 GMT"), Duration{60'000});
  for (const char* bad : {"", "-1", "1.5", "soon"}) EXPECT_EQ(after(bad), std::nullopt) << bad;
}

}  // namespace
}  // namespace trued::io
