#include <csignal>
#include <memory>
#include <string>
#include <utility>

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include "io/counting_server_test.h"
#include "io/http_client.h"
#include "io/programs_test.h"

namespace trued::io {
namespace {

class TlsWire final : public Wire {
 public:
  TlsWire(int fd, SSL_CTX* context) : Wire(fd), ssl_(::SSL_new(context)) { ::SSL_set_fd(ssl_, fd); }
  ~TlsWire() override { ::SSL_free(ssl_); }
  bool open() override { return ::SSL_accept(ssl_) == 1; }
  long read(char* to, std::size_t size) override {
    return ::SSL_read(ssl_, to, static_cast<int>(size));
  }
  long write(const char* from, std::size_t size) override {
    return ::SSL_write(ssl_, from, static_cast<int>(size));
  }

 private:
  SSL* ssl_;
};

using Context = std::unique_ptr<SSL_CTX, decltype(&::SSL_CTX_free)>;

class ClientTlsTest : public testing::Test {
 protected:
  // One authority, and a certificate of it for each name.
  static void SetUpTestSuite() {
    scratch_ = new Scratch;
    authority("ca");
    authority("other");
    certificate("good", "DNS:localhost,IP:127.0.0.1", "ca", "2");
    certificate("elsewhere", "DNS:shop.example", "ca", "2");
    certificate("partial", "DNS:l*t", "ca", "2");
    certificate("expired", "DNS:localhost", "ca", "0");
  }
  static void TearDownTestSuite() {
    delete scratch_;
    scratch_ = nullptr;
  }
  static void authority(const std::string& name) {
    run_program({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                 "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", file(name + ".key"), "-out",
                 file(name + ".pem"), "-subj", "/CN=" + name, "-days", "2"},
                *scratch_);
  }
  static void certificate(const std::string& name, const std::string& names, const std::string& ca,
                          const std::string& days) {
    scratch_->write(name + ".ext", "subjectAltName=" + names + "\n");
    run_program(
        {"openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", file(name + ".key"), "-out", file(name + ".csr"), "-subj", "/CN=localhost"},
        *scratch_);
    run_program({"openssl", "x509", "-req", "-in", file(name + ".csr"), "-CA", file(ca + ".pem"),
                 "-CAkey", file(ca + ".key"), "-CAcreateserial", "-days", days, "-extfile",
                 file(name + ".ext"), "-out", file(name + ".pem")},
                *scratch_);
  }
  static std::string file(const std::string& name) { return scratch_->at(name); }

  void serve(const std::string& certificate, CountingServer::Handler handler = answer_ok) {
    // OpenSSL writes without asking for that: to a client that has gone, of tickets for the next
    // time, say.
    std::signal(SIGPIPE, SIG_IGN);
    context_.reset(::SSL_CTX_new(::TLS_server_method()));
    const std::string pem = file(certificate + ".pem");
    const std::string key = file(certificate + ".key");
    ASSERT_EQ(::SSL_CTX_use_certificate_file(context_.get(), pem.c_str(), SSL_FILETYPE_PEM), 1);
    ASSERT_EQ(::SSL_CTX_use_PrivateKey_file(context_.get(), key.c_str(), SSL_FILETYPE_PEM), 1);
    server_ = std::make_unique<CountingServer>(std::move(handler), [this](int fd) {
      return std::make_unique<TlsWire>(fd, context_.get());
    });
  }
  static bool answer_ok(const SeenRequest& request, Peer& peer) {
    return peer.answer("200 OK", request.method + " " + request.body), true;
  }
  Result<HttpResponse> post(const std::string& host, ClientOptions options) const {
    HttpClient client(std::move(options));
    return client.call({.method = "POST",
                        .url = "https://" + host + ":" + std::to_string(server_->port()) + "/",
                        .body = "charge"});
  }
  static ClientOptions trusting(const std::string& ca) {
    ClientOptions options;
    options.ca_file = file(ca + ".pem");
    return options;
  }
  void expect_refused(const std::string& host, ClientOptions options, const std::string& why) {
    const auto answer = post(host, std::move(options));
    ASSERT_FALSE(answer.has_value());
    EXPECT_EQ(answer.error().happened, Happened::no);
    EXPECT_NE(answer.error().message.find(why), std::string::npos) << answer.error().message;
    EXPECT_EQ(server_->requests().size(), 0U);
  }

  static Scratch* scratch_;
  Context context_{nullptr, &::SSL_CTX_free};
  std::unique_ptr<CountingServer> server_;
};

Scratch* ClientTlsTest::scratch_ = nullptr;

TEST_F(ClientTlsTest, S7_a_certificate_of_the_given_authority_is_trusted) {
  serve("good");
  for (const char* host : {"localhost", "127.0.0.1"}) {
    const auto answer = post(host, trusting("ca"));
    ASSERT_TRUE(answer.has_value()) << host << ": " << answer.error().message;
    EXPECT_EQ(answer->body, "POST charge");
  }
}

TEST_F(ClientTlsTest, S7_T1_a_certificate_that_is_not_trusted_ends_it_before_anything_is_sent) {
  serve("good");
  expect_refused("localhost", {}, "the certificate is not trusted");
  expect_refused("localhost", trusting("other"), "the certificate is not trusted");
}

TEST_F(ClientTlsTest, S7_T1_the_wrong_host_is_refused) {
  serve("elsewhere");
  expect_refused("localhost", trusting("ca"), "ostname mismatch");
  expect_refused("127.0.0.1", trusting("ca"), "IP address mismatch");
  serve("partial");
  expect_refused("localhost", trusting("ca"), "ostname mismatch");
}

TEST_F(ClientTlsTest, S7_T1_an_expired_certificate_is_refused) {
  serve("expired");
  expect_refused("localhost", trusting("ca"), "expired");
}

TEST_F(ClientTlsTest, T1_what_is_no_tls_is_no) {
  CountingServer plain(answer_ok, [](int fd) {
    class Plain final : public Wire {
     public:
      using Wire::Wire;
      bool open() override {
        const std::string_view answer = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
        (void)Wire::write(answer.data(), answer.size());
        return false;
      }
    };
    return std::make_unique<Plain>(fd);
  });
  HttpClient client(trusting("ca"));
  const auto answer = client.call(
      {.method = "POST", .url = "https://127.0.0.1:" + std::to_string(plain.port()) + "/"});
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().happened, Happened::no);
  EXPECT_NE(answer.error().message.find("TLS"), std::string::npos) << answer.error().message;
}

TEST_F(ClientTlsTest, T1_a_handshake_that_hangs_is_no_and_bounded) {
  CountingServer silent(answer_ok, [](int fd) {
    class Silent final : public Wire {
     public:
      using Wire::Wire;
      bool open() override {
        char buffer[1'000];
        while (::recv(fd_, buffer, sizeof buffer, 0) > 0) {
        }
        return false;
      }
    };
    return std::make_unique<Silent>(fd);
  });
  HttpClient client({.connect_timeout = Duration{150}});
  const auto answer = client.call(
      {.method = "POST", .url = "https://127.0.0.1:" + std::to_string(silent.port()) + "/"});
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().happened, Happened::no);
  EXPECT_EQ(answer.error().code, ErrorCode::timeout);
}

TEST_F(ClientTlsTest, T1_a_connection_cut_without_a_goodbye_is_no_whole_answer) {
  // Without a length, the end of the connection is the end of the content: anybody could cut it.
  serve("good", [](const SeenRequest&, Peer& peer) {
    return peer.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf"), false;
  });
  const auto answer = post("localhost", trusting("ca"));
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().happened, Happened::maybe);
}

TEST_F(ClientTlsTest, T1_an_answer_that_does_not_come_is_maybe) {
  serve("good", [](const SeenRequest&, Peer&) { return false; });
  const auto answer = post("localhost", trusting("ca"));
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().happened, Happened::maybe);
  EXPECT_EQ(server_->requests().size(), 1U);
}

TEST_F(ClientTlsTest, connections_are_used_again) {
  serve("good");
  HttpClient client(trusting("ca"));
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(client.call({.url = "https://localhost:" + std::to_string(server_->port()) + "/"})
                    .has_value());
  }
  EXPECT_EQ(server_->connections(), 1);
}

TEST_F(ClientTlsTest, an_authority_that_cannot_be_read_is_said_at_once) {
  const HttpClient client({.ca_file = "/no/such/file.pem"});
  const auto usable = client.usable();
  ASSERT_FALSE(usable.has_value());
  EXPECT_NE(usable.error().message.find("/no/such/file.pem"), std::string::npos);
  EXPECT_TRUE(HttpClient({}).usable().has_value());
}

}  // namespace
}  // namespace trued::io
