// What the API says of the ledger's promise, and what it refuses while that is too little.
#include <mutex>

#include <gtest/gtest.h>

#include "api/api_test_support.h"

namespace trued::api {
namespace {

/// A ledger that promises what the test says.
class Promise {
 public:
  void set(DurabilityLevel level, const std::string& because) {
    const std::scoped_lock lock(mutex_);
    now_ = Durability{};
    now_.level = level;
    now_.sentence = because;
    if (level == DurabilityLevel::quorum) {
      now_.standbys = std::vector<Standby>{{.name = "s1", .state = "streaming", .sync = "quorum"},
                                           {.name = "s2", .state = "catchup", .sync = "quorum"}};
      now_.unseen = {"what their disks do"};
    }
  }
  void hide() {
    const std::scoped_lock lock(mutex_);
    now_.standbys = std::nullopt;
  }
  ServerOptions options(DurabilityLevel floor) {
    ServerOptions out = quick();
    out.definitions = true;
    out.floor = floor;
    out.promise = [this]() -> Result<Durability> {
      const std::scoped_lock lock(mutex_);
      return now_;
    };
    return out;
  }

 private:
  std::mutex mutex_;
  Durability now_;
};

TEST(DurabilityApi, C6_status_metrics_and_receipts_say_what_is_in_force) {
  Promise promise;
  promise.set(DurabilityLevel::quorum, "a commit waits for 1 of 2");
  Server server(promise.options(DurabilityLevel::quorum));
  EXPECT_EQ(server.write("k1", "a.md", "x").text("durability"), "quorum");
  Got got = server.get("/v1/status");
  EXPECT_EQ(got.text("ledger/durability"), "quorum");
  EXPECT_EQ(got.text("ledger/durability_because"), "a commit waits for 1 of 2");
  EXPECT_EQ(got.text("ledger/minimum_durability"), "quorum");
  EXPECT_FALSE(got.text("ledger/durability_seen_at").empty());
  EXPECT_TRUE(got.at("ledger/takes_writes").as_bool());
  EXPECT_EQ(got.text("ledger/standbys/0/name"), "s1");
  EXPECT_EQ(got.text("ledger/standbys/1/state"), "catchup");
  EXPECT_EQ(got.text("ledger/standbys/1/sync"), "quorum");
  EXPECT_EQ(got.text("ledger/not_seen/0"), "what their disks do");
  const std::string text = server.get("/metrics").response.body;
  for (const char* sample :
       {"trued_info{version=\"1.2.3\",durability=\"quorum\"} 1",
        "trued_ledger_durability{level=\"quorum\"} 1", "trued_ledger_durability{level=\"none\"} 0",
        "trued_ledger_below_minimum_durability 0",
        "trued_ledger_standbys{state=\"streaming\",sync=\"quorum\"} 1"}) {
    EXPECT_NE(text.find(sample), std::string::npos) << sample << "\n" << text;
  }
  promise.hide();
  server.look();
  got = server.get("/v1/status");
  EXPECT_TRUE(got.at("ledger/standbys").is_null()) << "which is not the same as nobody";
  EXPECT_EQ(server.get("/metrics").response.body.find("trued_ledger_standbys"), std::string::npos);
}

TEST(DurabilityApi, T6_below_the_floor_writes_are_refused_and_reads_go_on) {
  Promise promise;
  promise.set(DurabilityLevel::quorum, "as it should be");
  Server server(promise.options(DurabilityLevel::standby));
  const std::string id = server.write("k1", "a.md", "x").text("id");
  promise.set(DurabilityLevel::none, "synchronous_commit is off");
  server.look();
  const auto refused = [](const Got& got) {
    EXPECT_EQ(got.status(), 503) << got.response.body;
    EXPECT_EQ(got.problem(), "durability-below-floor") << got.response.body;
    EXPECT_FALSE(got.header("Retry-After").empty());
    EXPECT_NE(got.text("detail").find("synchronous_commit is off"), std::string::npos);
    EXPECT_NE(got.text("detail").find("'standby'"), std::string::npos);
  };
  refused(server.write("k2", "b.md", "x"));
  refused(server.post("/v1/operations/" + id + "/retry", R"({"why":"because"})"));
  refused(server.post("/v1/definitions",
                      R"({"definitions":{"p":{"identity":["slug"],"effect":{"target":"docs"},)"
                      R"("artifact":[{"path":"${input.slug}","content":"x"}]}}})"));
  EXPECT_TRUE(server.get("/v1/definitions").at("definitions").items().empty());
  const Got batch = server.post("/v1/operations/batch",
                                R"({"type":"write","key":"k3","input":{"target":"docs",)"
                                R"("artifacts":[{"path":"c.md","content":"x"}]}})"
                                "\n",
                                {{"Content-Type", "application/x-ndjson"}});
  EXPECT_NE(batch.response.body.find("durability-below-floor"), std::string::npos);
  EXPECT_EQ(server.get("/v1/operations/" + id).text("durability"), "none") << "as of now";
  EXPECT_EQ(server.write("k1", "a.md", "x").text("decision"), "duplicate");
  EXPECT_EQ(server.get("/v1/operations").at("operations").items().size(), 1U);
  const Got ready = server.get("/readyz");
  EXPECT_EQ(ready.status(), 503);
  EXPECT_NE(ready.text("reasons/0").find("synchronous_commit is off"), std::string::npos);
  EXPECT_EQ(server.get("/healthz").status(), 200);
  EXPECT_FALSE(server.get("/v1/status").at("ledger/takes_writes").as_bool());
  EXPECT_NE(server.get("/metrics").response.body.find("trued_ledger_below_minimum_durability 1"),
            std::string::npos);
  promise.set(DurabilityLevel::standby, "again");
  server.look();
  EXPECT_EQ(server.write("k2", "b.md", "x").text("status"), "confirmed");
  EXPECT_EQ(server.get("/readyz").status(), 200);
}

}  // namespace
}  // namespace trued::api
