// The git connector under the suite for all connectors: local and over HTTP.
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "target/git/git_connector.h"
#include "target/git/git_server_test.h"
#include "target/git/git_world_test.h"
#include "target/target_conformance.h"

namespace trued {
namespace {

namespace fs = std::filesystem;

class GitWorld final : public World {
 public:
  explicit GitWorld(bool bare) : repository_(directory_.path() / "repository", bare) {
    // What is checked out is another branch than the target's.
    if (!bare) repository_.git({"symbolic-ref", "HEAD", "refs/heads/elsewhere"});
    auto opened = GitConnector::open({.repository = repository_.path().string(), .branch = "main"});
    EXPECT_TRUE(opened.has_value());
    connector_ = std::move(*opened);
  }
  Connector& connector() override { return *connector_; }
  void put_outside(const std::string& name, std::optional<std::string> content) override {
    repository_.commit(name, std::move(content));
  }
  std::optional<std::string> look(const std::string& name) override {
    return repository_.look(name);
  }
  void break_reads() override { fs::rename(repository_.path(), directory_.path() / "moved-away"); }

 private:
  TemporaryDirectory directory_;
  GitRepository repository_;
  std::unique_ptr<GitConnector> connector_;
};

class GitHttpWorld final : public World {
 public:
  GitHttpWorld() : repository_(directory_.path() / "root/repository.git") {
    server_ = std::make_unique<GitServer>(directory_.path() / "root");
    auto opened = GitConnector::open({.repository = server_->url("repository.git"),
                                      .state_directory = (directory_.path() / "state").string()});
    EXPECT_TRUE(opened.has_value());
    connector_ = std::move(*opened);
  }
  Connector& connector() override { return *connector_; }
  void put_outside(const std::string& name, std::optional<std::string> content) override {
    repository_.commit(name, std::move(content));
  }
  std::optional<std::string> look(const std::string& name) override {
    return repository_.look(name);
  }
  void break_reads() override { server_->stop(); }

 private:
  TemporaryDirectory directory_;
  GitRepository repository_;
  std::unique_ptr<GitServer> server_;
  std::unique_ptr<GitConnector> connector_;
};

INSTANTIATE_TEST_SUITE_P(
    Git, TargetConformance,
    testing::Values(ConformanceCase{"bare", [] { return std::make_unique<GitWorld>(true); }},
                    ConformanceCase{"with_working_tree",
                                    [] { return std::make_unique<GitWorld>(false); }},
                    ConformanceCase{"http", [] { return std::make_unique<GitHttpWorld>(); }}),
    conformance_name);

}  // namespace
}  // namespace trued
