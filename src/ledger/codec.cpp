#include "ledger/codec.h"

#include <array>
#include <utility>

#include "base/assert.h"
#include "base/encoding.h"
#include "json/value.h"
#include "ledger/fields.h"
#include "ledger/packed_shapes.h"

namespace trued {
namespace {

using codec::put;

// The three kinds of records are told apart by how they begin.
static_assert(kMarkPrefix != kBasePrefix && kBareMark.starts_with(kMarkPrefix));
static_assert(kMarkPrefix.front() != codec::kPackedForm);

Error corrupt(std::string_view what) {
  return {.code = ErrorCode::corrupt,
          .message = "the ledger holds a record that cannot be read: " + std::string(what)};
}

bool is_packed(std::string_view record) {
  return !record.empty() && static_cast<std::uint8_t>(record.front()) == codec::kPackedForm;
}

// The alternative of that number, as its default.
template <std::size_t... Is>
std::optional<Event> event_of(std::uint8_t number, std::index_sequence<Is...>) {
  std::optional<Event> event;
  (void)((number == Is ? (event.emplace(std::in_place_index<Is>), true) : false) || ...);
  return event;
}

// One event; `id` is only filled in by an acceptance. Nothing for what is none.
std::optional<Event> unpack_event(codec::Unpack& in, std::optional<OperationId>& id) {
  constexpr std::make_index_sequence<std::variant_size_v<Event>> kAll;
  auto event = event_of(in.byte(), kAll);
  if (!event) return std::nullopt;
  if (std::holds_alternative<Accepted>(*event)) in(id.emplace());
  std::visit([&](auto& alternative) { in(alternative); }, *event);
  if (!in.ok()) return std::nullopt;
  return event;
}

std::string big_endian(std::uint64_t number) {
  std::string bytes(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) {
    bytes[i] = static_cast<char>(number >> (56 - 8 * i) & 0xff);
  }
  return bytes;
}

std::string big_endian(WallTime at) {
  return big_endian(static_cast<std::uint64_t>(at.time_since_epoch().count()));
}

std::string_view as_text(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size()};
}

}  // namespace

std::string encode_events(const OperationId& id, const std::vector<Event>& events) {
  static_assert(std::variant_size_v<Event> <= 0xff);  // its number is one byte
  std::string record;
  record.reserve(256);
  codec::Pack out(record);
  out.byte(codec::kPackedForm);
  for (const Event& event : events) {
    TRUED_ASSERT(!event.valueless_by_exception());
    out.byte(static_cast<std::uint8_t>(event.index()));
    if (std::holds_alternative<Accepted>(event)) out(id);
    std::visit([&](const auto& alternative) { out(alternative); }, event);
  }
  TRUED_ASSERT(is_packed(record));
  return record;
}

Result<std::vector<Event>> decode_events(std::string_view record) {
  if (!is_packed(record)) return codec::decode_text_events(record);
  codec::Unpack in(record.substr(1));
  std::vector<Event> events;
  std::optional<OperationId> id;
  while (!in.at_end()) {
    auto event = unpack_event(in, id);
    if (!event) return corrupt("its event " + std::to_string(events.size() + 1) + " is malformed");
    events.push_back(std::move(*event));
  }
  return events;
}

Result<OperationId> decode_accepted_id(std::string_view record) {
  if (!is_packed(record)) return codec::decode_text_id(record);
  codec::Unpack in(record.substr(1));
  std::optional<OperationId> id;
  if (!unpack_event(in, id) || !id) return corrupt("it does not begin with an acceptance");
  return *id;
}

std::string encode_row(const Operation& operation) {
  std::string row;
  row.reserve(512);
  codec::Pack out(row);
  out.byte(codec::kPackedForm);
  out(operation);
  TRUED_ASSERT(is_packed(row));
  return row;
}

Result<void> decode_row(std::string_view row, Operation& operation) {
  if (!is_packed(row)) return codec::decode_text_row(row, operation);
  codec::Unpack in(row.substr(1));
  in(operation);
  if (in.ok() && in.at_end()) return {};
  return Error{.code = ErrorCode::corrupt,
               .message = "the ledger holds a row that cannot be read: it is malformed"};
}

std::string encode_mark(const Tombstone& tombstone, std::string_view identity) {
  std::string text;
  json::Writer out(text);
  out.begin_array().begin_object().member("e", "retired");
  out.member("id", std::string_view(to_string(tombstone.id)));
  out.member("identity", std::string_view(base64_encode(identity)));
  put(out, "fp", tombstone.fingerprint.value());
  out.member("state", to_string(tombstone.state));
  put(out, "settled", tombstone.settled_at);
  put(out, "at", tombstone.retired_at);
  out.end_object().end_array();
  TRUED_ASSERT(text.starts_with(kMarkPrefix) && text != kBareMark);
  return text;
}

std::string encode_base(const LogBase& base) {
  std::string text;
  json::Writer out(text);
  out.begin_array().begin_object().member("e", "base");
  out.member("batch", base.batch).member("sequence", base.sequence);
  put(out, "hash", base.hash);
  put(out, "tombs", base.tombs);
  out.end_object().end_array();
  TRUED_ASSERT(text.starts_with(kBasePrefix));
  return text;
}

Digest bury(const Digest& tombs, const Digest& mark) { return bury_text(tombs, as_text(mark)); }

Digest bury_text(const Digest& tombs, std::string_view mark) {
  Sha256 hash;
  hash.update(as_text(tombs));
  hash.update(mark);
  return hash.finish();
}

Digest record_digest(std::uint64_t sequence, std::uint64_t operation, WallTime at,
                     std::string_view record) {
  std::string head = big_endian(sequence);
  head += big_endian(operation);
  head += big_endian(at);
  TRUED_ASSERT(head.size() == 24);  // so that no record reads as the end of its own head
  if (record.size() < 4'096) {
    head += record;
    return sha256(head);
  }
  Sha256 hash;
  hash.update(head);
  hash.update(record);
  return hash.finish();
}

BatchHash::BatchHash(const Digest& previous, std::uint64_t batch, WallTime at) {
  hash_.update(as_text(previous));
  hash_.update(big_endian(batch));
  hash_.update(big_endian(at));
}

void BatchHash::add(const Digest& record) { hash_.update(as_text(record)); }

Digest BatchHash::finish() { return hash_.finish(); }

Fingerprint fingerprint_of(std::string_view canonical_input, std::string_view type) {
  // Members in RFC 8785 order: "input" sorts before "type".
  std::string request = "{\"input\":";
  request += canonical_input;
  request += ",\"type\":";
  json::write_string(type, request);
  request += '}';
  return Fingerprint(sha256(request));
}

}  // namespace trued
