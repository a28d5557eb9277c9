#include "ledger/postgres/replicas.h"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "base/assert.h"
#include "base/clock.h"
#include "ledger/postgres/reader.h"
#include "ledger/sightings.h"

namespace trued {
namespace {

using postgres::Site;
using postgres::Snapshot;
using postgres::Source;
using std::chrono::nanoseconds;

/// The first version of the tables that has all that is read here.
constexpr int kReadableSchema = 1;
constexpr std::size_t kConnectionsMax = 4;
constexpr Duration kPauseFirst{5};
constexpr Duration kPauseMax{50};

nanoseconds now() { return SystemClock().monotonic(); }
WallTime wall() { return SystemClock().wall(); }

/// What one server is asked by: reads, and by one thread where it stands.
struct Server {
  std::shared_ptr<Source> reads;
  std::unique_ptr<postgres::SnapshotReader> looks;  ///< on a connection of its own
};

// A session is of a primary unless its URL says otherwise. Here whoever answers is looked at.
PostgresPlace whatever_answers(PostgresPlace place) {
  if (place.url.find("target_session_attrs=") != std::string::npos) return place;
  place.url += place.url.find('?') == std::string::npos ? '?' : '&';
  place.url += "target_session_attrs=any";
  return place;
}

Result<Snapshot> ask(postgres::SnapshotReader& reader) {
  TRUED_TRY_VOID(reader.position());
  return reader.snapshot();
}

class Replicas final : public ReplicaReads {
 public:
  Replicas(PostgresReplicasOptions options, Server primary, std::vector<Server> servers);
  ~Replicas() override;

  void read(const ReplicaWant& want, Look look, Done done) override;
  [[nodiscard]] std::vector<ReplicaState> states() const override;

 private:
  struct Replica {
    std::string name;
    Server server;
    bool usable = false;
    bool suspect = false;  ///< a read failed there since it was last asked
    bool asked = false;    ///< at all
    std::string wrong = "it has not been asked yet";
    std::optional<std::uint64_t> batch;
    WallTime since = wall();
  };
  struct Job {
    ReplicaWant want;
    Look look;
    Done done;
    nanoseconds until{};  ///< when patience ends
    Duration pause = kPauseFirst;
    bool again = false;  ///< all were behind before
  };
  enum class Tried : std::uint8_t { served, behind, useless };

  void watch_primary();
  void watch(std::size_t index);
  void note(std::size_t index, const Result<Snapshot>& found);
  /// Why nothing is read from a server that stands there; empty if it is. Under mutex_.
  [[nodiscard]] std::string wrong_with(const Snapshot& found) const;
  [[nodiscard]] Freshness freshness_of(const LedgerPosition& at) const;
  [[nodiscard]] Freshness freshness_locked(const LedgerPosition& at) const;
  void work();
  void run(Job job);
  [[nodiscard]] std::vector<std::size_t> candidates(std::uint64_t batch_min);
  Tried try_one(std::size_t index, Job& job, ServedBy& served);
  Tried look_at(postgres::SnapshotReader& reader, Job& job, Freshness& how, std::string& wrong);
  void suspect(std::size_t index);
  bool pause_for(Duration span);  ///< false: it ends
  void tell(const std::string& what, bool bad) const {
    if (options_.notice) options_.notice(what, bad);
  }

  const PostgresReplicasOptions options_;
  const Server primary_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;  ///< work, or the end
  std::condition_variable looks_;    ///< a suspicion, or the end
  bool ending_ = false;              ///< under mutex_, as all below
  std::vector<Replica> replicas_;
  Sightings sightings_;
  std::size_t turn_ = 0;  ///< who is asked first, so that all bear their share
  std::multimap<nanoseconds, Job> waiting_;
  std::vector<std::thread> threads_;
};

Replicas::Replicas(PostgresReplicasOptions options, Server primary, std::vector<Server> servers)
    : options_(std::move(options)), primary_(std::move(primary)) {
  TRUED_ASSERT(primary_.looks != nullptr && servers.size() == options_.replicas.size());
  for (std::size_t i = 0; i < servers.size(); ++i) {
    replicas_.emplace_back();
    replicas_.back().name = options_.replicas.at(i).name;
    replicas_.back().server = std::move(servers.at(i));
    TRUED_ASSERT(replicas_.back().server.looks != nullptr);
  }
  threads_.emplace_back([this] { watch_primary(); });
  for (std::size_t i = 0; i < servers.size(); ++i) {
    threads_.emplace_back([this, i] { watch(i); });
  }
  for (unsigned i = 0; i < options_.threads; ++i) threads_.emplace_back([this] { work(); });
}

Replicas::~Replicas() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  looks_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

// ---- who stands where --------------------------------------------------------------------------

bool Replicas::pause_for(Duration span) {
  std::unique_lock lock(mutex_);
  looks_.wait_for(lock, span, [this] { return ending_; });
  return !ending_;
}

void Replicas::watch_primary() {
  bool failing = false;
  do {
    const nanoseconds asked = now();
    auto found = ask(*primary_.looks);
    if (found.has_value() && found->standby) {
      found = Error{.code = ErrorCode::unavailable,
                    .message =
                        "the server that was reached is a replica itself: the URL of the "
                        "ledger needs target_session_attrs=read-write"};
    }
    if (!found.has_value()) {
      if (!failing) {
        tell("how stale replicas are is not known: " + found.error().message, true);
      }
      failing = true;
      continue;
    }
    if (failing) tell("the primary says again where the ledger stands", false);
    failing = false;
    bool grew = true;
    {
      const std::lock_guard lock(mutex_);
      // Until now nobody could tell whether the replicas are of this ledger.
      for (Replica& replica : replicas_) replica.suspect |= !sightings_.newest();
      grew = sightings_.add(asked, found->at);
    }
    looks_.notify_all();
    if (!grew) {
      tell("the ledger of the primary is another than before, or ends earlier: it was set back",
           true);
    }
  } while (pause_for(options_.look_every));
}

void Replicas::watch(std::size_t index) {
  // Name and server of a replica never change.
  postgres::SnapshotReader& reader = *replicas_.at(index).server.looks;
  while (true) {
    note(index, ask(reader));
    std::unique_lock lock(mutex_);
    looks_.wait_for(lock, options_.look_every,
                    [&] { return ending_ || replicas_.at(index).suspect; });
    if (ending_) return;
  }
}

std::string Replicas::wrong_with(const Snapshot& found) const {
  const auto primary = sightings_.newest();
  if (!found.standby) return "it takes writes itself, so it is no replica";
  if (!primary) return "the primary has not said yet which ledger it holds";
  if (found.at.ledger != primary->ledger) return "it holds another ledger than the primary";
  if (found.oldest > kPostgresSchema) {
    return "its tables are for programs that know schema version " + std::to_string(found.oldest) +
           "; this one knows up to " + std::to_string(kPostgresSchema);
  }
  if (found.version < kReadableSchema) {
    return "its tables have schema version " + std::to_string(found.version) +
           ", and reads need version " + std::to_string(kReadableSchema);
  }
  return "";
}

void Replicas::note(std::size_t index, const Result<Snapshot>& found) {
  std::string said;
  bool bad = false;
  {
    const std::lock_guard lock(mutex_);
    Replica& replica = replicas_.at(index);
    const std::string wrong = found.has_value() ? wrong_with(*found) : found.error().message;
    replica.suspect = false;
    if (found.has_value()) {
      replica.batch = found->at.batch;
    } else {
      replica.batch.reset();
    }
    const bool news = !replica.asked || replica.usable != wrong.empty();
    // At the start nobody has been heard of: that is no news.
    if (!replica.asked && !wrong.empty() && !sightings_.newest() && found.has_value()) {
      replica.wrong = wrong;
      return;
    }
    replica.asked = true;
    replica.wrong = wrong;
    replica.usable = wrong.empty();
    TRUED_ASSERT(!replica.usable || (replica.batch.has_value() && sightings_.newest()));
    if (!news) return;
    replica.since = wall();
    bad = !replica.usable;
    said = "the replica '" + replica.name + "' is " +
           (bad ? "not read from: " + wrong : std::string("read from"));
  }
  tell(said, bad);
}

void Replicas::suspect(std::size_t index) {
  {
    const std::lock_guard lock(mutex_);
    replicas_.at(index).suspect = true;
  }
  looks_.notify_all();
}

Freshness Replicas::freshness_locked(const LedgerPosition& at) const {
  Freshness how{.at = at, .behind = {}, .stale = {}};
  const auto primary = sightings_.newest();
  if (!primary || primary->ledger != at.ledger) return how;
  const nanoseconds moment = now();
  if (moment - sightings_.asked() <= options_.known_for) {
    how.behind = primary->batch - std::min(primary->batch, at.batch);
  }
  if (const auto whole = sightings_.whole_at(at.batch)) {
    how.stale = std::chrono::ceil<Duration>(moment - *whole);
  }
  return how;
}

Freshness Replicas::freshness_of(const LedgerPosition& at) const {
  const std::lock_guard lock(mutex_);
  return freshness_locked(at);
}

std::vector<ReplicaState> Replicas::states() const {
  const std::lock_guard lock(mutex_);
  std::vector<ReplicaState> all;
  for (const Replica& replica : replicas_) {
    ReplicaState state{.name = replica.name,
                       .usable = replica.usable,
                       .wrong = replica.wrong,
                       .batch = replica.batch,
                       .behind = {},
                       .stale = {},
                       .since = replica.since};
    if (replica.usable && replica.batch) {
      TRUED_ASSERT(sightings_.newest().has_value());  // without it none is usable
      const Uuid ledger = sightings_.newest()->ledger;
      const Freshness how = freshness_locked({.ledger = ledger, .batch = *replica.batch});
      state.behind = how.behind;
      state.stale = how.stale;
    }
    all.push_back(std::move(state));
  }
  return all;
}

// ---- reads -------------------------------------------------------------------------------------

void Replicas::read(const ReplicaWant& want, Look look, Done done) {
  TRUED_ASSERT(look != nullptr && done != nullptr);
  {
    const std::lock_guard lock(mutex_);
    if (!ending_ && waiting_.size() < options_.waiting_max) {
      const nanoseconds at = now();
      waiting_.emplace(at, Job{.want = want,
                               .look = std::move(look),
                               .done = std::move(done),
                               .until = at + want.patience});
      changed_.notify_one();
      return;
    }
  }
  done(std::nullopt);
}

void Replicas::work() {
  std::unique_lock lock(mutex_);
  while (!ending_) {
    if (waiting_.empty()) {
      changed_.wait(lock);
      continue;
    }
    const nanoseconds left = waiting_.begin()->first - now();
    if (left > nanoseconds(0)) {
      changed_.wait_for(lock, left);
      continue;
    }
    Job job = std::move(waiting_.extract(waiting_.begin()).mapped());
    TRUED_ASSERT(job.done != nullptr);  // nobody has been answered who still waits
    lock.unlock();
    try {
      run(std::move(job));
    } catch (const std::exception&) {
      // Out of memory, most likely. Whoever waited is told by what `done` holds.
    }
    lock.lock();
  }
}

// Those that are known to have come so far first, the others by how far they have.
std::vector<std::size_t> Replicas::candidates(std::uint64_t batch_min) {
  const std::lock_guard lock(mutex_);
  std::multimap<std::uint64_t, std::size_t, std::greater<>> by_batch;  // equal ones as they came
  const std::size_t first = turn_++;
  for (std::size_t i = 0; i < replicas_.size(); ++i) {
    const std::size_t index = (first + i) % replicas_.size();
    const Replica& replica = replicas_.at(index);
    if (!replica.usable || replica.suspect) continue;
    by_batch.emplace(std::min(replica.batch.value_or(0), batch_min), index);
  }
  std::vector<std::size_t> order;
  for (const auto& [batch, index] : by_batch) order.push_back(index);
  TRUED_ASSERT(order.size() <= replicas_.size());
  return order;
}

void Replicas::run(Job job) {
  bool behind = false;
  for (const std::size_t index : candidates(job.want.batch_min)) {
    ServedBy served;
    switch (try_one(index, job, served)) {
      case Tried::served:
        return job.done(std::move(served));
      case Tried::behind:
        behind = true;
        break;
      case Tried::useless:
        break;
    }
  }
  const nanoseconds again = now() + job.pause;
  if (!behind || again > job.until) return job.done(std::nullopt);
  TRUED_ASSERT(job.pause.count() > 0);
  job.pause = std::min(job.pause * 2, kPauseMax);
  job.again = true;
  const std::lock_guard lock(mutex_);
  waiting_.emplace(again, std::move(job));
  changed_.notify_one();
}

Replicas::Tried Replicas::look_at(postgres::SnapshotReader& reader, Job& job, Freshness& how,
                                  std::string& wrong) {
  // Whoever was behind a moment ago is asked for no more than how far it has come.
  const bool first_ask = job.again;
  const auto asked = [&]() -> Result<void> {
    if (first_ask) {
      TRUED_TRY(const LedgerPosition at, reader.position());
      if (at.batch < job.want.batch_min) return {};
    }
    return job.look(reader);
  }();
  if (!asked.has_value()) {
    wrong = asked.error().message;
    return Tried::useless;
  }
  const Snapshot& found = reader.snapshot();
  {
    const std::lock_guard lock(mutex_);
    wrong = wrong_with(found);
  }
  if (!wrong.empty()) return Tried::useless;
  if (found.at.batch < job.want.batch_min) return Tried::behind;
  how = freshness_of(found.at);
  TRUED_ASSERT(how.at == found.at);  // nobody is told of another batch than the one he was shown
  const auto& most = job.want.stale_max;
  return most && (!how.stale || *how.stale > *most) ? Tried::useless : Tried::served;
}

Replicas::Tried Replicas::try_one(std::size_t index, Job& job, ServedBy& served) {
  const Replica& replica = replicas_.at(index);  // of which only what never changes is read here
  const auto reader = postgres::make_reader(replica.server.reads, postgres::Of::replica);
  std::string wrong;
  const Tried tried = look_at(*reader, job, served.how, wrong);
  if (!wrong.empty()) suspect(index);
  served.name = replica.name;
  return tried;
}

}  // namespace

Result<std::unique_ptr<ReplicaReads>> open_postgres_replicas(PostgresReplicasOptions options) {
  const auto server_of = [&](const PostgresPlace& place) -> Result<Server> {
    TRUED_TRY(const Site site, Site::parse(place));
    return Server{.reads = std::make_shared<Source>(site, kConnectionsMax, options.call_max),
                  .looks = postgres::make_reader(
                      std::make_shared<Source>(site, 1, options.call_max), postgres::Of::replica)};
  };
  TRUED_TRY(Server primary, server_of(options.primary));
  std::vector<Server> servers;
  for (const PostgresReplica& replica : options.replicas) {
    TRUED_TRY(Server server, server_of(whatever_answers(replica.place)));
    servers.push_back(std::move(server));
  }
  return std::unique_ptr<ReplicaReads>(
      std::make_unique<Replicas>(std::move(options), std::move(primary), std::move(servers)));
}

}  // namespace trued
