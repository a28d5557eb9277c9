// client_pool.h: the connections of a client that rest between two calls. Private to src/io.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "io/client_connection.h"

namespace trued::io {

/// Any thread.
class ClientPool {
 public:
  using ConnectionPtr = std::unique_ptr<ClientConnection>;

  ClientPool(std::size_t per_origin_max, Duration idle_timeout)
      : per_origin_max_(per_origin_max), idle_timeout_(idle_timeout) {}

  /// One that rests, has not rested too long and looks alive; null for none.
  ConnectionPtr take(const std::string& origin);
  /// `announced`: how long the other side says that it keeps it (Keep-Alive), or the client's own.
  void give_back(const std::string& origin, ConnectionPtr connection, Duration announced);
  [[nodiscard]] Duration idle_timeout() const { return idle_timeout_; }

 private:
  struct Idle {
    ConnectionPtr connection;
    Deadline until;
  };
  void drop_expired();  ///< REQUIRES: mutex_ is held

  const std::size_t per_origin_max_;
  const Duration idle_timeout_;
  std::mutex mutex_;
  std::map<std::string, std::vector<Idle>> idle_;  ///< guarded by mutex_
};

}  // namespace trued::io
