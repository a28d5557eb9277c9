// postgres_nodes.h: the processes that serve a ledger on a PostgreSQL server: each keeps a row
// there and hears of it (LISTEN) when the ledger changes hands.
//
// Nothing hangs on these rows: who may act is the tenure's alone (postgres_tenure.h), and whoever
// hears of nothing looks at it again after a pause.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "ledger/nodes.h"
#include "ledger/postgres/postgres_place.h"

namespace trued {

struct NodeSelf {
  std::string name;
  std::string url;
  std::string version;
  Duration beat{1'000};  ///< between two signs of life
};

/// What changes about a node while it lives.
struct NodeState {
  std::string role;
  std::uint64_t epoch = 0;
  std::string detail = "{}";
};

/// Of the channel on which it is said that a ledger changed hands.
[[nodiscard]] std::string holder_channel(const std::string& schema);

class PostgresNodes final : public Nodes {
 public:
  /// The tables must be there (PostgresTenure::open()). Connects when begin() is called.
  [[nodiscard]] static Result<std::unique_ptr<PostgresNodes>> open(const PostgresPlace& place,
                                                                   NodeSelf self);
  /// Takes its row away, if that can be done at once.
  ~PostgresNodes() override;

  /// Says what `state` tells, again and again, on a thread of its own; `moved` is called there when
  /// the ledger may have changed hands. What fails is tried again.
  void begin(std::function<NodeState()> state, std::function<void()> moved);
  /// Stops saying it, and takes the row away.
  void end();

  [[nodiscard]] Result<std::vector<NodeRow>> list() override;
  [[nodiscard]] Result<NodeHistory> history(std::uint64_t before, std::uint32_t limit) override;

 private:
  class Impl;
  explicit PostgresNodes(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace trued
