#include "target/git/tree.h"

#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "base/assert.h"
#include "target/nesting.h"

namespace trued::git {
namespace {

Entry entry_of(const git_tree_entry* raw) {
  Entry entry;
  entry.id = *git_tree_entry_id(raw);
  switch (git_tree_entry_filemode(raw)) {
    case GIT_FILEMODE_TREE:
      entry.kind = EntryKind::directory;
      break;
    case GIT_FILEMODE_BLOB:
      entry.kind = EntryKind::file;
      break;
    case GIT_FILEMODE_BLOB_EXECUTABLE:
      entry.kind = EntryKind::file;
      entry.executable = true;
      break;
    case GIT_FILEMODE_LINK:
      entry.kind = EntryKind::link;
      break;
    case GIT_FILEMODE_COMMIT:
      entry.kind = EntryKind::submodule;
      break;
    case GIT_FILEMODE_UNREADABLE:
      break;
  }
  return entry;
}

Result<Handle<git_tree>> lookup_tree(git_repository* repository, const git_oid& id) {
  Handle<git_tree> tree;
  if (const int code = acquire(tree, git_tree_lookup, repository, &id); code != 0) {
    return error_of(code, "read tree " + hex_of(id));
  }
  return tree;
}

// The paths to change, as the directories they make up.
struct Node {
  const ArtifactIntent* artifact = nullptr;
  bool gives_way = false;  // a directory in its place is no obstacle
  std::map<std::string, Node> below;
};

Node nodes_of(const Intent& intent, const std::vector<bool>& skip, bool removals) {
  Node root;
  TRUED_ASSERT(skip.size() == intent.artifacts.size());
  const std::vector<bool> gives_way = giving_way(intent);
  for (std::size_t i = 0; i < intent.artifacts.size(); ++i) {
    const ArtifactIntent& artifact = intent.artifacts.at(i);
    if (skip.at(i) || artifact.absent != removals) continue;
    Node* at = &root;
    std::string_view rest = artifact.name;
    while (true) {
      const std::size_t slash = rest.find('/');
      at = &at->below[std::string(rest.substr(0, slash))];
      if (slash == std::string_view::npos) break;
      rest.remove_prefix(slash + 1);
    }
    at->artifact = &artifact;
    at->gives_way = gives_way.at(i);
  }
  return root;
}

// Applies one kind of change. A conflict ends it and is kept.
class Editor {
 public:
  Editor(git_repository* repository, bool removals)
      : repository_(repository), removals_(removals) {}

  [[nodiscard]] const std::optional<Conflict>& conflict() const { return conflict_; }

  // The directory with what `node` names changed, or nothing if it is empty then. `path` is its
  // own, with a '/' behind, for people.
  Result<std::optional<git_oid>> edit(const git_tree* tree, const Node& node,
                                      const std::string& path) {
    Handle<git_treebuilder> builder;
    if (const int code = acquire(builder, git_treebuilder_new, repository_, tree); code != 0) {
      return error_of(code, "start tree '" + path + "'");
    }
    for (const auto& [name, below] : node.below) {
      const git_tree_entry* raw = git_treebuilder_get(builder.get(), name.c_str());
      const Entry there = raw == nullptr ? Entry{} : entry_of(raw);
      if (below.artifact != nullptr) {
        TRUED_TRY_VOID(set_file(builder.get(), name, there, below, path + name));
      }
      if (!conflict_ && !below.below.empty()) {
        TRUED_TRY_VOID(set_directory(builder.get(), name, there, below, path + name));
      }
      if (conflict_) return std::optional<git_oid>();
    }
    if (git_treebuilder_entrycount(builder.get()) == 0) return std::optional<git_oid>();
    git_oid written;
    if (const int code = git_treebuilder_write(&written, builder.get()); code != 0) {
      return error_of(code, "write tree '" + path + "'");
    }
    return std::optional<git_oid>(written);
  }

 private:
  void refuse(const std::string& path, std::string_view why) {
    conflict_ = Conflict{"'" + path + "' " + std::string(why)};
  }

  Result<void> set_file(git_treebuilder* builder, const std::string& name, const Entry& there,
                        const Node& node, const std::string& path) {
    TRUED_ASSERT(node.artifact != nullptr && node.artifact->absent == removals_);
    switch (there.kind) {
      case EntryKind::directory:
        if (!node.gives_way) refuse(path, "is a directory");
        return {};
      case EntryKind::link:
        refuse(path, "is a symbolic link; only regular files are written and removed");
        return {};
      case EntryKind::submodule:
        refuse(path, "is a submodule");
        return {};
      case EntryKind::none:
        if (removals_) return {};
        break;
      case EntryKind::file:
        break;
    }
    if (removals_) return remove(builder, name, path);
    if (!node.below.empty()) {
      refuse(path, "cannot be a file and a directory");
      return {};
    }
    const std::string& content = node.artifact->content;
    git_oid blob;
    if (const int code =
            git_blob_create_from_buffer(&blob, repository_, content.data(), content.size());
        code != 0) {
      return error_of(code, "store the content of '" + path + "'");
    }
    const git_filemode_t mode = there.executable ? GIT_FILEMODE_BLOB_EXECUTABLE : GIT_FILEMODE_BLOB;
    return insert(builder, name, blob, mode, path);
  }

  Result<void> set_directory(git_treebuilder* builder, const std::string& name, const Entry& there,
                             const Node& node, const std::string& path) {
    TRUED_ASSERT(!node.below.empty() && !conflict_);
    Handle<git_tree> tree;
    if (there.kind == EntryKind::directory) {
      TRUED_TRY(tree, lookup_tree(repository_, there.id));
    } else if (removals_) {
      return {};  // nothing is below what is no directory
    } else if (there.kind != EntryKind::none) {
      refuse(path, "is no directory, so nothing can be put below it");
      return {};
    }
    TRUED_TRY(const auto written, edit(tree.get(), node, path + "/"));
    if (conflict_) return {};
    if (written) return insert(builder, name, *written, GIT_FILEMODE_TREE, path);
    if (there.kind == EntryKind::none) return {};
    return remove(builder, name, path);
  }

  static Result<void> insert(git_treebuilder* builder, const std::string& name, const git_oid& id,
                             git_filemode_t mode, const std::string& path) {
    const int code = git_treebuilder_insert(nullptr, builder, name.c_str(), &id, mode);
    if (code != 0) return error_of(code, "put '" + path + "' into its tree");
    return {};
  }

  static Result<void> remove(git_treebuilder* builder, const std::string& name,
                             const std::string& path) {
    const int code = git_treebuilder_remove(builder, name.c_str());
    if (code != 0) return error_of(code, "remove '" + path + "' from its tree");
    return {};
  }

  git_repository* repository_;
  bool removals_;
  std::optional<Conflict> conflict_;
};

Result<git_oid> empty_tree(git_repository* repository) {
  Handle<git_treebuilder> builder;
  if (const int code = acquire(builder, git_treebuilder_new, repository, nullptr); code != 0) {
    return error_of(code, "start an empty tree");
  }
  git_oid written;
  if (const int code = git_treebuilder_write(&written, builder.get()); code != 0) {
    return error_of(code, "write an empty tree");
  }
  return written;
}

}  // namespace

bool differs(const Entry& a, const Entry& b) {
  if (a.kind != b.kind) return true;
  return a.kind != EntryKind::none && !same(a.id, b.id);
}

Entry without_directory(const Entry& entry) {
  return entry.kind == EntryKind::directory ? Entry{} : entry;
}

std::string describe(const Entry& entry) {
  switch (entry.kind) {
    case EntryKind::none:
      return "nothing";
    case EntryKind::file:
      return "blob " + short_hex_of(entry.id);
    case EntryKind::directory:
      return "a directory";
    case EntryKind::link:
      return "a symbolic link";
    case EntryKind::submodule:
      return "a submodule";
  }
  return {};
}

Result<Entry> entry_at(git_repository* repository, const git_tree* tree, const std::string& path) {
  if (tree == nullptr) return Entry{};
  Handle<git_tree> held;
  std::string_view rest = path;
  while (true) {
    const std::size_t slash = rest.find('/');
    const std::string name(rest.substr(0, slash));
    const git_tree_entry* raw = git_tree_entry_byname(tree, name.c_str());
    if (raw == nullptr) return Entry{};
    const Entry entry = entry_of(raw);
    if (slash == std::string_view::npos) return entry;
    if (entry.kind != EntryKind::directory) return Entry{};
    TRUED_TRY(held, lookup_tree(repository, entry.id));
    tree = held.get();
    rest.remove_prefix(slash + 1);
  }
}

Result<Entry> entry_in(git_repository* repository, const git_oid& commit, const std::string& path) {
  if (is_unborn(commit)) return Entry{};
  TRUED_TRY(const auto tree, tree_at(repository, commit));
  return entry_at(repository, tree.get(), path);
}

Result<Entry> meant_entry(const ArtifactIntent& artifact) {
  Entry entry;
  if (artifact.absent) return entry;
  entry.kind = EntryKind::file;
  const int code =
      git_odb_hash(&entry.id, artifact.content.data(), artifact.content.size(), GIT_OBJECT_BLOB);
  if (code != 0) return error_of(code, "hash '" + artifact.name + "'");
  return entry;
}

bool holds(const Entry& meant, const Entry& entry) { return !differs(meant, entry); }

Result<std::variant<git_oid, Conflict>> apply(git_repository* repository, const git_tree* tree,
                                              const Intent& intent, const std::vector<bool>& skip) {
  using Applied = std::variant<git_oid, Conflict>;
  Handle<git_tree> held;
  std::optional<git_oid> at;
  if (tree != nullptr) at = *git_tree_id(tree);
  for (const bool removals : {true, false}) {
    const Node root = nodes_of(intent, skip, removals);
    if (root.below.empty()) continue;
    if (at) {
      TRUED_TRY(held, lookup_tree(repository, *at));
    } else {
      held.reset();
    }
    Editor editor(repository, removals);
    TRUED_TRY(at, editor.edit(held.get(), root, ""));
    if (editor.conflict()) return Applied(*editor.conflict());
  }
  if (at) return Applied(*at);
  TRUED_TRY(const git_oid empty, empty_tree(repository));
  return Applied(empty);
}

}  // namespace trued::git
