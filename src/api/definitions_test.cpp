// Definitions over HTTP: a look first, then the change, as operations that are read back.
#include <thread>

#include <gtest/gtest.h>

#include "api/api_test_support.h"

namespace trued::api {
namespace {

ServerOptions with_definitions() {
  ServerOptions options = quick();
  options.definitions = true;
  return options;
}

ServerOptions with_tokens() {
  ServerOptions options = with_definitions();
  config::Rights submits;
  submits.actions = {true, true, true, false};
  config::Rights acme;
  acme.scopes = {"acme"};
  options.auth.tokens = {{"ops", sha256("ops-token"), {}},
                         {"submitter", sha256("submitter-token"), submits},
                         {"acme", sha256("acme-token"), acme}};
  return options;
}

std::string page(const std::string& content) {
  return R"({"identity":["slug"],"effect":{"target":"docs"},
             "artifact":[{"path":"${input.slug}.md","content":")" +
         content + "\"}]}";
}

std::string body(const std::string& definitions, const std::string& more = "") {
  return R"({"definitions":{)" + definitions + "}" + more + "}";
}

std::string publish(const std::string& content, const std::string& more = "") {
  return body(R"("publish":)" + page(content), more);
}

Got send(Server& server, const std::string& text) { return server.post("/v1/definitions", text); }

Got submit(Server& server, const std::string& slug, int wait = 10) {
  return server.post("/v1/operations", R"({"type":"publish","input":{"slug":")" + slug + "\"}}",
                     {{"Prefer", "wait=" + std::to_string(wait)}});
}

TEST(Definitions, T13_a_look_changes_nothing) {
  Server server(with_definitions());
  const Got look = send(server, publish("one", R"(,"dry_run":true)"));
  ASSERT_EQ(look.status(), 200) << look.response.body;
  EXPECT_TRUE(look.at("dry_run").as_bool());
  EXPECT_TRUE(look.at("changes").as_bool());
  EXPECT_EQ(look.text("definitions/0/change"), "added");
  EXPECT_EQ(look.number("definitions/0/from"), 0);
  EXPECT_EQ(look.number("definitions/0/to"), 1);
  EXPECT_TRUE(look.at("definitions/0/operation").is_null());
  EXPECT_TRUE(server.get("/v1/definitions").at("definitions").items().empty());
  EXPECT_EQ(submit(server, "a").problem(), "no-such-type");
}

TEST(Definitions, V1_T13_each_version_is_an_operation_that_is_read_back) {
  Server server(with_definitions());
  const Got first = send(server, publish("one"));
  ASSERT_EQ(first.status(), 200) << first.response.body;
  EXPECT_TRUE(first.at("confirmed").as_bool());
  EXPECT_EQ(first.text("definitions/0/status"), "confirmed");
  const Got receipt = server.get("/v1/operations/" + first.text("definitions/0/operation"));
  EXPECT_EQ(receipt.text("type"), "definition");
  EXPECT_EQ(receipt.text("key"), "publish@1");
  EXPECT_EQ(receipt.text("artifacts/0/verdict"), "match");

  const Got made = submit(server, "a");
  EXPECT_EQ(made.status(), 201) << made.response.body;
  EXPECT_EQ(made.text("definition"), "publish@1");
  EXPECT_EQ(made.text("status"), "confirmed");

  const Got again = send(server, publish("one"));
  EXPECT_FALSE(again.at("changes").as_bool());
  EXPECT_EQ(again.text("definitions/0/change"), "same");
  const Got second = send(server, publish("two"));
  EXPECT_EQ(second.text("definitions/0/change"), "changed");
  EXPECT_EQ(second.number("definitions/0/to"), 2);
  EXPECT_FALSE(second.at("definitions/0/differences").items().empty());
  EXPECT_EQ(submit(server, "b").text("definition"), "publish@2");

  const Got all = server.get("/v1/definitions/publish");
  ASSERT_EQ(all.at("versions").items().size(), 2U) << all.response.body;
  EXPECT_FALSE(all.at("versions/0/current").as_bool());
  EXPECT_TRUE(all.at("versions/1/current").as_bool());
  EXPECT_TRUE(all.at("versions/1/usable").as_bool());
  EXPECT_EQ(all.text("versions/1/target"), "docs");
  EXPECT_EQ(all.text("versions/0/operation"), first.text("definitions/0/operation"));
  EXPECT_FALSE(all.text("versions/0/applied_at").empty());
  EXPECT_EQ(all.text("versions/1/definition/artifact/0/content"), "two");
  EXPECT_EQ(server.get("/v1/definitions/pubish").problem(), "no-such-type");
}

TEST(Definitions, T13_what_was_looked_at_is_what_is_applied) {
  Server server(with_definitions());
  ASSERT_EQ(send(server, publish("one", R"(,"expected":{"publish":0})")).status(), 200);
  const Got late = send(server, publish("two", R"(,"expected":{"publish":0})"));
  EXPECT_EQ(late.status(), 409);
  EXPECT_EQ(late.problem(), "definitions-changed");
  EXPECT_EQ(late.text("expected"), "publish@0");
  EXPECT_EQ(late.text("seen"), "publish@1");
  const Got gone = send(server, publish("two", R"(,"expected":{"publish":1,"ping":2})"));
  EXPECT_EQ(gone.problem(), "definitions-changed") << "what is looked at need not be given";
  EXPECT_EQ(gone.text("seen"), "none");
  EXPECT_EQ(server.get("/v1/definitions/publish").at("versions").items().size(), 1U);
  EXPECT_EQ(send(server, publish("two", R"(,"expected":{"publish":1})")).status(), 200);
}

TEST(Definitions, T13_of_two_at_once_one_is_applied) {
  Server server(with_definitions());
  for (int round = 0; round < 10; ++round) {
    const std::string expected = R"(,"expected":{"publish":)" + std::to_string(round) + "}";
    Got one;
    Got two;
    {
      const std::jthread first(
          [&] { one = send(server, publish("x" + std::to_string(round), expected)); });
      two = send(server, publish("y" + std::to_string(round), expected));
    }
    const Got& lost = one.status() == 200 ? two : one;
    const Got& won = one.status() == 200 ? one : two;
    EXPECT_EQ(won.status(), 200) << won.response.body;
    EXPECT_EQ(lost.problem(), "definitions-changed") << lost.response.body;
    EXPECT_EQ(won.number("definitions/0/to"), round + 1);
  }
}

TEST(Definitions, T11_one_that_is_not_sound_keeps_all_from_being_applied) {
  Server server(with_definitions());
  const std::string bad =
      R"("bad":{"identity":["a"],"effect":{"target":"dosc"},"retries":3,"artifact":[]})";
  const Got got = send(server, body(bad + R"(,"publish":)" + page("one")));
  ASSERT_EQ(got.status(), 422) << got.response.body;
  EXPECT_EQ(got.problem(), "definition-invalid");
  EXPECT_EQ(got.text("errors/0/operation"), "bad");
  EXPECT_TRUE(got.text("pointer").starts_with("/definitions/bad/")) << got.response.body;
  EXPECT_NE(got.text("detail").find("Nothing was applied"), std::string::npos);
  EXPECT_TRUE(server.get("/v1/definitions").at("definitions").items().empty());
  const Got unknown = send(
      server, body(R"("p":{"effect":{"target":"dosc"},"artifact":[{"path":"a","content":""}]})"));
  EXPECT_NE(unknown.text("errors/0/detail").find("did you mean 'docs'?"), std::string::npos)
      << unknown.response.body;
}

TEST(Definitions, T13_what_is_retired_begins_nothing_and_is_still_told_of) {
  Server server(with_definitions());
  ASSERT_EQ(send(server, publish("one")).status(), 200);
  const Got kept = send(server, body(""));
  EXPECT_EQ(kept.text("definitions/0/change"), "kept");
  const Got gone = send(server, body("", R"(,"prune":true)"));
  EXPECT_EQ(gone.text("definitions/0/change"), "retired");
  EXPECT_EQ(gone.text("definitions/0/status"), "confirmed") << gone.response.body;
  EXPECT_EQ(submit(server, "a").problem(), "no-such-type");
  const Got all = server.get("/v1/definitions/publish");
  EXPECT_TRUE(all.at("versions/1/definition").is_null());
  EXPECT_FALSE(all.at("versions/1/current").as_bool());
  EXPECT_TRUE(server.get("/v1/definitions").at("definitions").items().empty());
  EXPECT_EQ(send(server, publish("one")).number("definitions/0/to"), 3);
  EXPECT_EQ(submit(server, "a").text("definition"), "publish@3");
}

TEST(Definitions, T13_an_operation_keeps_to_the_version_it_began_with) {
  Server server(with_definitions());
  ASSERT_EQ(send(server, publish("one")).status(), 200);
  server.gate->shut();
  const Got waits = submit(server, "a", 0);
  EXPECT_EQ(waits.status(), 202);
  ASSERT_EQ(send(server, publish("two")).status(), 200);
  const Got queued = submit(server, "b", 0);
  EXPECT_EQ(queued.text("definition"), "publish@2");
  server.gate->open();
  const Got done = server.get("/v1/operations/" + waits.text("id") + "?wait=10");
  EXPECT_EQ(done.text("definition"), "publish@1");
  EXPECT_EQ(done.text("status"), "confirmed");
  EXPECT_EQ(server.store->content("a.md"), "one");
}

TEST(Definitions, T10_what_cannot_be_read_is_refused) {
  Server server(with_definitions());
  const auto pointer = [&](const std::string& text) {
    const Got got = send(server, text);
    EXPECT_EQ(got.problem(), "malformed") << text << got.response.body;
    return got.text("pointer");
  };
  EXPECT_EQ(pointer("[]"), "");
  EXPECT_EQ(pointer("{}"), "/definitions");
  EXPECT_EQ(pointer(R"({"definitions":[]})"), "/definitions");
  EXPECT_EQ(pointer(publish("x", R"(,"purge":true)")), "/purge");
  EXPECT_EQ(pointer(publish("x", R"(,"prune":1)")), "/prune");
  EXPECT_EQ(pointer(publish("x", R"(,"dry_run":"yes")")), "/dry_run");
  EXPECT_EQ(pointer(publish("x", R"(,"expected":[])")), "/expected");
  EXPECT_EQ(pointer(publish("x", R"(,"expected":{"a":-1})")), "/expected/a");
  EXPECT_EQ(pointer(publish("x", R"(,"expected":{"a/b":9999999999})")), "/expected/a~1b");
}

TEST(Definitions, S2_applying_takes_its_own_right_and_every_scope) {
  Server server(with_tokens());
  const auto as = [&](const char* token, const char* method) {
    const bool post = std::string_view(method) == "POST";
    return server
        .call(method, "/v1/definitions", post ? publish("one") : "",
              {{"Authorization", std::string("Bearer ") + token}})
        .status();
  };
  EXPECT_EQ(as("submitter-token", "POST"), 403);
  EXPECT_EQ(as("acme-token", "POST"), 403);
  EXPECT_EQ(as("acme-token", "GET"), 403);
  EXPECT_EQ(as("submitter-token", "GET"), 200);
  EXPECT_EQ(as("ops-token", "POST"), 200);
  const Got all =
      server.call("GET", "/v1/definitions/publish", "", {{"Authorization", "Bearer ops-token"}});
  EXPECT_EQ(all.text("versions/0/applied_by"), "ops") << all.response.body;
}

}  // namespace
}  // namespace trued::api
