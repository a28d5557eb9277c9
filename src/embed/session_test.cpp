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

// Why a write is refused; empty if it is not.
std::string refusal(Session& session, std::vector<Artifact> artifacts, WriteOptions options = {}) {
  options.key = "refused";
  auto receipt = session.write_and_verify("cms", std::move(artifacts), options);
  if (receipt) return "";
  EXPECT_EQ(receipt.failure().code, "invalid_argument");
  EXPECT_EQ(receipt.failure().happened, Happened::no);
  return receipt.failure().message;
}

TEST(Session, V6_what_the_http_api_refuses_is_refused_here_too) {
  auto session = Session::open({});
  ASSERT_TRUE(session);
  ASSERT_FALSE(session->add_store("cms", std::make_unique<ForgetfulStore>(0)));
  ASSERT_FALSE(session->start());
  const auto refused = [&](const std::string& why, std::vector<Artifact> artifacts,
                           const WriteOptions& options = {}) {
    const std::string said = refusal(session.value(), std::move(artifacts), options);
    EXPECT_NE(said.find(why), std::string::npos) << why << " | " << said;
  };
  refused("artifacts/1/path: names an artifact that stands earlier", {{"x", "1"}, {"x", "2"}});
  refused("artifacts/1/path: ", {{"x", "1"}, {"x/y", "2"}});
  refused("control character", {{"a\x1b[2J", "1"}});
  refused("message: the message holds a control", {{"x", "1"}}, {.key = "", .message = "a\x1b"});
  refused("message: the message is not valid UTF-8", {{"x", "1"}}, {.key = "", .message = "\xff"});
  refused("artifacts/0/path: the path is not valid UTF-8", {{"caf\xe9.md", "1"}});
  refused("actor is not valid UTF-8", {{"x", "1"}}, {.key = "", .actor = "ad\xe9"});
  refused("message: is longer than 65536", {{"x", "1"}},
          {.key = "", .message = std::string(70'000, 'm')});
  refused("base: the target 'cms' (store) has no versions", {{"x", "1"}},
          {.key = "", .base = "abc"});
  refused("actor holds a control character", {{"x", "1"}}, {.key = "", .actor = "eve\n"});
  refused("actor has at most 255", {{"x", "1"}}, {.key = "", .actor = std::string(256, 'a')});
  refused("has 10001 entries", std::vector<Artifact>(10'001, Artifact{"x", "1"}));
  refused("at least one artifact", {});
  EXPECT_TRUE(session->write_and_verify("cms", {{"x", "1"}}, {.key = "refused"}))
      << "the key stayed free";
}

TEST(Session, T5_bounds_that_cannot_be_kept_are_refused) {
  const Directory directory;
  auto session = Session::open({});
  ASSERT_TRUE(session);
  const auto refused = [&](const Policy& policy) {
    const auto failure = session->add_directory("site", directory.path, policy);
    return failure ? failure->message : "";
  };
  Policy past;
  past.deadline = Milliseconds{-1};
  EXPECT_NE(refused(past).find("the policy's deadline is -1 ms"), std::string::npos);
  Policy far;
  far.deadline = Milliseconds::max();
  far.retention = Milliseconds::max();
  EXPECT_NE(refused(far).find("the policy's deadline is"), std::string::npos);
  Policy brief;
  brief.retention = brief.deadline;
  EXPECT_NE(refused(brief).find("is shorter than an operation may take"), std::string::npos);
  Policy pauses;
  pauses.backoff_first = pauses.backoff_cap * 2;
  EXPECT_NE(refused(pauses).find("backoff_cap"), std::string::npos);
  EXPECT_EQ(refused(quick()), "");
  EXPECT_TRUE(session->add_directory("a b", directory.path)) << "no name for a target";
}

TEST(Session, V4_what_changed_is_told_where_it_is_known) {
  const Directory directory;
  auto session = Session::open({});
  ASSERT_TRUE(session);
  ASSERT_FALSE(session->add_directory("site", directory.path));
  ASSERT_FALSE(session->start());
  auto written = session->write_and_verify("site", {{"a", "1"}}, {.key = "k"});
  ASSERT_TRUE(written);
  EXPECT_EQ(written->changed, true);
  auto same = session->write_and_verify("site", {{"a", "1"}}, {.key = "l"});
  ASSERT_TRUE(same);
  EXPECT_EQ(same->changed, false);
}

}  // namespace
}  // namespace trued::v1
