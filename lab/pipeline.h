// pipeline.h: a publishing pipeline as many have one: publishing layer, bare git repository, sync
// layer, serving layer over HTTP. Every seam can tell its lie on demand.
//
//   publish() ──commit──► bare repository ──change event──► sync ──► replicas ──HTTP──► readers
//      │                       │                              │          │
//   swallowed_race          empty_write                  clever_dedup  stale_replica
//   self_agreeing_noop      partial_landing, truncated
//
// Threads: publish() and the reading functions from any thread; the sync layer has its own.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "lab/workload.h"
#include "target/git/git_connector.h"

namespace trued::lab {

/// What the publishing layer answers: it hardly ever says no.
struct Published {
  EffectResult result;
  std::uint64_t event = 0;  ///< the change event that was sent; 0 for none
};

class Pipeline {
 public:
  /// Sets everything up below `directory`, which exists.
  [[nodiscard]] static Result<std::unique_ptr<Pipeline>> open(const std::string& directory);
  ~Pipeline();

  /// Publishes, telling `lie` on the way. `force` asks the sync layer to take the unit up again.
  [[nodiscard]] Published publish(const EffectRequest& request, const std::string& document,
                                  Lie lie, bool force);

  /// Blocks until the sync layer has worked off that event.
  void wait_for(std::uint64_t event);

  /// What a consumer is handed now, past HTTP.
  [[nodiscard]] std::optional<std::string> served(const std::string& path) const;
  /// "http://127.0.0.1:PORT/${artifact.path}"
  [[nodiscard]] std::string serving_url() const;
  /// The authoritative store, as readers see it.
  [[nodiscard]] GitConnector& repository();

 private:
  class Impl;
  explicit Pipeline(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace trued::lab
