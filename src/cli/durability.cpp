#include "cli/durability.h"

#include <spdlog/spdlog.h>

namespace trued::cli {
namespace {

std::string refusal(const DurabilityReport& now) {
  if (!now.below) return "";
  return "; writes are refused, because minimum_durability is " + std::string(to_string(now.floor));
}

// A line for every change; what asks for somebody's attention is a warning.
void say_change(const DurabilityReport& before, const DurabilityReport& now) {
  const DurabilityLevel was = before.now.level;
  const DurabilityLevel is = now.now.level;
  const bool worse = is < was || now.below || is == DurabilityLevel::none ||
                     (now.now.commits_wait && !before.now.commits_wait);
  const auto level = worse ? spdlog::level::warn : spdlog::level::info;
  const bool first = was == DurabilityLevel::unknown && !before.seen_at;
  if (is == was || first) {
    spdlog::log(level, "durability of the ledger: {} ({}){}", to_string(is), now.now.sentence,
                refusal(now));
  } else {
    spdlog::log(level, "the durability of the ledger {} from {} to {} ({}){}",
                is < was ? "fell" : "rose", to_string(was), to_string(is), now.now.sentence,
                is < was || now.below        ? refusal(now)
                : before.below && !now.below ? "; writes are taken again"
                                             : "");
  }
}

}  // namespace

std::unique_ptr<DurabilityWatch> watch_durability(Ledger& ledger, const config::Config& config,
                                                  Clock& clock) {
  DurabilityWatchOptions options;
  options.floor = durability_level(config.minimum_durability).value_or(DurabilityLevel::none);
  options.ask = [&ledger] { return ledger.durability_now(); };
  options.on_change = say_change;
  auto watch = std::make_unique<DurabilityWatch>(std::move(options), clock);
  ledger.on_durability([&watch = *watch](const Durability& found) { return watch.told(found); });
  return watch;
}

}  // namespace trued::cli
