#include "ledger/postgres/postgres_nodes.h"

#include <condition_variable>
#include <limits>
#include <mutex>
#include <thread>
#include <utility>

#include "base/assert.h"
#include "base/encoding.h"
#include "base/random.h"
#include "ledger/postgres/history.h"
#include "ledger/postgres/link.h"
#include "ledger/postgres/values.h"
#include "pg/text.h"

namespace trued {
namespace {

using postgres::Fields;
using postgres::Link;
using postgres::Site;

constexpr const char* kSay =
    "INSERT INTO @node(instance, name, url, version, role, epoch, detail, beat) VALUES ($1::text, "
    "$2::text, $3::text, $4::text, $5::text, $6::bigint, $7::text, $8::bigint) ON CONFLICT "
    "(instance) DO UPDATE SET role = excluded.role, epoch = excluded.epoch, detail = "
    "excluded.detail, seen = clock_timestamp()";
constexpr const char* kLeave = "DELETE FROM @node WHERE instance = $1::text";
// Also what was here under our name before us, and has been silent for longer than it said.
constexpr const char* kForget =
    "DELETE FROM @node WHERE seen < clock_timestamp() - interval '1 day' OR (name = $1::text AND "
    "instance <> $2::text AND seen < clock_timestamp() - make_interval(secs => 3 * beat / 1000.0))";
constexpr const char* kList =
    "SELECT instance, name, url, version, role, epoch, detail, beat, "
    "(extract(epoch FROM began) * 1000)::bigint, "
    "greatest(0, (extract(epoch FROM clock_timestamp() - seen) * 1000)::bigint) FROM @node "
    "ORDER BY name, began, instance";

// One snapshot: where the log begins and ends, the rows of a page, and the one that ends its
// newest. Rows beyond the head are not history: the audit tells of them.
constexpr const char* kHistory =
    "SELECT h.epoch, h.batch, b.batch, t.epoch, t.node, t.batch, "
    "(extract(epoch FROM t.began) * 1000)::bigint FROM @head h CROSS JOIN @base b LEFT JOIN ("
    "(SELECT * FROM @tenure WHERE epoch >= $1::bigint AND epoch <= (SELECT epoch FROM @head) "
    "ORDER BY epoch LIMIT 1) UNION ALL "
    "(SELECT * FROM @tenure WHERE epoch > 0 AND epoch < $1::bigint AND epoch <= "
    "(SELECT epoch FROM @head) ORDER BY epoch DESC LIMIT $2::bigint)) t ON true "
    "ORDER BY t.epoch DESC";

/// Of signs of life that may be missed before a node is called silent.
constexpr int kMissed = 3;
constexpr Duration kCallMax{5'000};
/// How long the thread may take to notice that it is to end.
constexpr Duration kSlice{200};

std::string fresh_instance() {
  SystemRandom random;
  std::string bytes;
  for (int i = 0; i < 2; ++i) {
    const std::uint64_t word = random.next();
    bytes.append(reinterpret_cast<const char*>(&word), sizeof word);
  }
  return hex_encode(bytes);
}

}  // namespace

std::string holder_channel(const std::string& schema) { return "trued:" + schema; }

class PostgresNodes::Impl {
 public:
  Impl(Site site, NodeSelf self)
      : site_(std::move(site)),
        self_(std::move(self)),
        says_(site_, "trued node", kCallMax),
        lists_(site_, "trued nodes", kCallMax) {}
  ~Impl() { end(); }

  void begin(std::function<NodeState()> state, std::function<void()> moved) {
    TRUED_ASSERT(state != nullptr && moved != nullptr && !thread_.joinable());  // begun once
    state_ = std::move(state);
    moved_ = std::move(moved);
    thread_ = std::thread([this] { say_again_and_again(); });
  }
  void end();
  Result<std::vector<NodeRow>> list();
  Result<NodeHistory> history(std::uint64_t before, std::uint32_t limit);

 private:
  /// REQUIRES: list_mutex_ is held.
  Result<pg::Rows> look(std::string_view sql, const pg::Parameters& parameters = {});
  void say_again_and_again();
  bool say();
  bool wait(Duration span);

  const Site site_;
  const NodeSelf self_;
  const std::string instance_ = fresh_instance();
  Link says_;  ///< the thread's
  std::function<NodeState()> state_;
  std::function<void()> moved_;
  bool forgot_ = false;  ///< those that were here before us
  std::mutex mutex_;
  std::condition_variable wake_;
  bool ending_ = false;  ///< under mutex_
  std::mutex list_mutex_;
  Link lists_;  ///< under list_mutex_
  std::thread thread_;
};

void PostgresNodes::Impl::end() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  if (!thread_.joinable()) return;
  thread_.join();
  if (says_.connect().has_value()) (void)says_.ask(kLeave, {instance_});
  says_.close();
}

// True if it is to end.
bool PostgresNodes::Impl::wait(Duration span) {
  std::unique_lock lock(mutex_);
  return wake_.wait_for(lock, span, [this] { return ending_; });
}

void PostgresNodes::Impl::say_again_and_again() {
  while (!wait(Duration{0})) {
    const pg::Deadline next(self_.beat);
    if (!say()) {
      // A server that refuses may be a primary no more; another connection finds who is.
      says_.close();
      if (wait(self_.beat)) return;
      continue;
    }
    while (!next.over()) {
      if (wait(Duration{0})) return;
      const auto heard = says_.hear(next.within(kSlice));
      if (!heard.has_value()) break;
      if (*heard) moved_();
    }
  }
}

bool PostgresNodes::Impl::say() {
  TRUED_ASSERT(instance_.size() == 32);
  if (says_.is_closed()) {
    if (!says_.connect().has_value()) return false;
    // Nothing hangs on the rows: no standby is waited for.
    if (!says_.script("SET synchronous_commit = off").has_value()) return false;
    // An engine that knows no LISTEN is looked at after pauses alone.
    const std::string channel = pg::quoted_identifier(holder_channel(site_.schema));
    if (!says_.script("LISTEN " + channel).has_value() && says_.is_closed()) return false;
    // What was said while nobody listened.
    moved_();
  }
  const NodeState state = state_();
  const auto said = says_.ask(
      kSay, {instance_, self_.name, self_.url, self_.version, state.role,
             std::to_string(state.epoch), state.detail, std::to_string(self_.beat.count())});
  if (said.has_value() && !forgot_) {
    forgot_ = says_.ask(kForget, {self_.name, instance_}).has_value();
  }
  return said.has_value();
}

Result<pg::Rows> PostgresNodes::Impl::look(std::string_view sql, const pg::Parameters& parameters) {
  if (auto up = lists_.connect(); !up.has_value()) return plain(site_, up.error());
  auto rows = lists_.ask(sql, parameters);
  if (rows.has_value()) return std::move(rows).value();
  lists_.close();
  return plain(site_, rows.error());
}

Result<NodeHistory> PostgresNodes::Impl::history(std::uint64_t before, std::uint32_t limit) {
  constexpr auto kNewest = std::uint64_t{std::numeric_limits<std::int64_t>::max()};
  if (before == 0 || before > kNewest) before = kNewest;
  const std::lock_guard lock(list_mutex_);
  // One more than is told shows whether there is more.
  TRUED_TRY(const pg::Rows rows,
            look(kHistory, {std::to_string(before), std::to_string(limit + std::uint64_t{1})}));
  postgres::Takes takes{.before = before, .newer = {}, .rows = {}, .all = true};
  if (rows.values.empty()) {
    return Error{.code = ErrorCode::corrupt,
                 .message = "the ledger at " + site_.shown() +
                            " does not say where it begins and ends: see what 'trued audit' says"};
  }
  for (const auto& values : rows.values) {
    Fields row(values);
    takes.epoch = row.number();
    takes.batch = row.number();
    takes.base = row.number();
    if (row.null()) {  // no row at all
      TRUED_TRY_VOID(row.check());
      break;
    }
    postgres::Taken taken{.epoch = row.number(), .node = row.text()};
    taken.batch = row.number();
    taken.began = row.moment();
    TRUED_TRY_VOID(row.check());
    if (taken.epoch >= before) {
      takes.newer = std::move(taken);
    } else if (takes.rows.size() < limit) {
      takes.rows.push_back(std::move(taken));
    } else {
      takes.all = false;
    }
  }
  return postgres::history_of(takes, limit);
}

Result<std::vector<NodeRow>> PostgresNodes::Impl::list() {
  const std::lock_guard lock(list_mutex_);
  TRUED_TRY(const pg::Rows rows, look(kList));
  std::vector<NodeRow> nodes;
  for (const auto& values : rows.values) {
    Fields row(values);
    NodeRow node;
    node.is_this = row.text() == instance_;
    node.name = row.text();
    node.url = row.text();
    node.version = row.text();
    node.role = row.text();
    node.epoch = row.number();
    node.detail = row.text();
    const Duration beat{row.integer()};
    node.began = WallTime(Duration{row.integer()});
    node.silent = Duration{row.integer()};
    node.alive = node.silent <= kMissed * beat;
    TRUED_TRY_VOID(row.check());
    nodes.push_back(std::move(node));
  }
  return nodes;
}

PostgresNodes::PostgresNodes(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PostgresNodes::~PostgresNodes() = default;

Result<std::unique_ptr<PostgresNodes>> PostgresNodes::open(const PostgresPlace& place,
                                                           NodeSelf self) {
  TRUED_TRY(Site site, Site::parse(place));
  return std::unique_ptr<PostgresNodes>(
      new PostgresNodes(std::make_unique<Impl>(std::move(site), std::move(self))));
}

void PostgresNodes::begin(std::function<NodeState()> state, std::function<void()> moved) {
  impl_->begin(std::move(state), std::move(moved));
}
void PostgresNodes::end() { impl_->end(); }
Result<std::vector<NodeRow>> PostgresNodes::list() { return impl_->list(); }
Result<NodeHistory> PostgresNodes::history(std::uint64_t before, std::uint32_t limit) {
  return impl_->history(before, limit);
}

}  // namespace trued
