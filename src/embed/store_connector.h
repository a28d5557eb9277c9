// store_connector.h: a user's own Store as a connector. Exceptions become unknown or unreadable.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include <trued/trued.h>

#include "target/compare.h"
#include "target/target.h"

namespace trued::embed {

class StoreConnector final : public Connector {
 public:
  explicit StoreConnector(std::unique_ptr<v1::Store> store) : store_(std::move(store)) {}

  [[nodiscard]] Capabilities capabilities() const override {
    return {.idempotent = true, .deduplicates = false, .history = false};
  }
  [[nodiscard]] EffectResult perform(const EffectRequest& request) override;
  [[nodiscard]] std::vector<RawRead> read(const ReadRequest& request) override;
  [[nodiscard]] History history(const HistoryRequest&) override { return {}; }
  [[nodiscard]] Result<std::string> version() override { return std::string(); }
  [[nodiscard]] std::string check_name(const std::string& name) const override {
    return check_relative_path(name);
  }

 private:
  std::unique_ptr<v1::Store> store_;
};

}  // namespace trued::embed
