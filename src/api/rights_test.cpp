// What a token is for: tenants and actions.
#include <string>
#include <vector>

#include "api/api_test_support.h"

namespace trued::api {
namespace {

using config::Rights;

AuthOptions tokens() {
  AuthOptions auth;
  auth.tokens.push_back({"all", sha256("all")});
  auth.tokens.push_back(
      {"acme", sha256("acme"), Rights{.actions = {true, true, true}, .scopes = {"acme"}}});
  auth.tokens.push_back(
      {"two", sha256("two"), Rights{.actions = {true, true, true}, .scopes = {"acme", "zeta"}}});
  auth.tokens.push_back(
      {"writer", sha256("writer"), Rights{.actions = {true, false, false}, .scopes = {}}});
  auth.tokens.push_back(
      {"reader", sha256("reader"), Rights{.actions = {false, true, false}, .scopes = {}}});
  auth.tokens.push_back(
      {"person", sha256("person"), Rights{.actions = {false, false, true}, .scopes = {}}});
  return auth;
}

class RightsTest : public ::testing::Test {
 protected:
  static ServerOptions options() {
    ServerOptions all = quick();
    all.auth = tokens();
    return all;
  }

  Got ask(const std::string& token, const std::string& method, const std::string& path,
          const std::string& body = "") {
    return server.call(method, path, body, {{"Authorization", "Bearer " + token}});
  }
  static std::string body(const std::string& scope, const std::string& key,
                          const std::string& more = "") {
    const std::string rest = Server::submission(scope + "/" + key, "x");
    return R"({"key":")" + key + R"(","scope":")" + scope + R"(",)" + more + rest.substr(1);
  }
  Got submit(const std::string& token, const std::string& scope, const std::string& key,
             const std::string& more = "") {
    return server.post("/v1/operations", body(scope, key, more),
                       {{"Authorization", "Bearer " + token}, {"Prefer", "wait=10"}});
  }
  std::vector<std::string> listed(const std::string& token, const std::string& query = "") {
    std::vector<std::string> keys;
    const Got got = ask(token, "GET", "/v1/operations" + query);
    if (!got.at("operations").is_array()) return {"problem " + got.problem()};
    for (const json::Value& each : got.at("operations").items()) {
      keys.push_back(each.find("key")->as_string());
    }
    return keys;
  }

  Server server{options()};
};

TEST_F(RightsTest, S2_a_token_submits_for_its_own_tenants_only) {
  EXPECT_EQ(submit("acme", "acme", "k").status(), 201);
  const Got refused = submit("acme", "other", "k");
  EXPECT_EQ(refused.status(), 403);
  EXPECT_EQ(refused.problem(), "out-of-scope");
  EXPECT_EQ(refused.text("pointer"), "/scope");
  const std::string without = Server::submission("a.md", "x");
  EXPECT_EQ(ask("acme", "POST", "/v1/operations", R"({"key":"k",)" + without.substr(1)).status(),
            403)
      << "without a scope it is for 'default'";
  EXPECT_EQ(listed("all"), std::vector<std::string>{"k"}) << "nothing was accepted";
}

TEST_F(RightsTest, S2_a_batch_is_held_to_it_line_by_line) {
  const Got got = server.call(
      "POST", "/v1/operations/batch", body("acme", "a") + "\n" + body("other", "b") + "\n",
      {{"Authorization", "Bearer acme"}, {"Content-Type", "application/x-ndjson"}});
  ASSERT_EQ(got.status(), 200);
  const std::string& text = got.response.body;
  EXPECT_TRUE(text.starts_with(R"({"index":0,"status":202)")) << text;
  EXPECT_NE(text.find(R"({"index":1,"status":403)"), std::string::npos) << text;
  EXPECT_NE(text.find("urn:trued:problem:out-of-scope"), std::string::npos) << text;
}

TEST_F(RightsTest, S2_what_is_of_another_tenant_is_as_if_it_were_not_there) {
  const std::string id =
      submit("all", "other", "k", R"("not_before":"2099-01-01T00:00:00Z",)").text("id");
  ASSERT_FALSE(id.empty());
  std::string unknown = id;
  unknown.back() = unknown.back() == '0' ? '1' : '0';
  const auto both = [&](const std::string& method, const std::string& below,
                        const std::string& sent = "") {
    const Got there = ask("acme", method, "/v1/operations/" + id + below, sent);
    const Got nowhere = ask("acme", method, "/v1/operations/" + unknown + below, sent);
    EXPECT_EQ(there.status(), 404) << below;
    std::string text = there.response.body;
    for (std::size_t at = text.find(id); at != std::string::npos; at = text.find(id)) {
      text.replace(at, id.size(), unknown);
    }
    EXPECT_EQ(text, nowhere.response.body) << below;
  };
  both("GET", "");
  both("GET", "?wait=30");
  both("GET", "/events");
  both("POST", "/cancel");
  both("POST", "/retry");
  both("POST", "/resolve", R"({"verdict":"it_happened"})");
  EXPECT_EQ(ask("all", "GET", "/v1/operations/" + id).text("state"), "accepted");
}

TEST_F(RightsTest, S2_what_is_of_its_own_tenant_is_there) {
  const std::string id =
      submit("acme", "acme", "k", R"("not_before":"2099-01-01T00:00:00Z",)").text("id");
  const std::string path = "/v1/operations/" + id;
  EXPECT_EQ(ask("acme", "GET", path).status(), 200);
  EXPECT_EQ(ask("two", "GET", path + "/events").status(), 200);
  const Got canceled = ask("acme", "POST", path + "/cancel");
  EXPECT_EQ(canceled.text("state"), "canceled");
  EXPECT_EQ(ask("acme", "GET", path + "?wait=1").text("state"), "canceled");
}

TEST_F(RightsTest, S2_lists_hold_the_tenants_of_the_token) {
  for (const char* key : {"1", "2", "3"}) {
    for (const char* scope : {"acme", "other", "zeta"}) {
      ASSERT_EQ(submit("all", scope, std::string(scope) + key).status(), 201);
    }
  }
  using Keys = std::vector<std::string>;
  EXPECT_EQ(listed("all").size(), 9U);
  EXPECT_EQ(listed("acme"), (Keys{"acme3", "acme2", "acme1"}));
  EXPECT_EQ(listed("two"), (Keys{"zeta3", "acme3", "zeta2", "acme2", "zeta1", "acme1"}));
  EXPECT_EQ(listed("two", "?scope=zeta"), (Keys{"zeta3", "zeta2", "zeta1"}));
  EXPECT_EQ(listed("two", "?scope=other"), Keys{"problem out-of-scope"});
  Keys pages;
  std::string cursor;
  for (int i = 0; i < 4; ++i) {
    const Got page = ask("two", "GET", "/v1/operations?limit=2" + cursor);
    for (const json::Value& each : page.at("operations").items()) {
      pages.push_back(each.find("key")->as_string());
    }
    if (page.at("cursor").is_null()) break;
    cursor = "&cursor=" + page.text("cursor");
  }
  EXPECT_EQ(pages, listed("two"));
}

TEST_F(RightsTest, S2_a_token_does_what_it_is_for) {
  const std::string id =
      submit("writer", "acme", "k", R"("not_before":"2099-01-01T00:00:00Z",)").text("id");
  const std::string path = "/v1/operations/" + id;
  struct Case {
    const char* token;
    int submit, read, resolve;
  };
  for (const Case& each : {Case{"writer", 202, 403, 403}, Case{"reader", 403, 200, 403},
                           Case{"person", 403, 403, 409}, Case{"all", 202, 200, 409}}) {
    SCOPED_TRACE(each.token);
    EXPECT_EQ(ask(each.token, "POST", "/v1/operations",
                  body("acme", "k", R"("not_before":"2099-01-01T00:00:00Z",)"))
                  .status(),
              each.submit);
    for (const std::string& what : {std::string("/v1/operations"), path, path + "/events",
                                    std::string("/v1/status"), std::string("/metrics")}) {
      EXPECT_EQ(ask(each.token, "GET", what).status(), each.read) << what;
    }
    EXPECT_EQ(ask(each.token, "POST", path + "/retry").status(), each.resolve);
  }
  const Got batch =
      server.call("POST", "/v1/operations/batch", body("acme", "b"),
                  {{"Authorization", "Bearer reader"}, {"Content-Type", "application/x-ndjson"}});
  EXPECT_EQ(batch.status(), 403);
  EXPECT_EQ(batch.problem(), "out-of-scope");
  EXPECT_NE(batch.text("detail").find("'reader' is for read, not to submit"), std::string::npos);
}

TEST_F(RightsTest, S2_what_tells_of_all_tenants_is_not_for_the_token_of_some) {
  for (const char* path : {"/v1/status", "/metrics"}) {
    EXPECT_EQ(ask("all", "GET", path).status(), 200);
    EXPECT_EQ(ask("acme", "GET", path).problem(), "out-of-scope") << path;
  }
  EXPECT_EQ(ask("acme", "GET", "/readyz").status(), 200);
}

}  // namespace
}  // namespace trued::api
