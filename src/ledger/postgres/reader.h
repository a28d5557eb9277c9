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

/// What the snapshot of an answer was of.
struct Snapshot {
  LedgerPosition at;
  int version = 0;       ///< of the schema
  int oldest = 0;        ///< program's version that may read it
  bool standby = false;  ///< of a server that replays what another wrote
};

class SnapshotReader : public LedgerReader {
 public:
  /// Of the last answer; see LedgerReader::seen().
  [[nodiscard]] virtual const Snapshot& snapshot() const = 0;
};

/// Whose server a reader asks: a snapshot of a replica also says whether it is one, and of what.
enum class Of : std::uint8_t { primary, replica };

[[nodiscard]] std::unique_ptr<SnapshotReader> make_reader(std::shared_ptr<Source> source,
                                                          Of of = Of::primary);

}  // namespace trued::postgres
