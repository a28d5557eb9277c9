#include "target/git/store.h"

#include <algorithm>
#include <map>

namespace trued::git {

std::shared_ptr<std::timed_mutex> writers_of(const std::string& repository) {
  static std::mutex mutex;
  static std::map<std::string, std::weak_ptr<std::timed_mutex>> all;
  const std::lock_guard lock(mutex);
  std::weak_ptr<std::timed_mutex>& slot = all[repository];
  auto shared = slot.lock();
  if (!shared) {
    shared = std::make_shared<std::timed_mutex>();
    slot = shared;
  }
  return shared;
}

Result<std::string> choose_branch(const std::string& repository, const std::string& configured,
                                  const std::string& named,
                                  const std::vector<std::string>& branches) {
  std::string chosen = !configured.empty() ? configured : !named.empty() ? named : "main";
  if (branches.empty() || std::ranges::find(branches, chosen) != branches.end()) return chosen;
  constexpr std::size_t kShownMax = 20;
  std::string there;
  for (std::size_t i = 0; i < std::min(branches.size(), kShownMax); ++i) {
    there += (there.empty() ? "'" : ", '") + branches.at(i) + "'";
  }
  if (branches.size() > kShownMax) {
    there += " and " + std::to_string(branches.size() - kShownMax) + " more";
  }
  const std::string whose = configured.empty() && !named.empty() ? ", which its HEAD names" : "";
  return Error{.code = ErrorCode::invalid_argument,
               .message = "the repository '" + repository + "' has no branch '" + chosen + "'" +
                          whose + "; there are: " + there +
                          ". Give one of them as 'branch', or create '" + chosen + "' first"};
}

EffectKind kind_of(const Error& error) {
  if (error.happened != Happened::no) return EffectKind::unknown;
  if (error.code == ErrorCode::unavailable) return EffectKind::not_sent;
  return error.retryable ? EffectKind::rejected_retryable : EffectKind::rejected_final;
}

}  // namespace trued::git
