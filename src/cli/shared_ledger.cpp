#include "cli/shared_ledger.h"

#include <algorithm>
#include <unistd.h>

#include <spdlog/spdlog.h>

#include "json/writer.h"
#include "ledger/postgres/replicas.h"
#include "pg/conninfo.h"

namespace trued::cli {
namespace {

// Whose clocks differ in speed by more than that are broken.
constexpr int kMarginShare = 10;
constexpr Duration kMarginMin{200};
constexpr Duration kPauseAfterFailure{1'000};

void announce(const Common& common, const config::SharedLedger& shared, const Holder& holder) {
  if (!common.json) {
    print("another node acts on the ledger " + shown(shared) + ": " + plain(holder.node) +
          "; standing by until its lease of " + format_duration(holder.lease) + " runs out");
    return;
  }
  std::string line;
  json::Writer out(line);
  out.begin_object().member("event", "standby").member("ledger", std::string_view(shown(shared)));
  out.member("holder", std::string_view(holder.node)).member("epoch", holder.epoch);
  out.member("lease_ms", static_cast<std::uint64_t>(holder.lease.count())).end_object();
  print(line);
}

}  // namespace

PostgresPlace place_of(const config::SharedLedger& shared) {
  return {.url = shared.url, .password = shared.password, .schema = shared.schema};
}

std::string shown(const config::SharedLedger& shared) {
  const auto info = pg::ConnInfo::parse(shared.url, shared.password);
  return (info.has_value() ? info->shown() : "postgresql://…") + ", schema " + shared.schema;
}

config::NodeSpec node_of(const config::Config& config, std::uint16_t port) {
  config::NodeSpec node = config.node;
  if (node.name.empty()) {
    char host[256] = "";
    if (::gethostname(host, sizeof host - 1) != 0) host[0] = '\0';
    node.name = std::string(host) + ":" + std::to_string(port);
  }
  const bool everywhere = config.address == "0.0.0.0" || config.address == "::";
  if (node.advertise.empty() && !everywhere) {
    const bool v6 = config.address.find(':') != std::string::npos;
    node.advertise =
        "http://" + (v6 ? "[" + config.address + "]" : config.address) + ":" + std::to_string(port);
  }
  return node;
}

void Sighting::saw(const Holder& holder) {
  const std::lock_guard lock(mutex_);
  // What was said under our name and address was said by who we were before.
  const bool ourselves = holder.node == own_.name && holder.url == own_.advertise;
  if (ourselves || holder.url.empty()) {
    acting_.reset();
  } else {
    acting_ = api::Acting{.node = holder.node, .url = holder.url, .epoch = holder.epoch};
  }
}

std::optional<api::Acting> Sighting::acting() const {
  const std::lock_guard lock(mutex_);
  return acting_;
}

namespace {

Result<std::unique_ptr<PostgresTenure>> open_tenure(const Standby& standby) {
  const config::SharedLedger& shared = standby.shared;
  const config::NodeSpec& own = standby.sighting.own();
  const Duration margin = std::max(shared.lease / kMarginShare, kMarginMin);
  TRUED_TRY(auto tenure,
            PostgresTenure::open(
                place_of(shared),
                {.node = own.name, .url = own.advertise, .lease = shared.lease, .margin = margin}));
  TRUED_TRY_VOID(standby.opened());
  return tenure;
}

/// Says once for whom is waited, and once what is in the way.
class Words {
 public:
  explicit Words(const Standby& standby) : standby_(standby) {}
  void other_acts(const Holder& holder) {
    failing_ = false;
    if (announced_ == holder.epoch) return;
    announced_ = holder.epoch;
    announce(standby_.common, standby_.shared, holder);
  }
  void failed(const Error& error) {
    if (!failing_) spdlog::warn("standing by: {}", error.message);
    failing_ = true;
  }

 private:
  const Standby& standby_;
  std::optional<std::uint64_t> announced_;
  bool failing_ = false;
};

}  // namespace

Result<std::unique_ptr<PostgresTenure>> stand_by(const Standby& standby) {
  TRUED_TRY(auto tenure, open_tenure(standby));
  Words words(standby);
  while (true) {
    Duration pause = kPauseAfterFailure;
    const auto taken = tenure->try_take();
    if (taken.has_value() && *taken) return tenure;
    if (taken.has_value()) {
      pause = tenure->pause();
      standby.sighting.saw(tenure->who());
      words.other_acts(tenure->who());
    } else {
      if (!taken.error().retryable) return taken.error();
      words.failed(taken.error());
    }
    if (standby.stop(pause)) return tenure;
  }
}

Result<std::unique_ptr<PostgresLedger>> open_shared(const config::SharedLedger& shared,
                                                    const PostgresTenure& tenure) {
  return PostgresLedger::open({.place = place_of(shared), .claim = tenure.claim()});
}

Result<std::unique_ptr<ReplicaReads>> open_replicas(const config::SharedLedger& shared) {
  if (shared.replicas.empty()) return std::unique_ptr<ReplicaReads>();
  PostgresReplicasOptions options{.primary = place_of(shared), .replicas = {}};
  for (const config::LedgerReplica& replica : shared.replicas) {
    options.replicas.push_back(
        {.name = replica.name,
         .place = {.url = replica.url, .password = replica.password, .schema = shared.schema}});
  }
  options.notice = [](const std::string& what, bool bad) {
    spdlog::log(bad ? spdlog::level::warn : spdlog::level::info, "{}", what);
  };
  return open_postgres_replicas(std::move(options));
}

Result<std::unique_ptr<DurabilityWatch>> watch_promises(const config::SharedLedger& shared,
                                                        Clock& clock) {
  DurabilityWatchOptions options;
  TRUED_TRY(options.ask, postgres_durability(place_of(shared)));
  return std::make_unique<DurabilityWatch>(std::move(options), clock);
}

}  // namespace trued::cli
