// resolver.h: host names to addresses, within a time. Private to src/io.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/network.h"
#include "base/result.h"
#include "base/time.h"

namespace trued::io {

/// The addresses of a host, in the order in which they are to be tried; never empty.
using Resolver = std::function<Result<std::vector<IpAddress>>(const std::string&, Duration)>;

/// Asks the system. The system's own look-up cannot be interrupted, so one that takes longer than
/// `timeout` is left to end by itself, on a thread of its own. `unavailable` or `timeout`,
/// `happened = no`. Blocks up to `timeout`; any thread.
[[nodiscard]] Result<std::vector<IpAddress>> resolve(const std::string& host, Duration timeout);

}  // namespace trued::io
