// workload.h: who writes what, and which lie is told about it. A function of the seed alone.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/evidence.h"
#include "lab/lab.h"

namespace trued::lab {

struct Write {
  std::string key;       ///< "DOCUMENT@REVISION"
  std::string document;  ///< the unit's first artifact; the others belong to it
  Lie lie = Lie::none;
  std::uint32_t told = 0;  ///< how many attempts in a row are lied about
  std::shared_ptr<const Intent> intent;
};

struct Workload {
  std::vector<std::vector<Write>> documents;  ///< the writes of each document, in order
  std::map<std::string, const Write*> by_key;
  std::uint32_t writes = 0;
};

/// The name of the target in every intent.
inline constexpr const char* kTarget = "site";

/// Reads the input, or takes the built-in documents. `not_found` if there is nothing to publish.
[[nodiscard]] Result<Workload> make_workload(const LabOptions& options);

}  // namespace trued::lab
