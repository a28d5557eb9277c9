#include "engine/locks.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"

namespace trued {
namespace {

std::string lock_key(const std::string& target, const std::string& name) {
  std::string key;
  key.reserve(target.size() + name.size() + 1);
  key += target;
  key += '\0';
  key += name;
  return key;
}

}  // namespace

std::size_t ArtifactLocks::IdHash::operator()(const OperationId& id) const {
  // The low half of a UUIDv7 is random enough.
  std::size_t hash = 0;
  std::memcpy(&hash, id.value().bytes.data() + 8, sizeof hash);
  return hash;
}

std::vector<std::string> ArtifactLocks::names_of(const Operation& operation) {
  std::vector<std::string> names;
  names.reserve(operation.artifacts.size());
  for (const ArtifactState& artifact : operation.artifacts) names.push_back(artifact.meant.name);
  return names;
}

bool ArtifactLocks::enqueue(const Operation& operation, std::vector<std::string> names) {
  const auto [slot, inserted] = holders_.try_emplace(operation.id);
  TRUED_ASSERT(inserted);
  Holder& holder = slot->second;
  std::ranges::sort(names);
  names.erase(std::ranges::unique(names).begin(), names.end());
  holder.keys.reserve(names.size());
  for (const std::string& name : names) {
    std::string key = lock_key(operation.target, name);
    auto& queue = queues_[key];
    if (!queue.empty()) ++holder.behind;
    queue.push_back(operation.id);
    holder.keys.push_back(std::move(key));
  }
  TRUED_ASSERT(holder.keys.size() == names.size() && holder.behind <= names.size());
  return holder.behind == 0;
}

std::vector<OperationId> ArtifactLocks::release(const OperationId& id) {
  std::vector<OperationId> runnable;
  const auto slot = holders_.find(id);
  if (slot == holders_.end()) return runnable;
  for (const std::string& key : slot->second.keys) {
    const auto entry = queues_.find(key);
    TRUED_ASSERT(entry != queues_.end());
    auto& queue = entry->second;
    const bool was_first = queue.front() == id;
    const auto ticket = std::ranges::find(queue, id);
    TRUED_ASSERT(ticket != queue.end());
    queue.erase(ticket);
    if (queue.empty()) {
      queues_.erase(entry);
    } else if (was_first) {
      Holder& next = holders_.at(queue.front());
      TRUED_ASSERT(next.behind > 0);
      if (--next.behind == 0) runnable.push_back(queue.front());
    }
  }
  holders_.erase(slot);
  TRUED_ASSERT(!holders_.empty() || queues_.empty());
  return runnable;
}

bool ArtifactLocks::may_run(const OperationId& id) const {
  const auto slot = holders_.find(id);
  return slot != holders_.end() && slot->second.behind == 0;
}

const OperationId* ArtifactLocks::ahead_of(const OperationId& id) const {
  const auto slot = holders_.find(id);
  if (slot == holders_.end() || slot->second.behind == 0) return nullptr;
  for (const std::string& key : slot->second.keys) {
    const auto& queue = queues_.at(key);
    if (queue.front() != id) return &queue.front();
  }
  constexpr bool somebody_is_before_it = false;
  TRUED_ASSERT(somebody_is_before_it);
  return nullptr;
}

}  // namespace trued
