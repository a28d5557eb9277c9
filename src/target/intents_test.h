// intents_test.h: short ways to say what a test wants to write.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "target/target.h"

namespace trued {

inline ArtifactIntent put(std::string name, std::string content) {
  ArtifactIntent artifact;
  artifact.name = std::move(name);
  artifact.id = {.sha256 = sha256(content), .bytes = content.size()};
  artifact.content = std::move(content);
  return artifact;
}

inline ArtifactIntent removal(std::string name) {
  ArtifactIntent artifact;
  artifact.name = std::move(name);
  artifact.absent = true;
  return artifact;
}

inline OperationId new_operation() {
  static std::atomic<std::uint8_t> last{0};
  Uuid uuid;
  uuid.bytes.fill(7);
  uuid.bytes.back() = ++last;
  return OperationId(uuid);
}

inline EffectRequest effect_of(std::vector<ArtifactIntent> artifacts,
                               OperationId operation = new_operation()) {
  auto intent = std::make_shared<Intent>();
  intent->target = "t";
  intent->message = "Write";
  intent->artifacts = std::move(artifacts);
  EffectRequest request;
  request.operation = operation;
  request.key = "k";
  request.actor = "tester";
  request.intent = std::move(intent);
  return request;
}

}  // namespace trued
