#include "define/definition.h"

#include <string>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/encoding.h"
#include "define/call_fake_test.h"

namespace trued::define {
namespace {

std::string faults_of(std::string_view text) {
  Faults faults;
  const auto definition = parse_definition("charge", json_of(text), faults);
  EXPECT_EQ(definition == nullptr, !faults.empty());
  return lines_of(faults);
}

// A sound definition but for `members`.
std::string with(const std::string& members) {
  return faults_of(R"({"effect":{"target":"psp","method":"POST","path":"/v1"},)" + members + "}");
}

const char* const kInput = R"({"user":"u1","cart":"c 7","amount":1200,"tenant":"acme"})";

std::string refused(const Definition& definition, std::string_view input,
                    const Submitted& submitted = {}) {
  const auto intended = definition.intend(json_of(input), submitted);
  return intended.has_value() ? "" : lines_of(intended.error());
}

TEST(Definition, T1_an_input_becomes_an_intent) {
  const auto definition = defined("charge", kCharge);
  const auto intended = definition->intend(json_of(kInput), {});
  ASSERT_TRUE(intended.has_value()) << lines_of(intended.error());
  EXPECT_EQ(intended->identity.scope, "default");
  EXPECT_EQ(intended->identity.type, "charge");
  EXPECT_EQ(intended->identity.key, derived_key(json_of(R"({"user":"u1","cart":"c 7"})")));
  EXPECT_TRUE(valid_key(intended->identity.key));
  EXPECT_EQ(intended->input, R"({"amount":1200,"cart":"c 7","tenant":"acme","user":"u1"})");
  EXPECT_EQ(intended->fingerprint.value(),
            sha256(R"({"input":)" + intended->input + R"(,"type":"charge"})"));
  const Intent& intent = *intended->intent;
  EXPECT_EQ(intent.target, "psp");
  EXPECT_EQ(intent.input, intended->input);
  ASSERT_EQ(intent.artifacts.size(), 1U);
  EXPECT_EQ(intent.artifacts[0].name, "charge of c 7");
  EXPECT_EQ(intent.artifacts[0].comparison, Comparison::json_subset);
  EXPECT_EQ(intent.artifacts[0].content, R"({"amount":1200,"status":"succeeded"})");
  EXPECT_EQ(intent.artifacts[0].id.sha256, sha256(intent.artifacts[0].content));
  EXPECT_EQ(definition->targets(), std::vector<std::string>{"psp"});
}

TEST(Definition, T1_what_was_accepted_comes_back_the_same) {
  const auto definition = defined("charge", kCharge);
  const auto intended = definition->intend(json_of(kInput), {});
  ASSERT_TRUE(intended.has_value());
  const auto restored = definition->restore(json_of(intended->input), intended->identity);
  ASSERT_TRUE(restored.has_value());
  EXPECT_EQ((*restored)->input, intended->intent->input);
  EXPECT_EQ((*restored)->artifacts[0].content, intended->intent->artifacts[0].content);
  EXPECT_EQ((*restored)->artifacts[0].name, intended->intent->artifacts[0].name);
}

TEST(Definition, T2_an_identity_is_never_guessed) {
  const auto definition = defined("pay", R"({"identity":["user","cart.id"],
    "effect":{"target":"psp","method":"POST"}})");
  EXPECT_EQ(refused(*definition, R"({"user":"u"})"),
            "/cart/id: is missing, and the key of 'pay' is derived from it\n");
  EXPECT_EQ(refused(*definition, R"({"user":null,"cart":{"id":1}})"),
            "/user: is null, and the key of 'pay' is derived from it\n");
  const auto key = [&](std::string_view input) {
    return definition->intend(json_of(input), {})->identity.key;
  };
  EXPECT_EQ(key(R"({"user":"u","cart":{"id":1},"x":1})"), key(R"({"cart":{"id":1.0},"user":"u"})"));
  EXPECT_NE(key(R"({"user":"u","cart":{"id":1}})"), key(R"({"user":"u","cart":{"id":"1"}})"));
  const std::string derived = key(R"({"user":"u","cart":{"id":1}})");
  EXPECT_EQ(refused(*definition, R"({"user":"u","cart":{"id":1}})", {.scope = "", .key = derived}),
            "");
  EXPECT_NE(refused(*definition, R"({"user":"u","cart":{"id":1}})", {.scope = "", .key = "mine"})
                .find("derives its key"),
            std::string::npos);
}

TEST(Definition, T2_without_an_identity_the_client_gives_the_key) {
  const auto definition = defined("pay", R"({"effect":{"target":"psp","method":"POST"}})");
  EXPECT_NE(refused(*definition, "{}").find("a key is needed"), std::string::npos);
  EXPECT_NE(refused(*definition, "{}", {.scope = "", .key = "a b"}).find("255 visible"),
            std::string::npos);
  const auto intended = definition->intend(json_of("{}"), {.scope = "acme", .key = "k1"});
  ASSERT_TRUE(intended.has_value());
  EXPECT_EQ(intended->identity, (Identity{.scope = "acme", .type = "pay", .key = "k1"}));
}

TEST(Definition, T2_a_scope_comes_from_the_input) {
  const auto definition = defined("pay", R"({"scope":"t-${input.tenant}",
    "effect":{"target":"psp","method":"POST"}})");
  const auto intended = definition->intend(json_of(R"({"tenant":7})"), {.scope = "", .key = "k"});
  ASSERT_TRUE(intended.has_value());
  EXPECT_EQ(intended->identity.scope, "t-7");
  EXPECT_NE(refused(*definition, R"({"tenant":"a/b"})", {.scope = "", .key = "k"})
                .find("/tenant: the scope of 'pay' comes to 't-a/b', which is no scope"),
            std::string::npos);
  EXPECT_NE(refused(*definition, R"({"tenant":"a"})", {.scope = "t-b", .key = "k"})
                .find("is not that of the input, 't-a'"),
            std::string::npos);
  EXPECT_NE(
      refused(*definition, "{}", {.scope = "", .key = "k"}).find("there is no 'input.tenant'"),
      std::string::npos);
}

TEST(Definition, T11_everything_an_input_lacks_is_said_before_anything_is_accepted) {
  const auto definition = defined("charge", kCharge);
  EXPECT_EQ(refused(*definition, R"({"user":"","amount":"5","amuont":1})"),
            "/cart: is missing; expected a text\n"
            "/amount: expected a whole number, seen \"5\"\n"
            "/amuont: is not known here; did you mean 'amount'?\n"
            "/user: expected at least 1 characters, seen \"\"\n");
  EXPECT_EQ(refused(*definition, R"({"user":"..","cart":"c","amount":1})"),
            "/user: 'input.user' makes a segment of the URL '..', which would lead elsewhere "
            "(used in requires/0/read)\n");
  const auto late = defined("pay", R"({"identity":["a"],
    "effect":{"target":"psp","method":"POST","json":{"x":"n ${input.b}","y":"${input.c}"}}})");
  EXPECT_EQ(refused(*late, R"({"a":1,"b":{}})"),
            "/b: 'input.b' is an object, which cannot stand within text (used in effect)\n");
  EXPECT_EQ(refused(*late, R"({"a":1,"b":1})"), "/c: there is no 'input.c' (used in effect)\n");
}

TEST(Definition, V1_expected_content_of_every_kind) {
  const auto definition = defined("put", R"({"effect":{"target":"psp","method":"PUT"},"artifact":[
    {"name":"t","read":{"path":"/t"},"expect":{"text":"hello ${input.who}"}},
    {"name":"b","read":{"path":"/b"},"expect":{"text":"${input.bytes}","encoding":"base64"}},
    {"name":"d","read":{"path":"/d"},"expect":{"sha256":"${input.digest}"}},
    {"name":"a","read":{"path":"/a"},"expect":{"absent":true}}]})");
  const std::string digest = sha256("x").hex();
  const auto intended = definition->intend(
      json_of(R"({"who":"you","bytes":"AAE=","digest":"sha256:)" + digest + R"("})"),
      {.scope = "", .key = "k"});
  ASSERT_TRUE(intended.has_value()) << lines_of(intended.error());
  const auto& artifacts = intended->intent->artifacts;
  EXPECT_EQ(artifacts[0].content, "hello you");
  EXPECT_EQ(artifacts[1].content, std::string("\0\1", 2));
  EXPECT_EQ(artifacts[2].id.sha256.hex(), digest);
  EXPECT_TRUE(artifacts[3].absent);
  EXPECT_EQ(
      refused(*definition, R"({"who":"you","bytes":"A","digest":"x"})", {.scope = "", .key = "k"}),
      "/bytes: 'input.bytes' is no base64 (RFC 4648, with padding) (used in "
      "artifact.1.expect)\n"
      "/digest: 'input.digest' is no SHA-256: 64 hexadecimal digits (used in "
      "artifact.2.expect)\n");
}

TEST(Definition, V1_a_store_is_given_paths_and_contents) {
  const auto definition = defined("publish", R"({"input":{"properties":{"slug":{"type":"string"},
      "text":{"type":"string"}},"required":["slug","text"]},
    "effect":{"target":"docs","message":"Publish ${input.slug}"},
    "artifact":[{"path":"${input.slug}.md","content":"# ${input.text} in ${artifact.path}\n"},
                {"path":"old/${input.slug}.md","absent":true}]})");
  EXPECT_TRUE(definition->on_store);
  const auto intended =
      definition->intend(json_of(R"({"slug":"a","text":"b"})"), {.scope = "", .key = "k"});
  ASSERT_TRUE(intended.has_value()) << lines_of(intended.error());
  EXPECT_EQ(intended->intent->message, "Publish a");
  EXPECT_EQ(intended->intent->artifacts[0].content, "# b in a.md\n");
  EXPECT_EQ(intended->intent->artifacts[0].comparison, Comparison::bytes);
  EXPECT_TRUE(intended->intent->artifacts[1].absent);
  EXPECT_NE(refused(*definition, R"({"slug":"a\n","text":""})", {.scope = "", .key = "k"})
                .find("/slug: makes the name of an artifact 'a\\n.md'"),
            std::string::npos);
}

TEST(Definition, T6_operations_take_turns_at_what_they_touch) {
  const auto turns = [](const char* read, const char* input, const char* key) {
    const auto definition =
        defined("pay", R"({"effect":{"target":"psp","method":"POST"},
      "artifact":[{"name":"charge","read":{"path":")" +
                           std::string(read) + R"("},"expect":{"absent":true}}]})");
    const auto intended = definition->intend(json_of(input), {.scope = "", .key = key});
    EXPECT_TRUE(intended.has_value());
    return definition->turns(*intended->intent, intended->identity).at(0);
  };
  EXPECT_EQ(turns("/c/${input.c}", R"({"c":1})", "k1"), turns("/c/${input.c}", R"({"c":1})", "k2"));
  EXPECT_NE(turns("/c/${input.c}", R"({"c":1})", "k1"), turns("/c/${input.c}", R"({"c":2})", "k1"));
  EXPECT_NE(turns("/c/${result.id}", "{}", "k1"), turns("/c/${result.id}", "{}", "k2"));
  EXPECT_EQ(turns("/c/${result.id}", "{}", "k1"), turns("/c/${result.id}", "{}", "k1"));
  EXPECT_NE(turns("/${operation.key}", "{}", "k1"), turns("/${operation.key}", "{}", "k2"));
  const auto store = defined("put", R"({"effect":{"target":"docs"},
    "artifact":[{"path":"a/${input.x}","content":""}]})");
  const auto intended = store->intend(json_of(R"({"x":"b"})"), {.scope = "", .key = "k"});
  EXPECT_EQ(store->turns(*intended->intent, intended->identity), std::vector<std::string>{"a/b"});
}

TEST(Definition, T13_a_version_is_told_by_its_digest) {
  const auto definition = defined("charge", kCharge);
  const auto loaded = load_definition(definition->canonical);
  ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
  EXPECT_EQ((*loaded)->digest, definition->digest);
  EXPECT_EQ((*loaded)->name, "charge");
  EXPECT_NE(defined("charge2", kCharge)->digest, definition->digest);
  EXPECT_EQ(diff(*definition, **loaded), std::vector<std::string>{});
  EXPECT_FALSE(load_definition("{}").has_value());
  EXPECT_FALSE(load_definition(R"({"name":"x","definition":{"efect":1}})").has_value());
}

TEST(Definition, T13_what_could_not_be_read_again_is_refused) {
  json::Value deep;
  for (int i = 0; i < 70; ++i) {
    json::Value::Array items;
    items.push_back(std::move(deep));
    deep = json::Value(std::move(items));
  }
  json::Value tree = json_of(R"({"effect":{"target":"psp","method":"POST"}})");
  tree.members().front().second.members().emplace_back("v", std::move(deep));
  Faults faults;
  EXPECT_EQ(parse_definition("deep", tree, faults), nullptr);
  EXPECT_NE(lines_of(faults).find("cannot be stored"), std::string::npos) << lines_of(faults);
}

TEST(Definition, T13_a_difference_is_said_in_words) {
  const auto before = defined("p", R"({"effect":{"target":"psp","method":"POST","json":{"a":1}},
    "retry":{"attempts_max":5},"deadline":"1m"})");
  const auto after = defined("p", R"({"effect":{"target":"psp","method":"PUT","json":{"a":1,
    "b.c":"${input.x}"}},"retry":{"attempts_max":8}})");
  EXPECT_EQ(diff(*before, *after),
            (std::vector<std::string>{
                "deadline: removed \"1m\"", "effect.json.b.c: added \"${input.x}\"",
                "effect.method: \"POST\" -> \"PUT\"", "retry.attempts_max: 5 -> 8"}));
}

TEST(Definition, T11_unknown_keys_say_what_they_resemble) {
  EXPECT_EQ(with(R"("retyr":{})").substr(0, 48),
            "/retyr: unknown key 'retyr'; did you mean 'retry");
  EXPECT_EQ(with(R"("retry":{"frist":3})"),
            "/retry/frist: unknown key 'frist'; did you mean 'first'?\n");
  EXPECT_EQ(faults_of("{}"),
            "/effect: is missing: { target = \"NAME\", … }, what the operation does\n");
}

TEST(Definition, T11_paths_that_cannot_exist_are_refused) {
  EXPECT_EQ(
      faults_of(R"({"input":{"properties":{"amount":{"type":"integer"},"o":{"type":"object"}}},
      "identity":["amout"],"scope":"${input.tenant}",
      "effect":{"target":"psp","method":"POST",
                "json":{"a":"${input.amonut}","b":"x ${input.o}"}}})"),
      "/identity/0: 'amout' cannot exist: the schema of the input declares no 'amout'; did "
      "you mean 'amount'?\n"
      "/scope: '${input.tenant}' cannot exist: the schema of the input declares no "
      "'tenant'; known here: amount, o\n"
      "/effect/json/a: '${input.amonut}' cannot exist: the schema of the input declares no "
      "'amonut'; did you mean 'amount'?\n"
      "/effect/json/b: '${input.o}' cannot stand within text: no value that the schema "
      "allows there is a text, a number, true or false\n");
}

TEST(Definition, T11_what_is_known_later_cannot_stand_earlier) {
  EXPECT_NE(with(R"("scope":"${operation.key}")"), "");
  EXPECT_NE(with(R"("artifact":[{"name":"${operation.id}","read":{"path":"/"},
                    "expect":{"absent":true}}])"),
            "");
  EXPECT_NE(with(R"("artifact":[{"name":"a","read":{"path":"/"},
                    "expect":{"text":"${result.id}"}}])"),
            "");
  EXPECT_NE(with(R"("artifact":[{"name":"a","read":{"path":"/"},
                    "serving":{"path":"/${result.id}"},"expect":{"absent":true}}])"),
            "");
  EXPECT_NE(faults_of(R"({"effect":{"target":"psp","path":"/${result.id}"}})"), "");
  EXPECT_EQ(with(R"("artifact":[{"name":"${operation.identity}",
      "read":{"path":"/${result.id}/${operation.id}/${artifact.name}"},
      "serving":{"target":"web","path":"/${operation.id}"},
      "expect":{"text":"${operation.key} ${artifact.name}"}}])"),
            "");
}

TEST(Definition, T11_what_contradicts_itself_is_refused) {
  EXPECT_NE(with(R"("irreversible":true,"compensate":{"operation":"refund","input":{}})"), "");
  EXPECT_NE(with(R"("artifact":[{"name":"a","read":{"path":"/"},"expect":{}}])"), "");
  EXPECT_NE(with(R"("artifact":[{"name":"a","read":{"path":"/"},
                    "expect":{"text":"","absent":true}}])"),
            "");
  EXPECT_NE(with(R"("artifact":[{"name":"a","read":{"path":"/"},"expect":{"sha256":"abc"}}])"), "");
  EXPECT_NE(with(R"("on_unknown":["repeat"])"), "") << "nobody decides";
  EXPECT_NE(with(R"("on_unknown":["repeat","probe","person"])"), "") << "another order";
  EXPECT_NE(with(R"("artifact":[{"name":"a","read":{"path":"/"},"expect":{"absent":true}}],
                    "on_unknown":["person"])"),
            "");
  EXPECT_NE(with(R"("requires":[{"read":{"path":"/"}}])"), "");
  EXPECT_NE(with(R"("requires":[{"operation":"x","status":"confirmed"}])"), "");
  EXPECT_NE(with(R"("requires":[{"id":"${input.op}","status":"confrimed"}])"), "");
  EXPECT_NE(with(R"("requires":[{"id":"x","operation":"y","status":"confirmed"}])"), "");
  EXPECT_EQ(with(R"("requires":[{"id":"${input.op}","status":["confirmed","undone"]},
                    {"operation":"x","key":"k","status":"failed"}])"),
            "");
  EXPECT_NE(with(R"("deadline":"soon")"), "");
  EXPECT_NE(with(R"("deadline":"0s")"), "");
  EXPECT_NE(faults_of(R"({"effect":{"target":"docs"}})"), "") << "a store, and nothing for it";
  EXPECT_NE(faults_of(R"({"effect":{"target":"docs"},"artifact":[{"path":"a","content":"",
                         "read":{"path":"/"}}]})"),
            "");
  Faults faults;
  EXPECT_EQ(parse_definition("write", json_of(kCharge), faults), nullptr) << "it is built in";
  EXPECT_EQ(parse_definition("a b", json_of(kCharge), faults), nullptr);
}

TEST(Definition, T8_a_compensation_is_made_of_input_and_result) {
  const auto definition = defined("charge", R"({"effect":{"target":"psp","method":"POST"},
    "compensate":{"operation":"refund","input":{"charge":"${result.id}","by":"${input.user}"}}})");
  const json::Value input = json_of(R"({"user":"u"})");
  const json::Value result = json_of(R"({"id":17})");
  const auto made = definition->compensation({.input = &input, .result = &result});
  ASSERT_TRUE(made.has_value());
  EXPECT_EQ(json::canonical(*made), R"({"by":"u","charge":17})");
  EXPECT_FALSE(definition->compensation({.input = &input}).has_value());
}

RC_GTEST_PROP(Definition, T2_a_key_tells_identity_fields_apart,
              (const std::string& raw_a, const std::string& raw_b, const std::string& raw_c)) {
  const auto definition = defined("pay", R"({"identity":["a","b"],
    "effect":{"target":"psp","method":"POST"}})");
  const auto input = [](const std::string& a, const std::string& b, const std::string& c) {
    json::Value::Object members;
    members.emplace_back("a", json::Value(hex_encode(a)));
    members.emplace_back("b", json::Value(hex_encode(b)));
    members.emplace_back("c", json::Value(hex_encode(c)));
    return json::Value(std::move(members));
  };
  const auto key = [&](const json::Value& value) {
    return definition->intend(value, {})->identity.key;
  };
  RC_ASSERT(valid_key(key(input(raw_a, raw_b, raw_c))));
  RC_ASSERT(key(input(raw_a, raw_b, raw_c)) == key(input(raw_a, raw_b, "")));
  RC_ASSERT((key(input(raw_a, raw_b, "")) == key(input(raw_b, raw_a, ""))) == (raw_a == raw_b));
}

}  // namespace
}  // namespace trued::define
