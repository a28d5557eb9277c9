#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "json/parse.h"
#include "target/call_conformance.h"
#include "target/http/http_target.h"
#include "target/http/shop_test.h"

namespace trued {
namespace {

json::Value parsed(const std::string& text) {
  auto value = json::parse(text);
  EXPECT_TRUE(value.has_value()) << text;
  return std::move(value).value();
}

/// A way through which the shop cannot be reached: nobody listens at the other port.
class HttpWorld final : public CallWorld {
 public:
  explicit HttpWorld(bool deduplicates) : shop_(deduplicates) {
    HttpSpec spec;
    spec.base_url = shop_.url();
    spec.allow_private = true;
    spec.deduplicates = deduplicates;
    spec.total_timeout = Duration{10'000};
    spec.first_byte_timeout = Duration{10'000};
    reachable_ = open(spec);
    spec.base_url = "http://127.0.0.1:1";
    unreachable_ = open(spec);
  }
  CallTarget& target() override { return down_ ? *unreachable_ : *reachable_; }
  json::Value effect(const std::string& name, const std::string& value) override {
    return parsed(R"({"method":"POST","path":"/things/)" + name + R"(","json":{"v":")" + value +
                  "\"}}");
  }
  json::Value read(const std::string& name) override {
    return parsed(R"({"path":"/things/)" + name + "\"}");
  }
  int executions(const std::string& name) override { return shop_.executions(name); }
  bool arrange(Trouble trouble) override {
    down_ = trouble == Trouble::unreachable;
    shop_.arrange(down_ ? Trouble::none : trouble);
    return true;
  }
  std::optional<bool> was_told(const std::string& identity) override {
    return shop_.was_told(identity);
  }
  std::vector<json::Value> effect_templates() override {
    return {
        parsed(R"({"method":"POST","path":"/a/${input.id}?k=${operation.identity}",
                   "json":{"n":"${input.n}"},"headers":{"X-Tenant":"${input.tenant}"},
                   "query":"${input.query}","answers":{"404":"final","5xx":"unknown"}})"),
        parsed(R"({"method":"PUT","url":"${result.location}","body":"${input.text}",
                   "idempotency_header":null})"),
        parsed(R"({"method":"DELETE","path":"${input.path}","idempotency_header":"X-Key"})"),
        parsed(R"({"method":"PATCH","path":"/a","form":{"a":"${input.a}","b":1,"c":[true,"x"]}})")};
  }
  std::vector<json::Value> read_templates() override {
    return {parsed(R"({"path":"/a/${result.id}","query":{"a":"${input.a}"},"absent_on":[404]})"),
            parsed(R"({"method":"POST","path":"/search","json":{"key":"${operation.identity}"}})"),
            parsed(R"({"method":"HEAD","path":"/a"})")};
  }
  std::vector<BadCall> bad_effects() override {
    std::vector<BadCall> bad;
    for (const auto& [request, pointer] : kBadEffects) bad.push_back({parsed(request), pointer});
    return bad;
  }
  std::vector<BadCall> bad_reads() override {
    std::vector<BadCall> bad;
    for (const auto& [request, pointer] : kBadReads) bad.push_back({parsed(request), pointer});
    return bad;
  }

 private:
  static constexpr std::pair<const char*, const char*> kBadEffects[] = {
      {R"({"path":"/a"})", "/method"},
      {R"({"method":"GET","path":"/a"})", "/method"},
      {R"({"method":"post","path":"/a"})", "/method"},
      {R"({"method":7,"path":"/a"})", "/method"},
      {R"({"method":"POST"})", "/path"},
      {R"({"method":"POST","path":"a"})", "/path"},
      {R"({"method":"POST","path":"/a/../b"})", "/path"},
      {R"({"method":"POST","path":"//evil.example/x"})", "/path"},
      {R"({"method":"POST","path":"/a b"})", "/path"},
      {R"({"method":"POST","path":"/a","url":"http://127.0.0.1/a"})", "/url"},
      {R"({"method":"POST","url":"http://evil.example/a"})", "/url"},
      {R"({"method":"POST","path":"/a","pth":"/b"})", "/pth"},
      {R"({"method":"POST","path":"/a","headers":{"Host":"x"}})", "/headers/Host"},
      {R"({"method":"POST","path":"/a","headers":{"X":"a\r\nY: b"}})", "/headers/X"},
      {R"({"method":"POST","path":"/a","headers":{"a/b":"x"}})", "/headers/a~1b"},
      {R"({"method":"POST","path":"/a","headers":{"Idempotency-Key":"x"}})",
       "/headers/Idempotency-Key"},
      {R"({"method":"POST","path":"/a","json":1,"body":"x"})", "/body"},
      {R"({"method":"POST","path":"/a","body":1})", "/body"},
      {R"({"method":"POST","path":"/a","form":{"a":{"b":1}}})", "/form/a"},
      {R"({"method":"POST","path":"/a","query":{"a":[1,{}]}})", "/query/a/1"},
      {R"({"method":"POST","path":"/a","answers":{"999":"final"}})", "/answers/999"},
      {R"({"method":"POST","path":"/a","answers":{"409":"finale"}})", "/answers/409"},
      {R"({"method":"POST","path":"/a","idempotency_header":5})", "/idempotency_header"},
      {R"({"method":"POST","path":"/a","absent_on":[404]})", "/absent_on"},
  };
  static constexpr std::pair<const char*, const char*> kBadReads[] = {
      {R"({"method":"DELETE","path":"/a"})", "/method"},
      {R"({"path":"/a","json":{}})", "/json"},
      {R"({"path":"/a","absent_on":[200]})", "/absent_on/0"},
      {R"({"path":"/a","absent_on":404})", "/absent_on"},
      {R"({"path":"/a","answers":{}})", "/answers"},
      {R"({"path":"/a","body":"x"})", "/body"},
      {R"({"url":"https://127.0.0.1/a"})", "/url"},
  };
  static std::shared_ptr<CallTarget> open(const HttpSpec& spec) {
    auto target = HttpTarget::open(spec);
    EXPECT_TRUE(target.has_value()) << target.error().message;
    return std::move(target).value();
  }

  Shop shop_;
  std::shared_ptr<CallTarget> reachable_;
  std::shared_ptr<CallTarget> unreachable_;
  bool down_ = false;
};

INSTANTIATE_TEST_SUITE_P(
    Http, CallConformance,
    testing::Values(CallConformanceCase{"http", [] { return std::make_unique<HttpWorld>(false); }},
                    CallConformanceCase{"http_deduplicates",
                                        [] { return std::make_unique<HttpWorld>(true); }}),
    call_conformance_name);

}  // namespace
}  // namespace trued
