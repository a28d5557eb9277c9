#include "config/places.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace trued::config {
namespace {

namespace fs = std::filesystem;

class Places : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "trued-places-XXXXXX").string();
    root = fs::canonical(::mkdtemp(name.data()));
  }
  void TearDown() override { fs::remove_all(root); }

  fs::path make(const std::string& name) const {
    fs::create_directories(root / name);
    return root / name;
  }
  static TargetSpec target(const std::string& kind, const std::string& name, const fs::path& place,
                           const std::string& branch = "") {
    TargetSpec spec;
    spec.name = name;
    spec.kind = kind;
    spec.location = place.string();
    spec.branch = branch;
    return spec;
  }
  static TargetSpec file(const std::string& name, const fs::path& place) {
    return target("file", name, place);
  }
  // What is wrong with the places of these targets, one a line.
  static std::string wrong(std::vector<TargetSpec> targets, Config config = {},
                           const Rules& rules = {}) {
    config.targets = std::move(targets);
    std::vector<Wrong> found;
    check_places(config, rules, found);
    std::string text;
    for (const Wrong& each : found) text += to_string(each) + "\n";
    return text;
  }

  fs::path root;
};

TEST_F(Places, T6_a_directory_inside_another_is_refused_either_way) {
  make("www/docs");
  const std::string below = wrong({file("a", root / "www"), file("b", root / "www/docs")});
  EXPECT_TRUE(below.starts_with("target.b.directory: '" + (root / "www/docs").string() +
                                "' lies inside that of target 'a' ('" + (root / "www").string()))
      << below;
  EXPECT_NE(below.find("use one target for both"), std::string::npos) << below;
  const std::string above = wrong({file("a", root / "www/docs"), file("b", root / "www")});
  EXPECT_NE(above.find("contains that of target 'a'"), std::string::npos) << above;
  EXPECT_NE(wrong({file("a", root / "new"), file("b", root / "new/x/y")}), "") << "not there yet";
}

TEST_F(Places, T6_neighbours_are_fine) {
  EXPECT_EQ(wrong({file("a", root / "www"), file("b", root / "www-2"), file("c", root / "ww")}),
            "");
}

TEST_F(Places, T6_no_way_round_by_links_or_dots) {
  make("www/docs");
  make("other");
  fs::create_directory_symlink(root / "www/docs", root / "link");
  fs::create_directory_symlink(root / "www", root / "other/site");
  EXPECT_NE(wrong({file("a", root / "www"), file("b", root / "link")}), "");
  EXPECT_NE(wrong({file("a", root / "www"), file("b", root / "other/site/new")}), "");
  EXPECT_NE(wrong({file("a", root / "www"), file("b", root / "other/../www/docs/")}), "");
  EXPECT_NE(wrong({file("a", root / "www"), file("b", root / "other/site")}).find("same place"),
            std::string::npos);
}

TEST_F(Places, T6_a_repository_and_a_directory_keep_apart) {
  make("book.git/objects");
  make("tree/.git");
  const auto book = target("git", "book", root / "book.git", "main");
  const std::string inside = wrong({book, file("f", root / "book.git/objects")});
  EXPECT_NE(inside.find("lies inside that of target 'book'"), std::string::npos) << inside;
  EXPECT_NE(inside.find("keep them apart"), std::string::npos) << inside;
  EXPECT_NE(wrong({file("f", root), book}), "");
  const auto tree = target("git", "tree", root / "tree", "main");
  EXPECT_NE(wrong({tree, file("f", root / "tree")}), "") << "it contains .git";
  EXPECT_EQ(wrong({tree, file("f", root / "tree/public")}), "") << "only a working tree";
}

TEST_F(Places, T6_a_branch_is_one_place_however_its_repository_is_reached) {
  make("tree/.git/worktrees/second");
  make("second");
  fs::create_directory_symlink(root / "tree", root / "link");
  std::ofstream(root / "second/.git")
      << "gitdir: " << (root / "tree/.git/worktrees/second").string() << "\n";
  std::ofstream(root / "tree/.git/worktrees/second/commondir") << "../..\n";
  const auto tree = target("git", "tree", root / "tree", "main");
  for (const char* way : {"tree/.git", "link", "second", "tree/x/.."}) {
    EXPECT_NE(wrong({tree, target("git", "again", root / way, "main")}).find("same place"),
              std::string::npos)
        << way;
    EXPECT_EQ(wrong({tree, target("git", "again", root / way, "draft")}), "") << way;
  }
}

TEST_F(Places, T11_no_target_can_write_over_the_ledger) {
  make("www");
  Config config;
  config.ledger = (root / "www/state/ledger.db").string();
  const std::string ledger = wrong({file("a", root / "www")}, config);
  EXPECT_NE(ledger.find("target.a.directory: "), std::string::npos) << ledger;
  EXPECT_NE(ledger.find("holds the ledger ('" + config.ledger), std::string::npos) << ledger;
  config.ledger.clear();
  config.state_dir = (root / "www").string();
  EXPECT_NE(wrong({file("a", root / "www")}, config).find("the state directory"),
            std::string::npos);
  const std::string elsewhere = (root / "state").string();
  EXPECT_EQ(wrong({file("a", root / "www")}, config, {.state_dir_option = elsewhere}), "")
      << "the command line wins";
  config.state_dir.clear();
  EXPECT_NE(wrong({file("a", root)}, config, {.state_dir_default = elsewhere}), "");
  EXPECT_EQ(wrong({file("a", root / "state/site")}, config, {.state_dir_default = elsewhere}), "")
      << "it cannot reach what is above it";
}

}  // namespace
}  // namespace trued::config
