#include "target/git/plan.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "target/git/message.h"
#include "target/git/tree.h"
#include "target/git/walk.h"
#include "target/outcome.h"

namespace trued::git {
namespace {

std::string version_of(const Snapshot& snapshot) {
  return snapshot.head ? hex_of(*snapshot.head) : std::string();
}

// What the operation was based on must still stand, except where it was changed by ourselves.
// Returns what is stale, or nothing.
Result<std::string> stale_state(const Snapshot& snapshot, const Intent& intent,
                                const History& proved) {
  const std::string& base = *intent.base;
  const std::string now = snapshot.head ? short_hex_of(*snapshot.head) : "an unborn branch";
  const auto id = parse_oid(base);
  // An empty base says that there was no branch yet.
  const auto based =
      base.empty() ? Result<Handle<git_tree>>(Handle<git_tree>())
      : id         ? tree_at(snapshot.repository.get(), *id)
                   : Result<Handle<git_tree>>(Error{.code = ErrorCode::not_found, .message = {}});
  if (!based.has_value()) {
    return "stale-state: expected commit '" + base + "', which is not known; seen " + now;
  }
  Handle<git_tree> head;
  if (snapshot.head) {
    TRUED_TRY(head, tree_at(snapshot.repository.get(), *snapshot.head));
  }
  for (std::size_t i = 0; i < intent.artifacts.size(); ++i) {
    if (proved.known && proved.artifacts.at(i).landed) continue;
    const std::string& name = intent.artifacts.at(i).name;
    TRUED_TRY(const Entry was, entry_at(snapshot.repository.get(), based->get(), name));
    TRUED_TRY(const Entry is, entry_at(snapshot.repository.get(), head.get(), name));
    if (!differs(was, is)) continue;
    return "stale-state: '" + name + "': expected " + describe(was) + " as of " +
           (id ? short_hex_of(*id) : "the unborn branch") + ", seen " + describe(is) + " at " + now;
  }
  return std::string();
}

bool removals_only(const Intent& intent) {
  return std::ranges::all_of(intent.artifacts, &ArtifactIntent::absent);
}

Result<git_oid> commit_tree(const Snapshot& snapshot, const git_oid& tree_id,
                            const EffectRequest& request, const GitOptions& options) {
  git_repository* repository = snapshot.repository.get();
  Handle<git_tree> tree;
  if (const int code = acquire(tree, git_tree_lookup, repository, &tree_id); code != 0) {
    return error_of(code, "read the new tree");
  }
  Handle<git_signature> author;
  if (const int code = acquire(author, git_signature_now, options.author_name.c_str(),
                               options.author_email.c_str());
      code != 0) {
    return error_of(code, "sign the commit");
  }
  Handle<git_commit> parent;
  if (snapshot.head) {
    TRUED_TRY(parent, commit_at(repository, *snapshot.head));
  }
  const git_commit* parents[] = {parent.get()};
  const std::string message = compose_message(*request.intent, request.operation, request.attempt);
  git_oid id;
  if (const int code =
          git_commit_create(&id, repository, nullptr, author.get(), author.get(), nullptr,
                            message.c_str(), tree.get(), parent ? 1 : 0, parents);
      code != 0) {
    return error_of(code, "write the commit");
  }
  return id;
}

}  // namespace

Result<Plan> plan(const Snapshot& snapshot, const EffectRequest& request,
                  const GitOptions& options) {
  const Intent& intent = *request.intent;
  History proved;
  if (request.attempt.value() > 1) {
    TRUED_TRY(proved, prove(snapshot.repository.get(), snapshot.head,
                            {.operation = request.operation,
                             .intent = intent,
                             .since = request.since,
                             .reported = {},
                             .commits_max = options.history_commits_max}));
    if (!proved.known) {
      return Plan(effect_ended(EffectKind::unknown,
                               "not written: more than " +
                                   std::to_string(options.history_commits_max) +
                                   " commits since the first attempt hide whether it landed"));
    }
  }
  if (intent.base) {
    TRUED_TRY(std::string stale, stale_state(snapshot, intent, proved));
    if (!stale.empty()) {
      return Plan(effect_ended(EffectKind::rejected_final, std::move(stale)));
    }
  }
  std::vector<bool> skip(intent.artifacts.size(), false);
  for (std::size_t i = 0; proved.known && i < skip.size(); ++i) {
    skip.at(i) = proved.artifacts.at(i).landed && !proved.artifacts.at(i).replaced_by.empty();
  }
  Handle<git_tree> tree;
  if (snapshot.head) {
    TRUED_TRY(tree, tree_at(snapshot.repository.get(), *snapshot.head));
  }
  TRUED_TRY(const auto applied, apply(snapshot.repository.get(), tree.get(), intent, skip));
  if (const auto* conflict = std::get_if<Conflict>(&applied)) {
    return Plan(effect_ended(EffectKind::rejected_final, conflict->reason));
  }
  const git_oid& wanted = std::get<git_oid>(applied);
  const bool nothing_to_do = tree ? same(*git_tree_id(tree.get()), wanted) : removals_only(intent);
  if (nothing_to_do) return Plan(effect_acknowledged(false, version_of(snapshot)));
  TRUED_TRY(const git_oid commit, commit_tree(snapshot, wanted, request, options));
  return Plan(commit);
}

}  // namespace trued::git
