#include "target/git/store.h"

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

EffectKind kind_of(const Error& error) {
  if (error.happened != Happened::no) return EffectKind::unknown;
  if (error.code == ErrorCode::unavailable) return EffectKind::not_sent;
  return error.retryable ? EffectKind::rejected_retryable : EffectKind::rejected_final;
}

}  // namespace trued::git
