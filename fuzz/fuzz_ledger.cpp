// Whatever a ledger holds is read or refused; what is read is written as it was read, and folds or
// is contradicted, without an assertion.
#include <optional>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "json/parse.h"
#include "ledger/codec.h"

namespace {

using namespace trued;  // NOLINT: this file is nothing but their caller

// What retention leaves of it begins as such records do, and is JSON.
void retire(const Operation& row, std::string_view text) {
  const Digest digest = record_digest(1, 2, row.updated_at, text);
  const Tombstone tombstone{.id = row.id,
                            .fingerprint = row.fingerprint,
                            .state = row.state,
                            .settled_at = row.updated_at,
                            .retired_at = row.deadline};
  const std::string mark = encode_mark(tombstone, text.substr(0, 16));
  TRUED_ASSERT(mark.starts_with(kMarkPrefix) && json::parse(mark, {.exact = false}).has_value());
  BatchHash batch(digest, 1, row.updated_at);
  batch.add(record_digest(3, 4, row.updated_at, mark));
  const LogBase base{.batch = 1,
                     .sequence = row.events,
                     .hash = batch.finish(),
                     .tombs = bury(digest, sha256(mark))};
  const std::string begun = encode_base(base);
  TRUED_ASSERT(begun.starts_with(kBasePrefix) && json::parse(begun).has_value());
}

void hold(const Operation& row, std::string_view text) {
  // Numbers beyond 2^53 are in no JSON that we read.
  const std::string shown = text_of_row(row);
  Operation again;
  if (decode_row(shown, again).has_value()) TRUED_ASSERT(text_of_row(again) == shown);
  const std::string packed = encode_row(row);
  Operation read;
  TRUED_ASSERT(decode_row(packed, read).has_value() && encode_row(read) == packed);
  retire(row, text);
}

void fold(const std::vector<Event>& events, const OperationId& id) {
  std::optional<Operation> operation;
  for (const Event& event : events) {
    if (!operation) {
      const auto* accepted = std::get_if<Accepted>(&event);
      if (accepted == nullptr) return;
      operation = begin(id, *accepted, WallTime{});
      continue;
    }
    if (contradiction(*operation, event)) return;
    evolve(*operation, event, WallTime{});
  }
  if (!operation) return;
  const std::string row = encode_row(*operation);
  Operation read;
  TRUED_ASSERT(decode_row(row, read).has_value());
  read.id = operation->id;
  read.identity = operation->identity;
  read.state = operation->state;
  read.target = operation->target;
  read.created_at = operation->created_at;
  TRUED_ASSERT(encode_row(read) == row);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Operation row;
  if (decode_row(text, row).has_value()) hold(row, text);
  const auto events = decode_events(text);
  const auto id = decode_accepted_id(text);
  if (!events.has_value()) return 0;
  const OperationId owner = id.has_value() ? *id : OperationId{};
  const std::string once = encode_events(owner, *events);
  const auto again = decode_events(once);
  TRUED_ASSERT(again.has_value());
  TRUED_ASSERT(encode_events(owner, *again) == once);
  fold(*events, owner);
  return 0;
}
