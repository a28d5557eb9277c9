// exec_world_test.h: a directory of commands, and targets onto it.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "json/parse.h"
#include "target/exec/exec_target.h"

namespace trued {

inline json::Value json_of(const std::string& text) {
  auto value = json::parse(text);
  EXPECT_TRUE(value.has_value()) << text;
  return std::move(value).value();
}

class CommandDirectory {
 public:
  CommandDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "trued-exec-XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    path_ = name;
  }
  CommandDirectory(const CommandDirectory&) = delete;
  CommandDirectory& operator=(const CommandDirectory&) = delete;
  ~CommandDirectory() { std::filesystem::remove_all(path_); }

  [[nodiscard]] std::string path() const { return path_.string(); }
  [[nodiscard]] std::string path(const std::string& name) const { return (path_ / name).string(); }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
  }
  /// A command of that name, as a script of the shell.
  void command(const std::string& name, const std::string& script) const {
    write(name, "#!/bin/sh\n" + script);
    std::filesystem::permissions(path_ / name, std::filesystem::perms::owner_all);
  }
  [[nodiscard]] std::string text(const std::string& name) const {
    std::ifstream file(path_ / name, std::ios::binary);
    std::stringstream content;
    content << file.rdbuf();
    return content.str();
  }

  [[nodiscard]] ExecSpec spec() const {
    ExecSpec spec;
    spec.commands = {"*"};
    spec.path = {path(), "/usr/bin", "/bin"};
    spec.directory = path();
    return spec;
  }
  [[nodiscard]] std::shared_ptr<CallTarget> target(const std::function<void(ExecSpec&)>& change =
                                                       [](ExecSpec&) {}) const {
    ExecSpec one = spec();
    change(one);
    auto opened = ExecTarget::open(one);
    EXPECT_TRUE(opened.has_value()) << opened.error().message;
    return std::move(opened).value();
  }

 private:
  std::filesystem::path path_;
};

inline Call call_of(const std::string& request, Duration timeout = Duration{20'000}) {
  Call call;
  call.context.identity = "0123456789abcdef0123456789abcdef";
  call.context.actor = "test";
  call.context.timeout = timeout;
  call.request = json_of(request);
  return call;
}

}  // namespace trued
