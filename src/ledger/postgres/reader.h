// reader.h: snapshot reads over a pool of connections. Private.
#pragma once

#include <memory>

#include "ledger/ledger.h"
#include "ledger/postgres/link.h"
#include "pg/pool.h"

namespace trued::postgres {

/// What readers share; outlives them through a shared pointer.
struct Source {
  Source(Site where, std::size_t connections_max, Duration patience)
      : site(std::move(where)),
        pool(site.info, {.size_max = connections_max,
                         .age_max = Duration{60'000},
                         .application = "trued reads",
                         .discard = false}),
        call_max(patience) {}

  /// One statement, on a snapshot of its own. A connection that died unnoticed costs no error.
  [[nodiscard]] Result<pg::Rows> ask(std::string_view text, const pg::Parameters& parameters);

  const Site site;
  pg::Pool pool;
  const Duration call_max;
};

[[nodiscard]] std::unique_ptr<LedgerReader> make_reader(std::shared_ptr<Source> source);

}  // namespace trued::postgres
