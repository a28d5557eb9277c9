// Levels of consistency: what is asked, who is asked, and what is told.
#include "api/consistency.h"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/api_test_support.h"

namespace trued::api {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr const char* kLevel = "Trued-Consistency";
constexpr const char* kSession = "Trued-Session";
constexpr const char* kServed = "Trued-Consistency-Served";

LedgerPosition position(std::uint8_t ledger, std::uint64_t batch) {
  LedgerPosition out{.batch = batch};
  out.ledger.bytes[0] = ledger;
  return out;
}

bool reads(std::vector<io::Header> headers, Consistency& out, Problem& problem) {
  io::HttpRequest request;
  request.headers = std::move(headers);
  return read_consistency(request, out, problem);
}

std::string refused(std::vector<io::Header> headers) {
  Consistency out;
  Problem problem;
  return reads(std::move(headers), out, problem) ? "" : std::string(problem.name);
}

TEST(Consistency, C1_a_token_says_which_ledger_and_how_far_and_nothing_else_is_one) {
  for (const LedgerPosition& each :
       {position(0, 0), position(7, 1), position(255, 999'999'999'999'999)}) {
    EXPECT_EQ(parse_session_token(session_token(each)), each);
  }
  const std::string sound = session_token(position(7, 12));
  for (const std::string& wrong :
       {std::string(), std::string("s1-"), sound + " ", sound + "x", "S" + sound.substr(1),
        "s2" + sound.substr(2), sound.substr(0, sound.rfind('-')),
        sound.substr(0, sound.rfind('-') + 1), "s1-zz" + sound.substr(5),
        sound + "0000000000000000", sound.substr(0, sound.rfind('-')) + "--1"}) {
    EXPECT_FALSE(parse_session_token(wrong)) << wrong;
    if (!wrong.ends_with(' ')) {
      EXPECT_EQ(refused({{kSession, wrong}}), "malformed") << wrong;
    }
  }
}

TEST(Consistency, C1_a_level_is_one_of_four_and_anything_else_is_an_error) {
  Consistency out;
  Problem problem;
  ASSERT_TRUE(reads({}, out, problem));
  EXPECT_EQ(out.level, Level::strong);
  const std::string token = session_token(position(1, 5));
  ASSERT_TRUE(reads({{"trued-consistency", " session ; max-staleness-ms=1500 "}, {kSession, token}},
                    out, problem));
  EXPECT_EQ(out.level, Level::session);
  EXPECT_EQ(out.stale_max, Duration{1'500});
  EXPECT_EQ(out.token, position(1, 5));
  EXPECT_EQ(want_of(out, Duration{9}).batch_min, 5U);
  out.level = Level::eventual;
  EXPECT_EQ(want_of(out, Duration{9}).batch_min, 0U);
  for (const char* wrong :
       {"", "Strong", "weak", "eventual, strong", "eventual;", "eventual;max-staleness-ms",
        "eventual;max-staleness-ms=", "eventual;max-staleness-ms=-1", "eventual;other=1",
        "eventual;max-staleness-ms=1;", "strong;max-staleness-ms=1",
        "eventual;max-staleness-ms=1000000000000000"}) {
    EXPECT_EQ(refused({{kLevel, wrong}}), "malformed") << wrong;
  }
  EXPECT_EQ(refused({{kLevel, "eventual"}, {kLevel, "strong"}}), "malformed");
  EXPECT_EQ(refused({{kSession, token}, {kSession, token}}), "malformed");
  EXPECT_EQ(refused({{kLevel, "session"}}), "session-token-required");
  EXPECT_EQ(refused({{kLevel, "monotonic"}}), "");
}

TEST(Consistency, C1_what_was_served_is_told_and_a_session_never_goes_back) {
  const Consistency asked{.level = Level::eventual, .token = position(1, 40)};
  io::HttpResponse response;
  tell_served(asked, "r1", {.at = position(1, 12), .behind = 4, .stale = Duration{900}}, response);
  EXPECT_EQ(*response.find(kServed), "eventual;source=\"r1\";batch=12;behind=4;staleness-ms=900");
  EXPECT_EQ(*response.find(kSession), session_token(position(1, 40)));
  response = {};
  tell_served({.level = Level::monotonic, .token = position(1, 4)}, "r1",
              {.at = position(1, 12), .behind = {}, .stale = {}}, response);
  EXPECT_EQ(*response.find(kServed),
            "monotonic;source=\"r1\";batch=12;behind=unknown;staleness-ms=unknown");
  EXPECT_EQ(*response.find(kSession), session_token(position(1, 12)));
}

/// One replica that shows a ledger as it is, or nothing of it, at the position that the test says.
class FakeReplicas final : public ReplicaReads {
 public:
  void read(const ReplicaWant& want, Look look, Done done) override {
    ++asked;
    wanted = want;
    if (!at || at->batch < want.batch_min) return done(std::nullopt);
    EXPECT_TRUE(look(*reader));
    done(ServedBy{.name = "r1", .how = {.at = *at, .behind = 3, .stale = Duration{700}}});
  }
  std::vector<ReplicaState> states() const override {
    return {{.name = "r1",
             .usable = at.has_value(),
             .wrong = at ? "" : "it cannot be reached",
             .batch = {},
             .behind = at ? std::optional<std::uint64_t>(3) : std::nullopt,
             .stale = at ? std::optional<Duration>(700) : std::nullopt}};
  }

  MemoryLedger empty;
  std::unique_ptr<LedgerReader> reader = empty.open_reader().value();
  std::optional<LedgerPosition> at;  ///< nothing: it cannot be read from
  std::atomic<int> asked = 0;
  ReplicaWant wanted;
};

class ConsistencyTest : public testing::Test {
 protected:
  ConsistencyTest() {
    Got first = server.write("k", "a.md", "text");
    id = first.text("id");
    token = first.header(kSession);
    const auto parsed = parse_session_token(token);
    EXPECT_TRUE(parsed) << token;
    here = parsed.value_or(LedgerPosition{});
    replicas.at = {{.ledger = here.ledger, .batch = 1}};
  }
  static ServerOptions with(ReplicaReads* replicas) {
    ServerOptions options = quick();
    options.replicas = replicas;
    return options;
  }
  Got get(const std::string& below, std::vector<io::Header> headers) {
    return server.get("/v1/operations" + below, std::move(headers));
  }
  std::vector<std::string> routes() const { return {"", "/" + id, "/" + id + "/events"}; }

  FakeReplicas replicas;
  Server server{with(&replicas)};
  std::string id, token;
  LedgerPosition here;
};

TEST_F(ConsistencyTest, C1_how_old_replicas_are_can_be_watched) {
  const std::string fresh = server.get("/metrics").response.body;
  EXPECT_THAT(fresh, HasSubstr("trued_replica_usable{replica=\"r1\"} 1\n"));
  EXPECT_THAT(fresh, HasSubstr("trued_replica_batches_behind{replica=\"r1\"} 3\n"));
  EXPECT_THAT(fresh, HasSubstr("trued_replica_staleness_seconds{replica=\"r1\"} 0.7\n"));
  replicas.at.reset();
  const std::string away = server.get("/metrics").response.body;
  EXPECT_THAT(away, HasSubstr("trued_replica_usable{replica=\"r1\"} 0\n"));
  EXPECT_THAT(away, Not(HasSubstr("trued_replica_batches_behind"))) << "nobody knows";
}

TEST_F(ConsistencyTest, C1_strong_never_touches_a_replica_and_is_what_is_served_unasked) {
  for (const std::string& route : routes()) {
    for (const std::vector<io::Header>& headers :
         {std::vector<io::Header>{}, {{kLevel, "strong"}}, {{kSession, token}}}) {
      const Got got = get(route, headers);
      EXPECT_EQ(got.status(), 200) << route;
      EXPECT_THAT(got.header(kServed), StartsWith("strong;source=\"ledger\";batch="));
      EXPECT_EQ(got.header(kSession), token);
    }
  }
  EXPECT_EQ(
      get("/" + id + "?wait=1", {}).header(kServed),
      "strong;source=\"ledger\";batch=" + std::to_string(here.batch) + ";behind=0;staleness-ms=0");
  EXPECT_EQ(replicas.asked, 0);
}

TEST_F(ConsistencyTest, C1_eventual_is_of_any_replica_and_says_how_stale_it_is) {
  const Got one = get("/" + id, {{kLevel, "eventual"}});
  EXPECT_EQ(one.status(), 404) << "that replica has not got it";
  EXPECT_EQ(one.problem(), "no-such-operation");
  EXPECT_EQ(one.header(kServed), "eventual;source=\"r1\";batch=1;behind=3;staleness-ms=700");
  EXPECT_EQ(one.header(kSession), session_token(*replicas.at));
  const Got list = get("", {{kLevel, "eventual"}, {kSession, token}});
  EXPECT_EQ(list.status(), 200);
  EXPECT_TRUE(list.at("operations").items().empty());
  EXPECT_EQ(list.header(kSession), token) << "what the session has seen is not forgotten";
  EXPECT_EQ(get("/" + id + "/events", {{kLevel, "eventual"}}).status(), 404);
  EXPECT_EQ(replicas.asked, 3);
  replicas.at.reset();
  const Got other = get("/" + id, {{kLevel, "eventual"}});
  EXPECT_EQ(other.status(), 200) << "no replica can be read from: the ledger itself is";
  EXPECT_THAT(other.header(kServed), StartsWith("eventual;source=\"ledger\";"));
}

TEST_F(ConsistencyTest, C1_a_session_reads_its_own_writes_whoever_is_asked) {
  for (const char* level : {"session", "monotonic"}) {
    const Got got = get("/" + id, {{kLevel, level}, {kSession, token}});
    EXPECT_EQ(got.status(), 200) << "the replica is older: the ledger itself answers";
    EXPECT_THAT(got.header(kServed), StartsWith(level + std::string(";source=\"ledger\"")));
    EXPECT_EQ(replicas.wanted.batch_min, here.batch);
    EXPECT_EQ(replicas.wanted.patience, Duration{250});
  }
  replicas.at->batch = here.batch;
  const Got got = get("/" + id, {{kLevel, "session"}, {kSession, token}});
  EXPECT_THAT(got.header(kServed), StartsWith("session;source=\"r1\""));
  EXPECT_THAT(get("", {{kLevel, "monotonic"}}).header(kServed),
              StartsWith("monotonic;source=\"r1"));
  EXPECT_EQ(replicas.wanted.batch_min, 0U);
  EXPECT_EQ(get("/" + id, {{kLevel, "session"}}).problem(), "session-token-required");
}

TEST_F(ConsistencyTest, C1_a_token_of_another_ledger_or_of_more_than_there_is_is_refused) {
  LedgerPosition foreign = here;
  foreign.ledger.bytes[3] ^= 1;
  replicas.at->batch = 1'000;
  for (const char* level : {"strong", "session", "monotonic", "eventual"}) {
    for (const std::string& route : routes()) {
      const Got got = get(route, {{kLevel, level}, {kSession, session_token(foreign)}});
      EXPECT_EQ(got.status(), 409) << level << route;
      EXPECT_EQ(got.problem(), "session-of-another-ledger");
      EXPECT_EQ(get(route, {{kLevel, level}, {kSession, "yesterday"}}).problem(), "malformed");
    }
  }
  EXPECT_EQ(get("/" + id + "?wait=1", {{kSession, session_token(foreign)}}).status(), 409);
  replicas.at.reset();
  const LedgerPosition ahead{.ledger = here.ledger, .batch = here.batch + 1};
  const Got got = get("/" + id, {{kLevel, "session"}, {kSession, session_token(ahead)}});
  EXPECT_EQ(got.status(), 503);
  EXPECT_EQ(got.problem(), "session-ahead");
  EXPECT_EQ(got.header("Retry-After"), "1");
  // What is on its way to be acknowledged is waited for.
  EXPECT_EQ(server.write("k2", "b.md", "text").status(), 201);
  EXPECT_EQ(get("/" + id, {{kSession, session_token(ahead)}}).status(), 200);
}

TEST_F(ConsistencyTest, C1_a_level_where_there_is_none_to_choose_is_a_precise_error) {
  for (const char* path : {"/v1/status", "/v1/worklist", "/v1/dead-letters", "/healthz"}) {
    const Got got = server.get(path, {{kLevel, "eventual"}});
    EXPECT_EQ(got.status(), 400) << path;
    EXPECT_THAT(got.text("detail"), HasSubstr("GET /v1/operations"));
  }
  const Got post = server.post("/v1/operations", Server::submission("c.md", "x"),
                               {{"Idempotency-Key", "other"}, {kLevel, "strong"}});
  EXPECT_EQ(post.status(), 400);
  EXPECT_EQ(get("?key=other", {}).at("operations").items().size(), 0U);
  EXPECT_EQ(get("/" + id + "?wait=1", {{kLevel, "eventual"}}).problem(), "malformed");
  // A preference is passed over; a parameter that asks for nothing is none.
  EXPECT_EQ(get("/" + id, {{kLevel, "monotonic"}, {"Prefer", "wait=30"}}).status(), 404);
  EXPECT_EQ(get("/" + id + "?wait=0", {{kLevel, "monotonic"}}).status(), 404);
}

TEST_F(ConsistencyTest, C1_every_answer_that_shows_or_changes_operations_tells_a_token) {
  std::uint64_t last = here.batch;
  const auto told = [&](const Got& got, const char* what) {
    const auto at = parse_session_token(got.header(kSession));
    ASSERT_TRUE(at) << what;
    EXPECT_EQ(at->ledger, here.ledger) << what;
    EXPECT_GE(at->batch, last) << what;
    last = at->batch;
  };
  const Got fresh = server.write("k3", "c.md", "text");
  told(fresh, "new");
  EXPECT_GT(last, here.batch);
  // What the token was told for is there for whoever has it.
  EXPECT_EQ(get("/" + fresh.text("id"), {{kSession, fresh.header(kSession)}}).status(), 200);
  told(server.write("k3", "c.md", "text"), "repeated");
  told(server.write("k3", "c.md", "other"), "conflict");
  told(server.submit("k4", "d.md", "text"), "not waited for");
  told(server.post("/v1/operations/" + id + "/retry", ""), "a person");
  told(server.get("/v1/dead-letters"), "dead letters");
  told(server.get("/v1/worklist"), "worklist");
  told(server.post("/v1/dead-letters/redrive", R"({"dry_run":true,"filter":{}})"), "redrive");
  EXPECT_EQ(server.get("/healthz").header(kSession), "");
  EXPECT_EQ(server.get("/v1/status").header(kSession), "");
  const Got batch = server.post("/v1/operations/batch",
                                R"({"key":"b1",)" + Server::submission("e.md", "x").substr(1),
                                {{"Content-Type", "application/x-ndjson"}, {"Prefer", "wait=10"}});
  const auto in_line = parse_session_token(batch.text("session"));
  ASSERT_TRUE(in_line) << batch.response.body;
  EXPECT_GT(in_line->batch, last);
}

TEST_F(ConsistencyTest, C1_operators_see_which_replicas_are_read_from) {
  Got status = server.get("/v1/status");
  EXPECT_EQ(status.text("ledger/replicas/0/name"), "r1");
  EXPECT_TRUE(status.at("ledger/replicas/0/problem").is_null());
  replicas.at.reset();
  status = server.get("/v1/status");
  EXPECT_EQ(status.text("ledger/replicas/0/problem"), "it cannot be reached");
  EXPECT_FALSE(status.at("ledger/replicas/0/reachable").as_bool());
}

TEST(ConsistencyRights, C1_scopes_are_kept_to_on_replicas_too) {
  FakeReplicas replicas;
  ServerOptions options = quick();
  const std::string secret = "acme-secret";
  options.auth.tokens = {
      {.name = "acme", .sha256 = sha256(secret), .rights = {.scopes = {"acme", "umbrella"}}}};
  options.replicas = &replicas;
  Server server(options);
  const io::Header bearer{"Authorization", "Bearer " + secret};
  replicas.at = LedgerPosition{};
  EXPECT_EQ(server.get("/v1/operations?scope=other", {bearer, {kLevel, "eventual"}}).problem(),
            "out-of-scope");
  EXPECT_EQ(server.get("/v1/operations", {{kLevel, "eventual"}}).status(), 401);
  EXPECT_EQ(replicas.asked, 0);
  EXPECT_EQ(server.get("/v1/operations", {bearer, {kLevel, "eventual"}}).status(), 200);
  EXPECT_EQ(replicas.asked, 1);
}

TEST(ConsistencyAlone, C1_without_replicas_every_level_is_of_the_ledger_and_says_so) {
  Server server;
  const Got written = server.write("k", "a.md", "text");
  for (const char* level : {"session", "monotonic", "eventual"}) {
    const Got got = server.get("/v1/operations/" + written.text("id"),
                               {{kLevel, level}, {kSession, written.header(kSession)}});
    EXPECT_EQ(got.status(), 200);
    EXPECT_THAT(got.header(kServed), StartsWith(level + std::string(";source=\"ledger\";batch=")));
    EXPECT_THAT(got.header(kServed), HasSubstr(";behind=0;staleness-ms=0"));
  }
  EXPECT_TRUE(server.get("/v1/status").at("ledger/replicas").items().empty());
}

}  // namespace
}  // namespace trued::api
