#include "target/git/plan.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "target/git/message.h"
#include "target/git/tree.h"
#include "target/git/walk.h"
#include "target/nesting.h"
#include "target/outcome.h"

namespace trued::git {
namespace {

// An effect without a known beginning is looked for among the newest commits only.
constexpr std::uint32_t kBeginningUnknownMax = 256;

// Whether an earlier sending of this operation can be in the history. Even the first attempt may
// come late: it hung before it looked at the branch, a second one landed, and somebody built on it.
Result<History> proved_so_far(const Snapshot& snapshot, const EffectRequest& request,
                              const GitOptions& options) {
  const bool first = request.attempt.value() == 1;
  const bool beginning_known = !request.since.empty();
  if (first && beginning_known && request.since == version_of(snapshot.head)) return History{};
  const bool anything_goes = first && !beginning_known;
  const std::uint32_t most = options.history_commits_max;
  return prove(snapshot.repository.get(), snapshot.head,
               {.operation = request.operation,
                .intent = *request.intent,
                .since = request.since,
                .reported = request.reported,
                .commits_max = anything_goes ? std::min(most, kBeginningUnknownMax) : most});
}

// A history that hides whether ours landed forbids writing; only the beginning of an effect that
// nobody has a reason to look for may be missing.
bool must_be_known(const Snapshot& snapshot, const EffectRequest& request) {
  if (request.attempt.value() > 1) return true;
  return !request.since.empty() && request.since != version_of(snapshot.head);
}

// What the operation was based on must still stand, except where it was changed by ourselves.
// Returns what is stale, or nothing.
Result<std::string> stale_state(const Snapshot& snapshot, const Intent& intent,
                                const History& proved) {
  TRUED_ASSERT(intent.base.has_value());
  TRUED_ASSERT(!proved.known || proved.artifacts.size() == intent.artifacts.size());
  const std::string& base = *intent.base;
  const std::string now = snapshot.head ? short_hex_of(*snapshot.head) : "an unborn branch";
  const auto id = parse_oid(base);
  const bool unborn = base.empty() || (id && is_unborn(*id));
  const auto based =
      unborn ? Result<Handle<git_tree>>(Handle<git_tree>())
      : id   ? tree_at(snapshot.repository.get(), *id)
             : Result<Handle<git_tree>>(Error{.code = ErrorCode::not_found, .message = {}});
  if (!based.has_value()) {
    return "stale-state: expected commit '" + base + "', which is not known; seen " + now;
  }
  Handle<git_tree> head;
  if (snapshot.head) {
    TRUED_TRY(head, tree_at(snapshot.repository.get(), *snapshot.head));
  }
  const std::vector<bool> gives_way = giving_way(intent);
  for (std::size_t i = 0; i < intent.artifacts.size(); ++i) {
    if (proved.known && proved.artifacts.at(i).landed) continue;
    const std::string& name = intent.artifacts.at(i).name;
    TRUED_TRY(Entry was, entry_at(snapshot.repository.get(), based->get(), name));
    TRUED_TRY(Entry is, entry_at(snapshot.repository.get(), head.get(), name));
    if (gives_way.at(i)) {
      was = without_directory(was);
      is = without_directory(is);
    }
    if (!differs(was, is)) continue;
    return "stale-state: '" + name + "': expected " + describe(was) + " as of " +
           (unborn ? "the unborn branch" : short_hex_of(*id)) + ", seen " + describe(is) + " at " +
           now;
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
  TRUED_ASSERT(request.intent != nullptr);
  const Intent& intent = *request.intent;
  TRUED_TRY(const History proved, proved_so_far(snapshot, request, options));
  if (!proved.known && must_be_known(snapshot, request)) {
    return Plan(effect_ended(EffectKind::unknown,
                             "not written: more than " +
                                 std::to_string(options.history_commits_max) +
                                 " commits since the first attempt hide whether it landed"));
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
  if (nothing_to_do) return Plan(effect_acknowledged(false, version_of(snapshot.head)));
  TRUED_TRY(const git_oid commit, commit_tree(snapshot, wanted, request, options));
  return Plan(commit);
}

}  // namespace trued::git
