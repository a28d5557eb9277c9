#include "io/client_pool.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace trued::io {
namespace {

constexpr std::size_t kOriginsMax = 256;

}  // namespace

ClientPool::ConnectionPtr ClientPool::take(const std::string& origin) {
  while (true) {
    ConnectionPtr connection;
    {
      const std::scoped_lock lock(mutex_);
      drop_expired();
      const auto found = idle_.find(origin);
      if (found == idle_.end()) return nullptr;
      TRUED_ASSERT(!found->second.empty());
      connection = std::move(found->second.back().connection);
      found->second.pop_back();
      if (found->second.empty()) idle_.erase(found);
    }
    TRUED_ASSERT(connection != nullptr);
    if (connection->looks_alive()) return connection;
  }
}

void ClientPool::give_back(const std::string& origin, ConnectionPtr connection,
                           Duration announced) {
  TRUED_ASSERT(connection != nullptr);
  const Duration rest = std::min(announced, idle_timeout_);
  if (rest <= Duration{0}) return;
  const std::scoped_lock lock(mutex_);
  drop_expired();
  if (!idle_.contains(origin) && idle_.size() >= kOriginsMax) return;
  auto& resting = idle_[origin];
  if (resting.size() >= per_origin_max_) {
    if (resting.empty()) idle_.erase(origin);
    return;
  }
  resting.push_back({std::move(connection), std::chrono::steady_clock::now() + rest});
  TRUED_ASSERT(resting.size() <= per_origin_max_ && idle_.size() <= kOriginsMax);
}

void ClientPool::drop_expired() {
  const Deadline now = std::chrono::steady_clock::now();
  for (auto at = idle_.begin(); at != idle_.end();) {
    std::erase_if(at->second, [&](const Idle& idle) { return idle.until <= now; });
    at = at->second.empty() ? idle_.erase(at) : std::next(at);
  }
}

}  // namespace trued::io
