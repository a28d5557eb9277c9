// receipts.h: operations and their events as the API shows them. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/identity.h"
#include "json/writer.h"
#include "ledger/ledger.h"

namespace trued::api {

/// Writes the receipt as one object. `decision` is what submit decided; nothing for a plain read.
void write_receipt(json::Writer& out, const Operation& operation,
                   std::optional<SubmitDecision> decision, std::string_view durability);
[[nodiscard]] std::string receipt(const Operation& operation,
                                  std::optional<SubmitDecision> decision,
                                  std::string_view durability);

void write_event(json::Writer& out, const EventRecord& record);

}  // namespace trued::api
