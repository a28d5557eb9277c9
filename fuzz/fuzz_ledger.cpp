// Whatever a ledger holds is read or refused; what is read is written as it was read, and folds or
// is contradicted, without an assertion.
#include <optional>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "ledger/codec.h"

namespace {

void fold(const std::vector<trued::Event>& events, const trued::OperationId& id) {
  std::optional<trued::Operation> operation;
  for (const trued::Event& event : events) {
    if (!operation) {
      const auto* accepted = std::get_if<trued::Accepted>(&event);
      if (accepted == nullptr) return;
      operation = trued::begin(id, *accepted, trued::WallTime{});
      continue;
    }
    if (trued::contradiction(*operation, event)) return;
    trued::evolve(*operation, event, trued::WallTime{});
  }
  if (!operation) return;
  const std::string row = trued::encode_row(*operation);
  trued::Operation read;
  TRUED_ASSERT(trued::decode_row(row, read).has_value());
  read.id = operation->id;
  read.identity = operation->identity;
  read.state = operation->state;
  read.target = operation->target;
  read.created_at = operation->created_at;
  TRUED_ASSERT(trued::encode_row(read) == row);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  trued::Operation row;
  if (trued::decode_row(text, row).has_value()) (void)trued::encode_row(row);
  const auto events = trued::decode_events(text);
  if (!events.has_value()) return 0;
  const auto id = trued::decode_accepted_id(text);
  const trued::OperationId owner = id.has_value() ? *id : trued::OperationId{};
  const std::string once = trued::encode_events(owner, *events);
  const auto again = trued::decode_events(once);
  TRUED_ASSERT(again.has_value());
  TRUED_ASSERT(trued::encode_events(owner, *again) == once);
  fold(*events, owner);
  return 0;
}
