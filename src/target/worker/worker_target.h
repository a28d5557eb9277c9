// worker_target.h: effects that workers carry out, in any language, wherever they run.
//
// A call is any JSON object, filled in: the payload that a worker is handed. This target sends
// nothing and knows nobody; who asks for work, what is handed out and what comes of it is the
// engine's (engine/leases.h). Nothing can be read of it: artifacts are read at other targets, and
// whether something happened is asked by the definition's probe.
//
// Any thread; immutable.
#pragma once

#include <vector>

#include "target/call.h"
#include "target/spec.h"

namespace trued {

class WorkerTarget final : public CallTarget {
 public:
  explicit WorkerTarget(const WorkerSpec& spec) : deduplicates_(spec.deduplicates) {}

  [[nodiscard]] Capabilities capabilities() const override;
  [[nodiscard]] EffectResult perform(const Call& call) override;
  [[nodiscard]] RawRead read(const Call& call) override;
  [[nodiscard]] Probed probe(const CallContext& context) override;
  [[nodiscard]] bool hands_over() const override { return true; }
  [[nodiscard]] std::vector<CallFault> check_effect(const json::Value& call) const override;
  [[nodiscard]] std::vector<CallFault> check_read(const json::Value& call) const override;

 private:
  bool deduplicates_;
};

}  // namespace trued
