// git_world_test.h: real repositories for the tests, worked on with the git program.
#pragma once

#include <atomic>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <spawn.h>
#include <sstream>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace trued {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "trued-git-XXXXXX").string();
    if (::mkdtemp(pattern.data()) != nullptr) path_ = pattern;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

struct Ran {
  int status = -1;
  std::string out;
};

inline std::optional<std::string> slurp(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

inline void spill(const std::filesystem::path& path, const std::string& content) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << content;
}

/// A bare repository, and the git program to work on it as somebody else.
class GitRepository {
 public:
  explicit GitRepository(std::filesystem::path path, bool bare = true) : path_(std::move(path)) {
    if (bare) {
      run({"init", "--bare", "--quiet", "--initial-branch=main", path_.string()}, false);
    } else {
      run({"init", "--quiet", "--initial-branch=main", path_.string()}, false);
    }
  }

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::filesystem::path git_dir() const {
    return std::filesystem::exists(path_ / ".git") ? path_ / ".git" : path_;
  }

  /// `git <arguments>` with the bare minimum of an environment.
  Ran run(std::vector<std::string> arguments, bool in_repository = true,
          const std::string& input = {}) const {
    static std::atomic<int> counter{0};
    const std::string scratch = path_.string() + ".run" + std::to_string(++counter);
    spill(scratch + ".in", input);
    std::vector<std::string> words = {"git"};
    if (in_repository) words.push_back("--git-dir=" + git_dir().string());
    words.insert(words.end(), arguments.begin(), arguments.end());
    const std::vector<std::string> variables = {"PATH=/usr/bin:/bin",
                                                "HOME=/nonexistent",
                                                "GIT_CONFIG_NOSYSTEM=1",
                                                "GIT_AUTHOR_NAME=outside writer",
                                                "GIT_AUTHOR_EMAIL=o@example.org",
                                                "GIT_COMMITTER_NAME=outside writer",
                                                "GIT_COMMITTER_EMAIL=o@example.org",
                                                "GIT_INDEX_FILE=" + scratch + ".index",
                                                "GIT_TERMINAL_PROMPT=0"};
    Ran ran;
    ran.status = spawn(words, variables, scratch);
    ran.out = slurp(scratch + ".out").value_or("");
    for (const char* end : {".in", ".out", ".index"}) std::filesystem::remove(scratch + end);
    return ran;
  }

  /// The first line of what git says; fails the test if git does.
  std::string git(std::vector<std::string> arguments, const std::string& input = {}) const {
    const std::string shown = testing::PrintToString(arguments);
    const Ran ran = run(std::move(arguments), true, input);
    EXPECT_EQ(ran.status, 0) << shown << ran.out;
    return ran.out.substr(0, ran.out.find('\n'));
  }

  [[nodiscard]] std::string head() const {
    return run({"rev-parse", "--verify", "--quiet", "refs/heads/main"}).out.substr(0, 40);
  }

  /// A commit by somebody else that puts (or removes) one path; returns its id.
  std::string commit(const std::string& name, std::optional<std::string> content,
                     const std::string& message = "outside change",
                     const std::string& mode = "100644") const {
    const std::string parent = head();
    std::string stream =
        "commit refs/heads/main\n"
        "committer outside writer <o@example.org> 1700000000 +0000\ndata " +
        std::to_string(message.size()) + "\n" + message + "\n";
    if (!parent.empty()) stream += "from " + parent + "\n";
    if (content) {
      stream += "M " + mode + " inline " + quoted(name) + "\ndata " +
                std::to_string(content->size()) + "\n" + *content + "\n";
    } else {
      stream += "D " + quoted(name) + "\n";
    }
    const Ran ran = run({"fast-import", "--quiet"}, true, stream);
    EXPECT_EQ(ran.status, 0) << ran.out;
    return head();
  }

  [[nodiscard]] std::optional<std::string> look(const std::string& name) const {
    const Ran ran = run({"cat-file", "blob", "refs/heads/main:" + name});
    if (ran.status != 0) return std::nullopt;
    return ran.out;
  }

  void hook(const std::string& name, const std::string& script) const {
    const auto path = git_dir() / "hooks" / name;
    spill(path, "#!/bin/sh\n" + script + "\n");
    std::filesystem::permissions(path, std::filesystem::perms(0755));
  }

 private:
  static std::string quoted(const std::string& name) {
    std::string text = "\"";
    for (const char c : name) {
      if (c == '"' || c == '\\') text += '\\';
      text += c;
    }
    return text + '"';
  }

  static int spawn(const std::vector<std::string>& words, const std::vector<std::string>& variables,
                   const std::string& scratch) {
    std::vector<char*> argv;
    std::vector<char*> envp;
    for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
    for (const std::string& variable : variables) {
      envp.push_back(const_cast<char*>(variable.c_str()));
    }
    argv.push_back(nullptr);
    envp.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, (scratch + ".in").c_str(), O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, (scratch + ".out").c_str(),
                                     O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    pid_t pid = 0;
    const int failed = ::posix_spawnp(&pid, "git", &actions, nullptr, argv.data(), envp.data());
    posix_spawn_file_actions_destroy(&actions);
    if (failed != 0) return -1;
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  std::filesystem::path path_;
};

}  // namespace trued
