#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <sstream>

#include <gtest/gtest.h>
#include <trued/trued.h>

namespace trued::v1 {
namespace {

namespace fs = std::filesystem;

class Directory {
 public:
  Directory() {
    std::string name = (fs::temp_directory_path() / "trued-embed-XXXXXX").string();
    path = ::mkdtemp(name.data());
  }
  ~Directory() { fs::remove_all(path); }
  std::string read(const std::string& name) const {
    std::stringstream text;
    text << std::ifstream(path + "/" + name).rdbuf();
    return text.str();
  }
  std::string path;
};

/// Says yes and keeps nothing, a number of times.
class ForgetfulStore final : public Store {
 public:
  explicit ForgetfulStore(int lies) : lies_(lies) {}
  Acknowledgement write(const std::string&, const std::vector<Artifact>& artifacts) override {
    const std::scoped_lock lock(mutex_);
    if (lies_-- > 0) return {Acknowledgement::Kind::acknowledged, "", ""};
    for (const Artifact& artifact : artifacts) content_[artifact.path] = *artifact.content;
    return {Acknowledgement::Kind::acknowledged, "", ""};
  }
  Found read(const std::string& path) override {
    const std::scoped_lock lock(mutex_);
    const auto found = content_.find(path);
    if (found == content_.end()) return {Found::Kind::absent, "", ""};
    return {Found::Kind::content, found->second, ""};
  }

 private:
  std::mutex mutex_;
  int lies_;
  std::map<std::string, std::string> content_;
};

Policy quick() {
  Policy policy;
  policy.backoff_first = Milliseconds{1};
  policy.settle_within = Milliseconds{50};
  policy.settle_reads_max = 2;
  policy.attempts_max = 3;
  return policy;
}

TEST(Session, V8_one_call_writes_and_reads_back) {
  const Directory directory;
  auto session = Session::open({});
  ASSERT_TRUE(session);
  ASSERT_FALSE(session->add_directory("site", directory.path));
  ASSERT_FALSE(session->start());
  auto receipt = session->write_and_verify("site", {{"a/b.txt", "hello"}}, {.key = "k"});
  ASSERT_TRUE(receipt);
  EXPECT_EQ(receipt->status, Status::confirmed);
  EXPECT_EQ(receipt->decision, "new");
  EXPECT_EQ(directory.read("a/b.txt"), "hello");
  ASSERT_EQ(receipt->evidence.size(), 1U);
  EXPECT_EQ(receipt->evidence.front().verdict, "match");
  auto found = session->find(receipt->id);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->state, "confirmed");
}

TEST(Session, V8_V2_an_existing_write_path_is_wrapped_and_its_lie_repaired) {
  auto session = Session::open({});
  ASSERT_TRUE(session);
  ASSERT_FALSE(session->add_store("cms", std::make_unique<ForgetfulStore>(1), quick()));
  ASSERT_FALSE(session->start());
  auto receipt = session->write_and_verify("cms", {{"page", "text"}}, {.key = "k"});
  ASSERT_TRUE(receipt);
  EXPECT_EQ(receipt->status, Status::confirmed);
  EXPECT_EQ(receipt->attempts, 2U);
  EXPECT_EQ(receipt->tell, "self_agreeing_noop");
}

TEST(Session, V7_a_store_that_never_keeps_anything_needs_action) {
  auto session = Session::open({});
  ASSERT_TRUE(session);
  ASSERT_FALSE(session->add_store("cms", std::make_unique<ForgetfulStore>(100), quick()));
  ASSERT_FALSE(session->start());
  auto receipt = session->write_and_verify("cms", {{"page", "text"}}, {.key = "k"});
  ASSERT_TRUE(receipt);
  EXPECT_EQ(receipt->status, Status::needs_action);
  EXPECT_EQ(receipt->attempts, 3U);
  EXPECT_FALSE(receipt->next.empty());
}

TEST(Session, T3_a_repeat_in_another_process_gets_the_stored_receipt) {
  const Directory directory;
  std::string id;
  for (int life = 0; life < 2; ++life) {
    auto session = Session::open({.ledger = directory.path + "/ledger.db"});
    ASSERT_TRUE(session);
    ASSERT_FALSE(session->add_directory("site", directory.path));
    ASSERT_FALSE(session->start());
    auto receipt = session->write_and_verify("site", {{"x", "1"}}, {.key = "k"});
    ASSERT_TRUE(receipt);
    EXPECT_EQ(receipt->decision, life == 0 ? "new" : "duplicate");
    if (life == 0) id = receipt->id;
    EXPECT_EQ(receipt->id, id);
    auto other = session->write_and_verify("site", {{"x", "2"}}, {.key = "k"});
    ASSERT_TRUE(other);
    EXPECT_EQ(other->decision, "conflict");
  }
}

TEST(Session, bad_arguments_are_told_and_nothing_happens) {
  auto session = Session::open({});
  ASSERT_TRUE(session);
  EXPECT_TRUE(session->add_directory("site", "/nowhere/at/all"));
  ASSERT_FALSE(session->add_store("cms", std::make_unique<ForgetfulStore>(0)));
  EXPECT_FALSE(session->write_and_verify("cms", {{"x", "1"}}, {.key = "k"}));
  ASSERT_FALSE(session->start());
  EXPECT_FALSE(session->write_and_verify("cms", {{"x", "1"}}, {.key = ""}));
  EXPECT_FALSE(session->write_and_verify("cms", {{"../x", "1"}}, {.key = "k"}));
  EXPECT_FALSE(session->write_and_verify("none", {{"x", "1"}}, {.key = "k"}));
  EXPECT_FALSE(session->write_and_verify("cms", {}, {.key = "k"}));
}

}  // namespace
}  // namespace trued::v1
