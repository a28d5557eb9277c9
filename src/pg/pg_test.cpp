#include <array>
#include <thread>

#include <gtest/gtest.h>

#include "pg/conninfo.h"
#include "pg/pool.h"
#include "pg/proxy_test.h"
#include "pg/server_test.h"
#include "pg/sql_text.h"
#include "pg/text.h"

namespace trued::pg {
namespace {

TEST(SqlText, V10_statements_parameters_and_words_are_told_as_postgresql_does) {
  struct Case {
    const char* text;
    unsigned statements;
    std::size_t parameters;
    bool ends;
  };
  const Case cases[] = {
      {"", 0, 0, true},
      {" ; ;", 0, 0, true},
      {"SELECT 1", 1, 0, true},
      {"SELECT 1;", 1, 0, true},
      {"SELECT 1; -- done", 1, 0, true},
      {"SELECT 1; SELECT 2", 2, 0, true},
      {"SELECT ';'", 1, 0, true},
      {"SELECT ''';'", 1, 0, true},
      {"SELECT '\\'; SELECT 2", 2, 0, true},
      {"SELECT E'\\'; SELECT 2'", 1, 0, true},
      {"SELECT \"a;b\"", 1, 0, true},
      {"SELECT $$;$1$$", 1, 0, true},
      {"SELECT $a$;$$;$a$, $1", 1, 1, true},
      {"SELECT a$1, $1, $2, $1", 1, 2, true},
      {"SELECT '$1' /* $2 /* ; */ ; */", 1, 0, true},
      {"SELECT 1 --; $3\n, $1", 1, 1, true},
      {"SELECT 'x", 1, 0, false},
      {"SELECT \"x", 1, 0, false},
      {"SELECT $a$ $b$", 1, 0, false},
      {"SELECT /* /* */", 1, 0, false},
  };
  for (const Case& each : cases) {
    const SqlText text = scan_sql(each.text);
    EXPECT_EQ(text.fault.empty(), each.ends) << each.text;
    EXPECT_EQ(text.statements, each.statements) << each.text;
    EXPECT_EQ(text.parameters.size(), each.parameters) << each.text;
  }
  const SqlText words = scan_sql("/* x */ (set Local \"y\" tz = 1");
  EXPECT_EQ(words.words, (std::vector<std::string>{"SET", "LOCAL", "TZ"}));
}

TEST(ConnInfo, V10_no_message_repeats_a_secret) {
  for (const char* url :
       {"postgresql://u:s3cr3t@[h/db", "postgresql://u@h/db?password=s3cr3t&nonsense=s3cr3t",
        "postgresql://u:s3%zzcr3t@h/db", "host=h password=s3cr3t"}) {
    const auto info = ConnInfo::parse(url);
    ASSERT_FALSE(info.has_value()) << url;
    EXPECT_EQ(info.error().message.find("cr3t"), std::string::npos) << info.error().message;
  }
  const auto info = ConnInfo::parse(
      "postgresql://u:s3cr3t@h1:5433,h2/db?sslmode=verify-full&target_session_attrs=any");
  ASSERT_TRUE(info.has_value());
  EXPECT_EQ(info->shown(), "postgresql://u@h1:5433,h2/db");
  EXPECT_EQ(info->hosts(), 2U);
  EXPECT_EQ(info->without_secrets("password s3cr3t failed"), "password *** failed");
}

TEST(Text, V10_parameters_are_taken_out_of_messages) {
  EXPECT_EQ(without_parameters("invalid input \"ab\" for (7) and 7", {"ab", "7"}),
            "invalid input $1 for ($2) and 7");
  EXPECT_EQ(without_parameters("long-secret-1 and long-secret", {"long-secret", "long-secret-1"}),
            "$2 and $1");
}

// Lets anybody in, and answers the first statement with notices that do not end: for as long as
// anybody listens, or until it has said so much that a deadline is not what ended it.
void talk_without_end(int listener) {
  const int client = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  std::array<char, 1'000> heard{};
  (void)!::recv(client, heard.data(), heard.size(), 0);
  const auto say = [&](const std::string& bytes) {
    return ::send(client, bytes.data(), bytes.size(), MSG_NOSIGNAL) > 0;
  };
  using namespace std::string_literals;
  (void)say("R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I"s);  // welcome; ready
  (void)!::recv(client, heard.data(), heard.size(), 0);
  const std::string notice = "N\0\0\0\x10SNOTICE\0Mx\0\0"s;
  std::string notices;
  for (int i = 0; i < 5'000; ++i) notices += notice;
  constexpr int kEnough = 2'000;
  for (int i = 0; i < kEnough && say(notices); ++i) {
  }
  ::close(client);
}

TEST(Session, T1_a_server_that_never_stops_talking_does_not_outlast_the_deadline) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int port = PostgresServer::free_port();
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(listener, 1), 0);
  std::thread talking(talk_without_end, listener);
  auto session = Session::open(*ConnInfo::parse("postgresql://u@127.0.0.1:" + std::to_string(port) +
                                                "/db?sslmode=disable&gssencmode=disable"
                                                "&target_session_attrs=any"),
                               "t", Deadline(Duration{10'000}));
  if (session.has_value()) {
    const auto rows = session->script("SELECT 1", Deadline(Duration{100}));
    EXPECT_FALSE(rows.has_value());
    if (!rows.has_value()) EXPECT_TRUE(rows.error().timed_out) << rows.error().error.message;
    EXPECT_TRUE(session->lost());
  } else {
    ADD_FAILURE() << session.error().error.message;
  }
  ::shutdown(listener, SHUT_RDWR);
  talking.join();
  ::close(listener);
}

class PgServer : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    server_ = std::make_unique<PostgresServer>(std::vector<std::string>{"fsync=off"});
  }
  static void TearDownTestSuite() { server_.reset(); }
  static PostgresServer& server() { return *server_; }
  static ConnInfo info(const std::string& url) { return *ConnInfo::parse(url); }
  static Deadline soon() { return Deadline(Duration{10'000}); }

 private:
  static std::unique_ptr<PostgresServer> server_;
};
std::unique_ptr<PostgresServer> PgServer::server_;

TEST_F(PgServer, T1_rows_beyond_the_limits_are_counted_and_dropped) {
  Session session = server().session();
  const auto rows = session.execute("SELECT repeat('x', $1) FROM generate_series(1, 1000)", {"10"},
                                    {.rows_max = 5, .bytes_max = 1'000}, soon());
  ASSERT_TRUE(rows.has_value());
  EXPECT_EQ(rows->values.size(), 5U);
  EXPECT_EQ(rows->count, 1'000U);
  EXPECT_TRUE(rows->truncated);
  EXPECT_TRUE(session.idle());
}

TEST_F(PgServer, T1_a_large_parameter_and_a_large_answer_pass) {
  Session session = server().session();
  const std::string large(std::size_t{8} << 20U, 'x');
  const auto rows = session.execute("SELECT $1::text", {large},
                                    {.rows_max = 1, .bytes_max = std::size_t{16} << 20U}, soon());
  ASSERT_TRUE(rows.has_value()) << rows.error().error.message;
  EXPECT_EQ(rows->values.front().at(0), large);
}

TEST_F(PgServer, T1_a_deadline_closes_the_connection_and_the_server_gives_up) {
  Session session = server().session();
  const auto rows = session.execute("SELECT pg_sleep(60)", {}, {}, Deadline(Duration{100}));
  ASSERT_FALSE(rows.has_value());
  EXPECT_TRUE(rows.error().timed_out);
  EXPECT_EQ(rows.error().error.happened, Happened::maybe);
  EXPECT_TRUE(session.lost());
  EXPECT_FALSE(session.execute("SELECT 1", {}, {}, soon()).has_value());
}

TEST_F(PgServer, T1_an_aborted_transaction_that_is_committed_did_not_happen) {
  Session session = server().session();
  ASSERT_TRUE(session.script("BEGIN", soon()).has_value());
  const auto failed = session.execute("SELECT nonsense", {}, {}, soon());
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().sqlstate, "42703");
  EXPECT_EQ(failed.error().error.happened, Happened::no);
  const auto committed = session.commit(soon());
  ASSERT_FALSE(committed.has_value());
  EXPECT_EQ(committed.error().error.happened, Happened::no);
}

TEST_F(PgServer, T1_copy_is_refused_without_hanging) {
  Session session = server().session();
  EXPECT_FALSE(session.script("COPY pg_class TO STDOUT", soon()).has_value());
  EXPECT_TRUE(session.lost());
}

TEST_F(PgServer, T1_connecting_has_a_deadline_and_tries_every_host) {
  Proxy silent(server().port());
  silent.cut(Cut::hold, "app");
  const auto hung =
      Session::open(info(server().url("app", "", silent.port())), "t", Deadline(Duration{300}));
  ASSERT_FALSE(hung.has_value());
  EXPECT_EQ(hung.error().error.happened, Happened::no);
  const std::string two =
      "postgresql://app@127.0.0.1:" + std::to_string(PostgresServer::free_port()) +
      ",127.0.0.1:" + std::to_string(server().port()) + "/app?sslmode=disable";
  const auto second = Session::open(info(two), "t", soon());
  ASSERT_TRUE(second.has_value()) << second.error().error.message;
  EXPECT_EQ(second->server(), "127.0.0.1:" + std::to_string(server().port()));
}

TEST_F(PgServer, T1_a_server_without_tls_is_refused_where_tls_is_asked_for) {
  const auto opened =
      Session::open(info("postgresql://app@127.0.0.1:" + std::to_string(server().port()) +
                         "/app?sslmode=require"),
                    "t", soon());
  ASSERT_FALSE(opened.has_value());
  EXPECT_NE(opened.error().error.message.find("SSL"), std::string::npos);
}

TEST_F(PgServer, T6_a_pool_is_bounded_and_hands_out_nothing_that_is_broken) {
  Pool pool(info(server().url()), {.size_max = 2});
  int first_pid = 0;
  {
    auto one = pool.take(soon());
    auto two = pool.take(soon());
    ASSERT_TRUE(one.has_value() && two.has_value());
    const auto three = pool.take(Deadline(Duration{50}));
    ASSERT_FALSE(three.has_value());
    EXPECT_EQ(three.error().error.happened, Happened::no);
    first_pid = two->session().backend_pid();
    ASSERT_TRUE(one->session().script("BEGIN", soon()).has_value());
  }
  {
    // One was left in a transaction and is gone; the other is as it was, but dies in the pool.
    auto again = pool.take(soon());
    ASSERT_TRUE(again.has_value());
    EXPECT_TRUE(again->used_before());
    EXPECT_EQ(again->session().backend_pid(), first_pid);
  }
  server().sql(
      "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'app'");
  auto fresh = pool.take(soon());
  ASSERT_TRUE(fresh.has_value());
  EXPECT_NE(fresh->session().backend_pid(), first_pid);
  EXPECT_TRUE(fresh->session().script("SELECT 1", soon()).has_value());
}

TEST_F(PgServer, T6_a_pool_serves_many_threads) {
  Pool pool(info(server().url()), {.size_max = 3});
  std::atomic<int> done{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 12; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) {
        auto lease = pool.take(soon());
        if (lease.has_value() && lease->session().script("SELECT 1", soon()).has_value()) ++done;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(done, 240);
  const std::string open =
      server().sql("SELECT count(*) <= 3 FROM pg_stat_activity WHERE usename = 'app'");
  EXPECT_EQ(open, "t");
}

}  // namespace
}  // namespace trued::pg
