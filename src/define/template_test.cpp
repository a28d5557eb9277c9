#include "define/template.h"

#include <string>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "define/call_fake_test.h"
#include "json/json_gen_test.h"

namespace trued::define {
namespace {

constexpr Roots kAll{.operation = true,
                     .started = true,
                     .attempt = true,
                     .result = true,
                     .artifact = true,
                     .place = "in this test"};

std::string faults_of(std::string_view tree, const Roots& roots = kAll) {
  Faults faults;
  (void)Template::compile(json_of(tree), roots, "/t", faults);
  return lines_of(faults);
}

// What the template comes to with `input`, or its fault.
std::string rendered(std::string_view tree, std::string_view input,
                     const EncodingAt& encoding = {}) {
  Faults faults;
  const Template text = Template::compile(json_of(tree), kAll, "", faults);
  EXPECT_EQ(lines_of(faults), "");
  const json::Value value = json_of(input);
  const auto out = text.render({.input = &value}, encoding);
  if (out.has_value()) return json::canonical(*out);
  return "fault at " + out.error().pointer + ": " + out.error().detail;
}

TEST(Template, T2_a_path_alone_keeps_its_type) {
  const char* input = R"({"n":1.50,"b":true,"o":{"x":[null]},"z":null,"s":"7"})";
  EXPECT_EQ(rendered(R"("${input.n}")", input), "1.5");
  EXPECT_EQ(rendered(R"("${input.b}")", input), "true");
  EXPECT_EQ(rendered(R"("${input.o}")", input), R"({"x":[null]})");
  EXPECT_EQ(rendered(R"("${input.z}")", input), "null");
  EXPECT_EQ(rendered(R"("${input.s}")", input), R"("7")");
  EXPECT_EQ(rendered(R"("${input.o.x.0}")", input), "null");
  EXPECT_EQ(rendered(R"({"a":["${input.n}",{"b":"${input.s}"}],"c":1})", input),
            R"({"a":[1.5,{"b":"7"}],"c":1})");
}

TEST(Template, T2_within_text_numbers_are_written_as_rfc_8785_writes_them) {
  const char* input = R"({"n":1e21,"i":100,"h":0.000001,"b":false,"s":"x"})";
  EXPECT_EQ(rendered(R"("${input.n} ${input.i} ${input.h} ${input.b}${input.s}!")", input),
            R"("1e+21 100 0.000001 falsex!")");
}

TEST(Template, what_cannot_stand_within_text_is_a_fault) {
  EXPECT_EQ(rendered(R"({"a":"no ${input.o}"})", R"({"o":{}})"),
            "fault at /a: 'input.o' is an object, which cannot stand within text");
  EXPECT_EQ(rendered(R"("no ${input.o}")", R"({"o":[]})"),
            "fault at : 'input.o' is an array, which cannot stand within text");
  EXPECT_EQ(rendered(R"("no ${input.o}")", R"({"o":null})"),
            "fault at : 'input.o' is null, which cannot stand within text");
}

TEST(Template, what_is_missing_is_named) {
  EXPECT_EQ(rendered(R"(["${input.a.b}"])", R"({"a":{}})"), "fault at /0: there is no 'input.a.b'");
  EXPECT_EQ(rendered(R"("${input.a.1}")", R"({"a":[0]})"), "fault at : there is no 'input.a.1'");
  EXPECT_EQ(rendered(R"("${input.a.01}")", R"({"a":[0,1]})"),
            "fault at : there is no 'input.a.01'");
  EXPECT_EQ(rendered(R"("${result.id}")", "{}"),
            "fault at : 'result.id' is not known: there is no result of the effect (yet)");
}

TEST(Template, a_doubled_dollar_writes_the_characters_themselves) {
  EXPECT_EQ(rendered(R"("$${input.a} $ {x} $")", "{}"), R"("${input.a} $ {x} $")");
  EXPECT_EQ(rendered(R"("$${a}${input.a}")", R"({"a":1})"), R"("${a}1")");
}

TEST(Template, what_is_filled_in_is_never_looked_at_again) {
  EXPECT_EQ(rendered(R"("<${input.a}>")", R"({"a":"${input.b}","b":"secret"})"),
            R"("<${input.b}>")");
}

TEST(Template, T11_values_stay_within_their_segment_of_a_url) {
  const EncodingAt& url = call_encoding;
  EXPECT_EQ(rendered(R"({"path":"/u/${input.a}/x?q=${input.b}"})",
                     R"({"a":"../../admin","b":"1&role=root#é %"})", url),
            R"({"path":"/u/..%2F..%2Fadmin/x?q=1%26role%3Droot%23%C3%A9%20%25"})");
  EXPECT_EQ(rendered(R"({"path":"/n/${input.n}"})", R"({"n":1.5})", url), R"({"path":"/n/1.5"})");
  EXPECT_EQ(rendered(R"({"json":{"path":"${input.a}"}})", R"({"a":"a/b"})", url),
            R"({"json":{"path":"a/b"}})");
  for (const char* input : {R"({"a":".."})", R"({"a":"."})", R"({"a":""})"}) {
    EXPECT_NE(rendered(R"({"path":"/u/${input.a}/x"})", input, url).find("would lead elsewhere"),
              std::string::npos)
        << input;
    EXPECT_NE(rendered(R"({"url":"https://h/u/${input.a}"})", input, url).find("would lead"),
              std::string::npos)
        << input;
    EXPECT_EQ(rendered(R"({"path":"/u?a=${input.a}"})", input, url).find("fault"),
              std::string::npos)
        << "in a query it is a value like others";
  }
  EXPECT_NE(rendered(R"({"path":"/u/.${input.a}/x"})", R"({"a":"."})", url).find("elsewhere"),
            std::string::npos);
  EXPECT_EQ(rendered(R"({"path":"/u/${input.a}-${input.a}"})", R"({"a":""})", url),
            R"({"path":"/u/-"})");
}

TEST(Template, T11_a_value_cannot_become_an_option_of_a_command) {
  const char* argv = R"({"argv":["push","${input.a}","--to=${input.b}"]})";
  EXPECT_EQ(rendered(argv, R"({"a":12,"b":"-x"})", call_encoding),
            R"({"argv":["push","12","--to=-x"]})");
  for (const char* option : {R"({"a":"--exec=evil","b":""})", R"({"a":-1,"b":""})"}) {
    EXPECT_NE(rendered(argv, option, call_encoding).find("would be taken for an option"),
              std::string::npos)
        << option;
  }
}

TEST(Template, T11_a_value_cannot_begin_another_header) {
  const char* header = R"({"headers":{"X-A":"${input.a}"}})";
  EXPECT_EQ(rendered(header, R"({"a":12})", call_encoding), R"({"headers":{"X-A":"12"}})");
  EXPECT_EQ(rendered(header, R"({"a":"x\r\nHost: evil"})", call_encoding),
            "fault at /headers/X-A: 'input.a' holds a control character, which cannot stand in a "
            "header");
}

TEST(Template, T11_texts_that_are_no_templates_are_refused) {
  EXPECT_EQ(faults_of(R"({"a":"x ${input.y"})"),
            "/t/a: '${input.y' has no end: expected '}'; \"$${\" stands for \"${\"\n");
  EXPECT_EQ(faults_of(R"("${inptu.a}")"),
            "/t: '${inptu.a}' begins with no known root; did you mean 'input'?\n");
  EXPECT_EQ(faults_of(R"("${input..a}${}${ input.a }")"),
            "/t: '${input..a}' is no path: names between dots, such as ${input.items.0.sku}\n"
            "/t: '${}' is no path: names between dots, such as ${input.items.0.sku}\n"
            "/t: '${ input.a }' is no path: names between dots, such as ${input.items.0.sku}\n");
  EXPECT_EQ(faults_of(R"({"${input.a}":1})"),
            "/t/${input.a}: names of members are not filled in\n");
  EXPECT_NE(faults_of(R"("${env:TOKEN}")").find("secrets belong to a target"), std::string::npos);
  EXPECT_EQ(faults_of(R"("${operation.idd}")"),
            "/t: '${operation.idd}' is nothing of an operation; did you mean 'id'?\n");
}

TEST(Template, T11_what_is_not_known_at_a_place_cannot_stand_there) {
  const Roots name{.operation = true, .place = "in the name of an artifact"};
  EXPECT_EQ(faults_of(R"("${operation.id}")", name),
            "/t: '${operation.id}' cannot stand in the name of an artifact: it must be known "
            "before the operation is accepted; use operation.identity\n");
  EXPECT_EQ(faults_of(R"("${operation.identity}")", name), "");
  EXPECT_NE(faults_of(R"("${operation.attempt}")", name).find("it is not of one attempt"),
            std::string::npos);
  EXPECT_NE(faults_of(R"("${result.id}")", name).find("answered with is not known there"),
            std::string::npos);
  EXPECT_NE(faults_of(R"("${artifact.name}")", name).find("of no one artifact"), std::string::npos);
  EXPECT_NE(faults_of(R"("${operation.key}")", {.place = "in the scope"}).find("input alone"),
            std::string::npos);
}

// Every "${" in texts doubled, so that none is a path; names that hold one are no matter here.
json::Value escaped(const json::Value& tree) {
  if (tree.is_string()) {
    std::string out;
    const std::string& text = tree.as_string();
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text.compare(i, 2, "${") == 0) out += '$';
      out += text[i];
    }
    return json::Value(out);
  }
  if (tree.is_array()) {
    json::Value::Array items;
    for (const json::Value& item : tree.items()) items.push_back(escaped(item));
    return json::Value(std::move(items));
  }
  if (tree.is_object()) {
    json::Value::Object members;
    for (const auto& [name, member] : tree.members()) members.emplace_back(name, escaped(member));
    return json::Value(std::move(members));
  }
  return tree;
}

RC_GTEST_PROP(Template, an_escaped_document_renders_to_itself, ()) {
  const json::Value tree = *json::arbitrary_json();
  Faults faults;
  const Template text = Template::compile(escaped(tree), {}, "", faults);
  RC_ASSERT(faults.empty());
  RC_ASSERT(text.is_constant());
  const auto out = text.render({});
  RC_ASSERT(out.has_value());
  RC_ASSERT(json::canonical(*out) == json::canonical(tree));
}

RC_GTEST_PROP(Template, a_path_alone_gives_back_any_value, ()) {
  const json::Value value = *json::arbitrary_json();
  json::Value::Object members;
  members.emplace_back("a", value);
  const json::Value input(std::move(members));
  Faults faults;
  const Template text = Template::compile(json_of(R"({"x":["${input.a}"]})"), {}, "", faults);
  const auto out = text.render({.input = &input});
  RC_ASSERT(out.has_value());
  RC_ASSERT(json::canonical(*out) == R"({"x":[)" + json::canonical(value) + "]}");
}

RC_GTEST_PROP(Template, T11_a_value_in_a_url_can_be_told_from_what_surrounds_it,
              (const std::string& raw)) {
  // Any bytes: what is encoded holds none that means something in a URL.
  json::Value::Object members;
  members.emplace_back("a", json::Value(raw));
  const json::Value input(std::move(members));
  Faults faults;
  const Template text = Template::compile(json_of(R"({"path":"/p?a=${input.a}"})"), {}, "", faults);
  const auto out = text.render({.input = &input}, call_encoding);
  RC_ASSERT(out.has_value());
  const std::string value = out->find("path")->as_string().substr(5);
  RC_ASSERT(value.find_first_of("/?#&=+ \"\\\r\n") == std::string::npos);
  RC_ASSERT(value.size() >= raw.size());
}

}  // namespace
}  // namespace trued::define
