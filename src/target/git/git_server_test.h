// git_server_test.h: `git http-backend` behind a small server of its own process, for the tests.
#pragma once

#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include "target/git/git_world_test.h"

namespace trued {

/// Serves what is below `root`; see test/support/git_http_server.py for its faults.
class GitServer {
 public:
  explicit GitServer(const std::filesystem::path& root, std::vector<std::string> options = {}) {
    std::vector<std::string> words = {
        "python3", TRUED_SOURCE_DIR "/test/support/git_http_server.py", root.string()};
    words.insert(words.end(), options.begin(), options.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    int to[2];
    int from[2];
    EXPECT_EQ(::pipe2(to, O_CLOEXEC), 0);
    EXPECT_EQ(::pipe2(from, O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, to[0], 0);
    posix_spawn_file_actions_adddup2(&actions, from[1], 1);
    EXPECT_EQ(::posix_spawnp(&pid_, "python3", &actions, nullptr, argv.data(), environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    ::close(to[0]);
    ::close(from[1]);
    stdin_ = to[1];
    for (char c = 0; ::read(from[0], &c, 1) == 1 && c != '\n';) port_ += c;
    ::close(from[0]);
    EXPECT_FALSE(port_.empty());
  }
  ~GitServer() { stop(); }
  GitServer(const GitServer&) = delete;
  GitServer& operator=(const GitServer&) = delete;

  /// The URL of a repository below the root, going wrong as `fault` says.
  [[nodiscard]] std::string url(const std::string& name, const std::string& fault = {}) const {
    return "http://127.0.0.1:" + port_ + (fault.empty() ? "/" : "/_fault/" + fault + "/") + name;
  }

  void stop() {
    if (pid_ <= 0) return;
    ::close(stdin_);
    ::kill(pid_, SIGKILL);
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = 0;
  }

 private:
  pid_t pid_ = 0;
  int stdin_ = -1;
  std::string port_;
};

}  // namespace trued
