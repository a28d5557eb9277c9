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

std::string name_of_node() {
  char host[256] = "";
  if (::gethostname(host, sizeof host - 1) != 0) host[0] = '\0';
  return std::string(host) + ":" + std::to_string(::getpid());
}

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

Result<std::unique_ptr<PostgresTenure>> stand_by(const Common& common,
                                                 const config::SharedLedger& shared,
                                                 const std::function<bool(Duration)>& stop) {
  const Duration margin = std::max(shared.lease / kMarginShare, kMarginMin);
  TRUED_TRY(auto tenure, PostgresTenure::open(
                             place_of(shared),
                             {.node = name_of_node(), .lease = shared.lease, .margin = margin}));
  bool announced = false;
  bool failing = false;
  while (true) {
    const auto taken = tenure->try_take();
    if (taken.has_value() && *taken) return tenure;
    Duration pause = tenure->pause();
    if (!taken.has_value()) {
      if (!taken.error().retryable) return taken.error();
      if (!failing) spdlog::warn("standing by: {}", taken.error().message);
      pause = kPauseAfterFailure;
    } else if (!announced) {
      announce(common, shared, tenure->who());
      announced = true;
    }
    failing = !taken.has_value();
    if (stop(pause)) return tenure;
  }
}

Result<std::unique_ptr<PostgresLedger>> open_shared(const config::SharedLedger& shared,
                                                    const PostgresTenure& tenure) {
  TRUED_TRY(auto ledger,
            PostgresLedger::open({.place = place_of(shared), .claim = tenure.claim()}));
  if (const auto durability = ledger->durability_now(); durability.has_value()) {
    const auto level = durability->level == "none" ? spdlog::level::warn : spdlog::level::info;
    spdlog::log(level, "durability of the ledger: {} ({})", durability->level,
                durability->sentence);
  }
  return ledger;
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

}  // namespace trued::cli
