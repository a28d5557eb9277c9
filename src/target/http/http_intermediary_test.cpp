// Real proxies between us and the counterpart, set up to send a request again when its connection
// breaks. We send once; what they make of it must not make our word untrue, and a counterpart that
// deduplicates executes once however often it is asked.
#include <memory>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "io/programs_test.h"
#include "json/parse.h"
#include "target/http/http_target.h"
#include "target/http/shop_test.h"

namespace trued {
namespace {

/// haproxy or nginx in front of a shop that it takes for three servers.
class Intermediary {
 public:
  Intermediary(const std::string& kind, int shop) : port_(io::free_port()) {
    if (kind == "haproxy") {
      scratch_.write("haproxy.cfg", haproxy(shop));
      program_ = std::make_unique<io::Program>(
          std::vector<std::string>{program("haproxy"), "-db", "-f", scratch_.at("haproxy.cfg")},
          scratch_.at("log"));
    } else {
      scratch_.write("nginx.conf", nginx(shop));
      program_ = std::make_unique<io::Program>(
          std::vector<std::string>{program("nginx"), "-p", scratch_.at(""), "-e",
                                   scratch_.at("log"), "-c", scratch_.at("nginx.conf")},
          scratch_.at("log"));
    }
    EXPECT_TRUE(io::await_listener(port_)) << kind << ": " << scratch_.read("log");
  }
  [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

 private:
  // Where Debian puts them is in nobody's PATH but root's.
  static std::string program(const std::string& name) {
    const std::string usual = "/usr/sbin/" + name;
    return ::access(usual.c_str(), X_OK) == 0 ? usual : name;
  }
  [[nodiscard]] std::string haproxy(int shop) const {
    std::string text =
        "defaults\n mode http\n timeout connect 1s\n timeout client 5s\n timeout server 1s\n"
        " retries 3\n retry-on conn-failure empty-response\n option redispatch 1\n"
        "frontend front\n bind 127.0.0.1:" +
        std::to_string(port_) + "\n default_backend back\nbackend back\n";
    for (const char* name : {"a", "b", "c"}) {
      text += std::string(" server ") + name + " 127.0.0.1:" + std::to_string(shop) + "\n";
    }
    return text;
  }
  [[nodiscard]] std::string nginx(int shop) const {
    std::string text =
        "daemon off;\nmaster_process off;\npid nginx.pid;\nevents {}\nhttp {\n access_log off;\n"
        " client_body_temp_path b;\n proxy_temp_path p;\n fastcgi_temp_path f;\n"
        " uwsgi_temp_path u;\n scgi_temp_path s;\n upstream shop {\n";
    for (int i = 0; i < 3; ++i) {
      text += "  server 127.0.0.1:" + std::to_string(shop) + " max_fails=0;\n";
    }
    return text + " }\n server {\n  listen 127.0.0.1:" + std::to_string(port_) +
           ";\n  location / {\n   proxy_pass http://shop;\n   proxy_http_version 1.1;\n"
           "   proxy_read_timeout 1s;\n   proxy_next_upstream error timeout non_idempotent;\n"
           "  }\n }\n}\n";
  }

  const int port_;
  io::Scratch scratch_;
  std::unique_ptr<io::Program> program_;
};

class HttpIntermediaryTest : public testing::TestWithParam<std::string> {
 protected:
  void begin(bool deduplicates) {
    shop_ = std::make_unique<Shop>(deduplicates);
    between_ = std::make_unique<Intermediary>(GetParam(), shop_->port());
    HttpSpec spec;
    spec.base_url = between_->url();
    spec.allow_private = true;
    spec.deduplicates = deduplicates;
    auto target = HttpTarget::open(spec);
    ASSERT_TRUE(target.has_value()) << target.error().message;
    target_ = std::move(target).value();
  }
  EffectEnded charge(const std::string& name, const std::string& identity,
                     const char* method = "POST") {
    Call call;
    call.context.identity = identity;
    call.context.timeout = Duration{20'000};
    call.request = json::parse(std::string(R"({"method":")") + method + R"(","path":"/things/)" +
                               name + R"(","json":{"amount":1}})")
                       .value();
    return target_->perform(call).ended;
  }

  std::unique_ptr<Shop> shop_;
  std::unique_ptr<Intermediary> between_;
  std::shared_ptr<CallTarget> target_;
};

TEST_P(HttpIntermediaryTest, T1_a_call_that_goes_well) {
  begin(false);
  const EffectEnded ended = charge("a", "k1");
  EXPECT_EQ(ended.kind, EffectKind::acknowledged) << ended.reason;
  EXPECT_EQ(shop_->executions("a"), 1);
}

TEST_P(HttpIntermediaryTest, T2_resent_by_the_proxy_and_executed_once_by_the_key) {
  begin(true);
  shop_->arrange(Trouble::lost_after);
  shop_->only_for(2);
  const EffectEnded ended = charge("a", "k1");
  EXPECT_EQ(ended.kind, EffectKind::acknowledged) << ended.reason;
  EXPECT_EQ(shop_->server().requests().size(), 3U) << "the proxy sent it three times";
  EXPECT_EQ(shop_->executions("a"), 1);
}

TEST_P(HttpIntermediaryTest, T2_an_exhausted_proxy_leaves_it_unknown_and_the_key_resolves_it) {
  begin(true);
  shop_->arrange(Trouble::lost_after);
  const EffectEnded ended = charge("a", "k1");
  EXPECT_EQ(ended.kind, EffectKind::unknown) << ended.reason;
  EXPECT_EQ(shop_->executions("a"), 1);
  shop_->arrange(Trouble::none);
  EXPECT_EQ(charge("a", "k1").kind, EffectKind::acknowledged);
  EXPECT_EQ(shop_->executions("a"), 1);
}

TEST_P(HttpIntermediaryTest, T1_without_a_key_the_proxy_may_execute_twice_but_our_word_is_true) {
  begin(false);
  shop_->arrange(Trouble::lost_after);
  shop_->only_for(1);
  const EffectEnded ended = charge("a", "k1");
  EXPECT_EQ(ended.kind, EffectKind::acknowledged) << ended.reason;
  // Not ours to prevent: one request of ours. This is what `deduplicates` is for.
  EXPECT_EQ(shop_->executions("a"), 2);
}

TEST_P(HttpIntermediaryTest, T1_a_counterpart_that_is_silent_behind_the_proxy_is_unknown) {
  begin(true);
  shop_->arrange(Trouble::hang_after);
  const EffectEnded ended = charge("a", "k1");
  EXPECT_EQ(ended.kind, EffectKind::unknown) << ended.reason;
  EXPECT_NE(ended.reason.find("504"), std::string::npos) << ended.reason;
  EXPECT_EQ(shop_->executions("a"), 1);
}

TEST_P(HttpIntermediaryTest, T1_a_counterpart_that_is_down_behind_the_proxy_is_never_acknowledged) {
  begin(true);
  shop_->server().refuse_to_listen(true);
  const EffectEnded ended = charge("a", "k1");
  // A 502 or 503 does not tell whether the proxy had sent it: honest, if it helps nobody.
  EXPECT_EQ(ended.kind, EffectKind::unknown) << ended.reason;
  EXPECT_EQ(shop_->executions("a"), 0);
}

INSTANTIATE_TEST_SUITE_P(Http, HttpIntermediaryTest, testing::Values("haproxy", "nginx"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace trued
