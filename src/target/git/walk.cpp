#include "target/git/walk.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "target/git/message.h"
#include "target/git/tree.h"
#include "target/nesting.h"

namespace trued::git {
namespace {

// One commit of the walk; the first is the head.
struct Step {
  git_oid id;
  bool ours = false;
};

struct Walked {
  std::vector<Step> steps;
  bool complete = false;  // every commit since was seen
};

Result<Walked> walk(git_repository* repository, const git_oid& head, const Question& question) {
  Handle<git_revwalk> revwalk;
  int code = acquire(revwalk, git_revwalk_new, repository);
  if (code == 0) {
    code = git_revwalk_sorting(revwalk.get(), GIT_SORT_TOPOLOGICAL | GIT_SORT_TIME);
  }
  if (code == 0) code = git_revwalk_push(revwalk.get(), &head);
  if (code != 0) return error_of(code, "walk the history");
  // An unborn branch, or a commit that is not there (the branch was rewritten), hides nothing.
  const auto since = parse_oid(question.since);
  if (since && !is_unborn(*since)) git_revwalk_hide(revwalk.get(), &*since);
  Walked walked;
  git_oid id;
  while ((code = git_revwalk_next(&id, revwalk.get())) == 0) {
    if (walked.steps.size() == question.commits_max) return walked;
    TRUED_TRY(const auto commit, commit_at(repository, id));
    const char* message = git_commit_message_raw(commit.get());
    walked.steps.push_back(
        {.id = id, .ours = message != nullptr && carries(message, question.operation)});
  }
  if (code != GIT_ITEROVER) return error_of(code, "walk the history");
  walked.complete = true;
  TRUED_ASSERT(walked.steps.size() <= question.commits_max);
  return walked;
}

bool is_at_or_before(git_repository* repository, const git_oid& head, const git_oid& commit) {
  return is_unborn(commit) || same(head, commit) ||
         git_graph_descendant_of(repository, &head, &commit) == 1;
}

Result<std::string> name_commit(git_repository* repository, const git_oid& id) {
  TRUED_TRY(const auto commit, commit_at(repository, id));
  const git_signature* author = git_commit_author(commit.get());
  std::string name = short_hex_of(id);
  if (author != nullptr && author->name != nullptr) name += std::string(" ") + author->name;
  return name;
}

class Prover {
 public:
  Prover(git_repository* repository, const git_oid& head, const Walked& walked,
         std::optional<git_oid> reported)
      : repository_(repository), head_(head), walked_(walked), reported_(reported) {}

  Result<ArtifactHistory> prove(const ArtifactIntent& artifact, bool gives_way) {
    const Path path{.name = artifact.name, .gives_way = gives_way};
    TRUED_TRY(const Entry meant, meant_entry(artifact));
    TRUED_TRY(const auto landed_at, landing(meant, path));
    ArtifactHistory proof;
    if (!landed_at) return proof;
    TRUED_ASSERT(*landed_at <= walked_.steps.size());
    proof.landed = true;
    TRUED_TRY(const Entry now, entry(head_, path));
    if (holds(meant, now)) return proof;
    for (std::size_t i = 0; i < *landed_at; ++i) {
      const git_oid& id = walked_.steps.at(i).id;
      TRUED_TRY(const bool other, changed_to_other(id, path, meant));
      if (!other) continue;
      TRUED_TRY(proof.replaced_by, name_commit(repository_, id));
      return proof;
    }
    return proof;
  }

 private:
  struct Path {
    const std::string& name;
    bool gives_way = false;
  };

  // What stands at a path in a commit, as far as this operation cares.
  Result<Entry> entry(const git_oid& commit, const Path& path) {
    TRUED_TRY(const Entry found, entry_in(repository_, commit, path.name));
    return path.gives_way ? without_directory(found) : found;
  }

  // Whether a commit put something other than `meant` at `path`: it differs there from a parent.
  Result<bool> changed_to_other(const git_oid& id, const Path& path, const Entry& meant) {
    TRUED_TRY(const Entry here, entry(id, path));
    if (holds(meant, here)) return false;
    TRUED_TRY(const auto commit, commit_at(repository_, id));
    const unsigned parents = git_commit_parentcount(commit.get());
    if (parents == 0) return here.kind != EntryKind::none;
    for (unsigned i = 0; i < parents; ++i) {
      TRUED_TRY(const Entry there, entry(*git_commit_parent_id(commit.get(), i), path));
      if (differs(here, there)) return true;
    }
    return false;
  }

  // Where in the walk the artifact last stood as meant by our doing; past its end for a commit
  // from before the walk.
  Result<std::optional<std::size_t>> landing(const Entry& meant, const Path& path) {
    const std::size_t count = walked_.steps.size();
    bool reported_seen = false;
    for (std::size_t i = 0; i < count; ++i) {
      const Step& step = walked_.steps.at(i);
      const bool is_reported = reported_ && same(step.id, *reported_);
      reported_seen = reported_seen || is_reported;
      if (!step.ours && !is_reported) continue;
      TRUED_TRY(const Entry stood, entry(step.id, path));
      if (holds(meant, stood)) return std::optional(i);
    }
    if (reported_ && !reported_seen) {
      TRUED_TRY(const Entry stood, entry(*reported_, path));
      if (holds(meant, stood)) return std::optional(count);
    }
    return std::optional<std::size_t>();
  }

  git_repository* repository_;
  const git_oid& head_;
  const Walked& walked_;
  std::optional<git_oid> reported_;
};

}  // namespace

Result<History> prove(git_repository* repository, const std::optional<git_oid>& head,
                      const Question& question) {
  History history;
  history.known = true;
  history.artifacts.resize(question.intent.artifacts.size());
  std::optional<git_oid> reported = parse_oid(question.reported);
  if (!head) {
    history.reported_present = reported && is_unborn(*reported);
    return history;
  }
  TRUED_TRY(const Walked walked, walk(repository, *head, question));
  const auto ours = std::ranges::find(walked.steps, true, &Step::ours);
  history.ours_present = ours != walked.steps.end();
  if (history.ours_present) history.our_version = hex_of(ours->id);
  history.known = walked.complete || history.ours_present;
  if (reported && !is_at_or_before(repository, *head, *reported)) reported.reset();
  history.reported_present = reported.has_value();
  TRUED_ASSERT(history.ours_present == !history.our_version.empty());
  if (!history.ours_present && !reported) return history;  // then nothing of ours landed
  const std::vector<bool> gives_way = giving_way(question.intent);
  Prover prover(repository, *head, walked, reported);
  for (std::size_t i = 0; i < history.artifacts.size(); ++i) {
    TRUED_TRY(history.artifacts.at(i),
              prover.prove(question.intent.artifacts.at(i), gives_way.at(i)));
  }
  return history;
}

}  // namespace trued::git
