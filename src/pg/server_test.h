// server_test.h: a real PostgreSQL of its own for a test program, on a free loopback port.
//
// It lives in a temporary directory and ends with the program, also if that is killed. initdb
// refuses root, so root runs it as user postgres.
#pragma once

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <netinet/in.h>
#include <poll.h>
#include <pwd.h>
#include <spawn.h>
#include <sstream>
#include <string>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "pg/session.h"

namespace trued::pg {

inline void pause(int milliseconds) { (void)::poll(nullptr, 0, milliseconds); }

class PostgresServer;
/// The server that a standby follows.
struct StandbyOf {
  const PostgresServer& primary;
};

class PostgresServer {
 public:
  /// Role "app" owns database "app"; "postgres" may do everything. Nobody needs a password.
  explicit PostgresServer(std::vector<std::string> settings = {}) : settings_(std::move(settings)) {
    namespace fs = std::filesystem;
    std::string pattern = (fs::temp_directory_path() / "trued-pg-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr || binaries().empty()) {
      ADD_FAILURE() << "no PostgreSQL server here: install postgresql-15";
      return;
    }
    root_ = pattern;
    give_away(root_);
    make_cluster();
    port_ = free_port();
    start();
    sql("CREATE ROLE app LOGIN");
    sql("CREATE DATABASE app OWNER app");
  }
  /// A standby that serves reads.
  explicit PostgresServer(StandbyOf of, std::vector<std::string> settings = {})
      : settings_(std::move(settings)) {
    std::string pattern = (std::filesystem::temp_directory_path() / "trued-pg-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) {
      ADD_FAILURE() << "no directory for a standby";
      return;
    }
    root_ = pattern;
    give_away(root_);
    const pid_t copies = spawn({binaries() + "/pg_basebackup", "-h", "127.0.0.1", "-p",
                                std::to_string(of.primary.port()), "-U", "postgres", "-D", data(),
                                "-R", "-X", "stream", "-c", "fast", "--no-sync"});
    int status = 1;
    EXPECT_EQ(::waitpid(copies, &status, 0), copies);
    EXPECT_EQ(status, 0) << log();
    port_ = free_port();
    start();
  }
  /// Of a standby: it shows nothing newer until resume().
  void pause_replay() const {
    sql("SELECT pg_wal_replay_pause()");
    EXPECT_TRUE(wait_for("pg_get_wal_replay_pause_state() = 'paused'")) << log();
  }
  void resume_replay() const { sql("SELECT pg_wal_replay_resume()"); }

  ~PostgresServer() {
    end(SIGQUIT);
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  [[nodiscard]] int port() const { return port_; }
  [[nodiscard]] std::string url(const std::string& user = "app", const std::string& more = "",
                                int port = 0) const {
    return "postgresql://" + user + "@127.0.0.1:" + std::to_string(port == 0 ? port_ : port) +
           "/app?sslmode=disable" + more;
  }

  void start() {
    std::vector<std::string> words = {binaries() + "/postgres",
                                      "-D",
                                      data(),
                                      "-c",
                                      "listen_addresses=127.0.0.1",
                                      "-c",
                                      "port=" + std::to_string(port_),
                                      "-c",
                                      "unix_socket_directories=",
                                      "-c",
                                      "log_min_messages=warning",
                                      "-c",
                                      "max_connections=100"};
    for (const std::string& setting : settings_) {
      words.emplace_back("-c");
      words.push_back(setting);
    }
    for (int tries = 0; tries < 400; ++tries) {
      // After a crash the shared memory of the one before may take a moment to go.
      if (pid_ <= 0 || ::waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = spawn(words);
      auto session = connect("postgres", "postgres");
      if (session.has_value()) return;
      pause(25);
    }
    ADD_FAILURE() << "PostgreSQL does not start: " << log();
  }
  /// As a power failure would: every process at once, with nothing written any more.
  void crash() {
    ::kill(pid_, SIGSTOP);
    const std::vector<pid_t> children = children_of(pid_);
    ::kill(pid_, SIGKILL);
    for (const pid_t child : children) ::kill(child, SIGKILL);
    end(SIGKILL);
  }

  /// An immediate stop: no checkpoint, but its processes end by themselves.
  void stop_at_once() { end(SIGQUIT); }

  /// A session in database "app".
  [[nodiscard]] Session session(const std::string& user = "postgres") const {
    auto opened = connect(user, "app");
    EXPECT_TRUE(opened.has_value()) << log();
    return std::move(opened).value();
  }
  /// Runs it as "postgres"; the first value, or "".
  std::string sql(const std::string& text) const {
    auto opened = connect("postgres", "app");
    if (!opened.has_value()) opened = connect("postgres", "postgres");
    if (!opened.has_value()) return "(no connection)";
    return value(*opened, text);
  }
  static std::string value(Session& session, const std::string& text) {
    auto rows = session.script(text, Deadline(Duration{20'000}));
    if (!rows.has_value()) return rows.error().error.message;
    if (rows->values.empty()) return "";
    return rows->values.front().at(0).value_or("NULL");
  }
  /// Waits until `condition` (SQL) is true.
  [[nodiscard]] bool wait_for(const std::string& condition) const {
    Session watching = session();
    for (int tries = 0; tries < 1'000; ++tries) {
      if (value(watching, "SELECT " + condition) == "t") return true;
      pause(10);
    }
    return false;
  }
  [[nodiscard]] std::string log() const {
    std::ifstream in(root_ + "/log");
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
  }

  [[nodiscard]] static int free_port() {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    EXPECT_EQ(::bind(socket, reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_EQ(::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length), 0);
    ::close(socket);
    return ntohs(address.sin_port);
  }

 private:
  [[nodiscard]] std::string data() const { return root_ + "/data"; }

  // initdb takes longer than most tests, so what it made is kept beside the build.
  void make_cluster() const {
    namespace fs = std::filesystem;
    const fs::path kept = fs::path(TRUED_POSTGRES_TEMPLATE);
    std::error_code failure;
    if (!fs::exists(kept, failure)) {
      const pid_t made = spawn({binaries() + "/initdb", "-D", data(), "-U", "postgres", "-A",
                                "trust", "-E", "UTF8", "--no-locale", "-N", "--wal-segsize=1"});
      int status = 1;
      EXPECT_EQ(::waitpid(made, &status, 0), made);
      EXPECT_EQ(status, 0) << log();
      const fs::path mine = kept.string() + "." + std::to_string(::getpid());
      fs::copy(data(), mine, fs::copy_options::recursive, failure);
      // Whole or not at all: another test may do the same now.
      if (!failure) fs::rename(mine, kept, failure);
      if (failure) fs::remove_all(mine, failure);
      return;
    }
    fs::copy(kept, data(), fs::copy_options::recursive, failure);
    EXPECT_FALSE(failure) << failure.message() << ": remove " << kept;
    give_away(data());
    for (const auto& each : fs::recursive_directory_iterator(data(), failure)) {
      give_away(each.path());
    }
  }

  // To whom the server will run as.
  static void give_away(const std::filesystem::path& path) {
    static const passwd* const user = ::getuid() == 0 ? ::getpwnam("postgres") : nullptr;
    if (user == nullptr) return;
    EXPECT_EQ(::lchown(path.c_str(), user->pw_uid, user->pw_gid), 0) << path;
  }

  // The newest that Debian installed.
  static const std::string& binaries() {
    static const std::string found = [] {
      std::error_code none;
      std::vector<std::string> all;
      for (const auto& each : std::filesystem::directory_iterator("/usr/lib/postgresql", none)) {
        const std::string place = each.path().string() + "/bin";
        if (std::filesystem::exists(place + "/initdb", none)) all.push_back(place);
      }
      std::ranges::sort(all);
      return all.empty() ? std::string() : all.back();
    }();
    return found;
  }

  [[nodiscard]] pid_t spawn(std::vector<std::string> command) const {
    std::vector<std::string> words = {"setpriv", "--pdeathsig=QUIT"};
    if (::getuid() == 0) {
      words.insert(words.end(), {"--reuid=postgres", "--regid=postgres", "--clear-groups"});
    }
    words.insert(words.end(), command.begin(), command.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    const std::string to = root_ + "/log";
    posix_spawn_file_actions_addopen(&actions, 1, to.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    pid_t pid = -1;
    EXPECT_EQ(::posix_spawnp(&pid, "setpriv", &actions, nullptr, argv.data(), environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    return pid;
  }

  [[nodiscard]] Result<Session, PgError> connect(const std::string& user,
                                                 const std::string& database) const {
    const auto info =
        ConnInfo::parse("postgresql://" + user + "@127.0.0.1:" + std::to_string(port_) + "/" +
                        database + "?sslmode=disable&target_session_attrs=any");
    return Session::open(*info, "test", Deadline(Duration{5'000}));
  }

  static std::vector<pid_t> children_of(pid_t parent) {
    std::vector<pid_t> out;
    std::error_code none;
    for (const auto& each : std::filesystem::directory_iterator("/proc", none)) {
      std::ifstream in(each.path() / "stat");
      std::string text;
      std::getline(in, text);
      const std::size_t close = text.rfind(')');
      if (close == std::string::npos) continue;
      std::istringstream rest(text.substr(close + 1));
      char state = 0;
      pid_t of = 0;
      rest >> state >> of;
      std::istringstream own(each.path().filename().string());
      pid_t pid = 0;
      if (of == parent && own >> pid) out.push_back(pid);
    }
    return out;
  }

  void end(int signal) {
    if (pid_ <= 0) return;
    ::kill(pid_, signal);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
  }

  std::vector<std::string> settings_;
  std::string root_;
  int port_ = 0;
  pid_t pid_ = -1;
};

}  // namespace trued::pg
