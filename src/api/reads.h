// reads.h: reads of operations, whoever answers them: the ledger itself, or a replica of it.
// Private to src/api. Needs no engine: a node that does not act can serve them from replicas.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "api/auth.h"
#include "api/consistency.h"
#include "api/problems.h"
#include "core/operation.h"
#include "io/http_types.h"
#include "ledger/ledger.h"
#include "ledger/replicas.h"

namespace trued::api {

/// What a reader showed: an answer, or why there is none.
struct Looked {
  io::HttpResponse response = {};
  std::optional<Problem> refused = {};
};
/// Reads one answer, of one snapshot (LedgerReader::seen()). May be called again on another reader.
using Look = std::function<Result<Looked>(LedgerReader&)>;

// Those that the caller may see; he outlives the look.
[[nodiscard]] Look look_at_operation(OperationId id, const Caller& caller, std::string durability);
[[nodiscard]] Look look_at_list(ListQuery query, const Caller& caller, std::string durability);
[[nodiscard]] Look look_at_events(OperationId id, const Caller& caller);

/// What a list is asked for; on failure `problem` says what is wrong with it.
[[nodiscard]] bool read_list_query(const io::HttpRequest& request, const Caller& caller,
                                   ListQuery& query, Problem& problem);

[[nodiscard]] Problem no_such_operation(const std::string& id);

struct Call;
/// Answers from a replica, once one has what is asked for; goes on with `otherwise` if none has it
/// within `patience`, or none can be read from. Never blocks.
void read_at_replicas(ReplicaReads& replicas, const Consistency& asked, Duration patience,
                      Look look, Call call, std::move_only_function<void(Call)> otherwise);

}  // namespace trued::api
