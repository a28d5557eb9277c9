// pool.h: a bounded number of connections to one database, kept open between uses.
//
// Invariants
//   (1) Never more than `size_max` connections at a time, leased and idle together.
//   (2) A connection that is not idle and healthy when it comes back, or that is too old, is
//       closed, and every other one is made to forget its session (DISCARD ALL): no transaction,
//       lock, setting, temporary table or half-read answer passes from one user to the next.
//       Except where its users are said to leave none (PoolOptions::discard).
//
// Threads: any; a lease is used by one at a time, and ends before its pool.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/result.h"
#include "pg/session.h"

namespace trued::pg {

struct PoolOptions {
  std::size_t size_max = 8;
  Duration idle_max{5 * 60'000};  ///< unused for longer: closed
  Duration age_max{30 * 60'000};  ///< so that a failover or a new address is found in time
  std::string application = "trued";
  /// Between two users. False where none of them changes anything of its session.
  bool discard = true;
};

class Pool {
 public:
  Pool(ConnInfo info, PoolOptions options);
  /// Asserts that every lease has ended.
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  class Lease {
   public:
    Lease(Lease&& other) noexcept;
    Lease& operator=(Lease&&) = delete;
    ~Lease();
    [[nodiscard]] Session& session() { return *session_; }
    /// It was used before: it may have died of old age without anybody noticing yet.
    [[nodiscard]] bool used_before() const { return used_before_; }

   private:
    friend class Pool;
    Lease(Pool& pool, std::unique_ptr<Session> session, std::chrono::nanoseconds born, bool used);

    Pool* pool_;
    std::unique_ptr<Session> session_;
    std::chrono::nanoseconds born_;
    bool used_before_;
  };

  /// A connection, waiting for one if all are taken. `fresh`: a new one, whatever is idle. What
  /// fails is `happened = no`.
  [[nodiscard]] Result<Lease, PgError> take(const Deadline& deadline, bool fresh = false);
  [[nodiscard]] const ConnInfo& info() const { return info_; }

 private:
  struct Idle {
    std::unique_ptr<Session> session;
    std::chrono::nanoseconds born;
    std::chrono::nanoseconds since;
  };
  void give_back(std::unique_ptr<Session> session, std::chrono::nanoseconds born);
  std::unique_ptr<Session> take_idle(std::chrono::nanoseconds& born);
  void assert_invariants() const;  ///< REQUIRES: mutex_ is held

  const ConnInfo info_;
  const PoolOptions options_;
  std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<Idle> idle_;  ///< the last used at the end: the others get old and go
  std::size_t leased_ = 0;
};

}  // namespace trued::pg
