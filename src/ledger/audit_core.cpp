#include "ledger/audit_core.h"

#include <utility>
#include <vector>

#include "base/assert.h"
#include "ledger/codec.h"

namespace trued {

Digest bury_in(const Grave& grave, const Digest& tombs, int version) {
  return version < 3 ? bury_text(tombs, grave.mark()) : grave.bury_in(tombs);
}

void AuditCore::find(std::string what, std::string where, std::string detail) {
  if (!report_.first) {
    report_.first = AuditFinding{std::move(what), std::move(where), std::move(detail)};
  }
}

// ---- the log
// -------------------------------------------------------------------------------------

void AuditCore::begin(const LogBase& base) {
  base_ = base;
  previous_ = base.hash;
  expected_ = base.batch + 1;
}

void AuditCore::begin_batch(std::uint64_t no, WallTime at) {
  if (no != expected_) {
    find("chain", "batch " + std::to_string(no),
         "batch " + std::to_string(expected_) + " is missing");
  }
  batch_ = no;
  in_batch_ = 0;
  hash_.emplace(previous_, no, at);
}

void AuditCore::take_text(const LogRecord& record) {
  TRUED_ASSERT(record.body.has_value());
  const std::string_view body = *record.body;
  if (body.starts_with(kMarkPrefix)) {
    // Since the third schema a bare mark has a successor.
    if (version_ < 3 || body != kBareMark) ++marks_;
  } else if (record.operation == 0) {
    base_record_ = body;
  } else {
    ++event_texts_;
  }
}

void AuditCore::add_record(const LogRecord& record) {
  TRUED_ASSERT(hash_.has_value());  // a batch has begun
  ++in_batch_;
  ++report_.events;
  const std::string where = "record " + std::to_string(record.sequence);
  if (record.body) {
    if (record.digest) {
      return find("event", where,
                  "it has a digest beside its text; only a retired record keeps one");
    }
    hash_->add(record_digest(record.sequence, record.operation, record.at, *record.body));
    return take_text(record);
  }
  const auto kept = record.digest ? digest_of(*record.digest) : std::nullopt;
  if (!kept) {
    return find("event", where, "it has neither its text nor the digest of a retired record");
  }
  hash_->add(*kept);
}

void AuditCore::end_batch(std::uint64_t records, const std::optional<Digest>& stored) {
  TRUED_ASSERT(hash_.has_value());
  const Digest computed = hash_->finish();
  hash_.reset();
  if (in_batch_ != records || !stored || *stored != computed) {
    find("chain", "batch " + std::to_string(batch_),
         "expected hash " + computed.hex() + " over " + std::to_string(records) +
             " records, found " + (stored ? stored->hex() : "no hash") + " and " +
             std::to_string(in_batch_) + " records: a record or a hash was changed");
    return;
  }
  previous_ = computed;
  ++expected_;
  ++report_.batches;
}

void AuditCore::end_chain(std::optional<std::uint64_t> stray) {
  report_.head = previous_.hex();
  if (stray) find("event", "record " + std::to_string(*stray), "it belongs to no batch");
}

// The log itself says where it begins; so its beginning cannot be cut off and the row be adapted.
void AuditCore::check_base() {
  // The first schema did not write it into the log.
  if (version_ < 2) return;
  const std::string said = base_ == LogBase{} ? "" : encode_base(base_);
  if (said == base_record_) return;
  find("chain", "base",
       "the log says that it begins with " +
           (base_record_.empty() ? std::string("batch 1") : base_record_) + ", the file with " +
           (said.empty() ? std::string("batch 1") : said));
}

// ---- the rows
// ------------------------------------------------------------------------------------

// The operation as the records give it that lead back from its last; a finding and nothing if they
// do not make one.
Result<std::optional<Operation>> AuditCore::refold(const StoredRow& row, const std::string& where,
                                                   const RecordAt& record_at) {
  std::vector<std::uint64_t> sequences;
  const std::optional<Operation> none;
  for (std::uint64_t sequence = row.last; sequence != 0;) {
    const std::string record = "its record " + std::to_string(sequence);
    TRUED_TRY(const auto back, record_at(sequence));
    if (!back) {
      find("event", where, record + " is missing");
      return none;
    }
    if (back->operation != row.no) {
      find("event", where, record + " belongs to another operation");
      return none;
    }
    sequences.push_back(sequence);
    if (back->previous >= sequence) {
      find("event", where, "its records do not lead back to its beginning");
      return none;
    }
    sequence = back->previous;
  }
  linked_texts_ += sequences.size();
  std::optional<Operation> folded;
  for (auto at = sequences.rbegin(); at != sequences.rend(); ++at) {
    TRUED_TRY(const auto record, record_at(*at));
    if (!record || !record->body) {
      find("event", where, "its record " + std::to_string(*at) + " has lost its text");
      return none;
    }
    if (!fold_record(folded, *record, where)) return none;
  }
  return folded;
}

bool AuditCore::fold_record(std::optional<Operation>& folded, const LogRecord& record,
                            const std::string& where) {
  TRUED_ASSERT(record.body.has_value());
  const auto events = decode_events(*record.body);
  if (!events.has_value()) {
    find("event", where, events.error().message);
    return false;
  }
  for (const Event& event : *events) {
    if (!folded) {
      const auto* accepted = std::get_if<Accepted>(&event);
      const auto id = decode_accepted_id(*record.body);
      if (accepted == nullptr || !id.has_value()) {
        find("event", where, "its first event is not its acceptance");
        return false;
      }
      folded = trued::begin(*id, *accepted, record.at);
      continue;
    }
    if (const auto why = contradiction(*folded, event)) {
      find("event", where,
           "its record " + std::to_string(record.sequence) + " holds an event (" +
               std::string(name_of(event)) + ") that cannot follow: " + std::string(*why));
      return false;
    }
    evolve(*folded, event, record.at);
  }
  return true;
}

void AuditCore::compare(const StoredRow& row, const Operation& folded) {
  TRUED_ASSERT(row.operation.has_value());
  const Operation& stored = *row.operation;
  const std::string where = to_string(stored.id);
  const auto differ = [&](const std::string& column, const std::string& expected,
                          const std::string& found) {
    find("row", where, column + ": its events give " + expected + ", the row says " + found);
  };
  if (folded.id != stored.id) return differ("id", to_string(folded.id), where);
  if (folded.state != stored.state) {
    return differ("state", std::string(to_string(folded.state)),
                  std::string(to_string(stored.state)));
  }
  if (folded.identity != stored.identity)
    return differ("identity", folded.identity.key, stored.identity.key);
  if (folded.target != stored.target) return differ("target", folded.target, stored.target);
  if (folded.created_at != stored.created_at) {
    return differ("created_at", format_rfc3339(folded.created_at),
                  format_rfc3339(stored.created_at));
  }
  // Byte for byte, in whichever form it was written.
  const std::string expected = text_of_row(folded);
  const bool same_body = row.body == encode_row(folded) || row.body == expected;
  if (!same_body) return differ("body", expected, text_of_row(stored));
  if (identity_blob(folded.identity) != row.identity) {
    return differ("identity", "the digest of its key", "another");
  }
  const auto expiry = expiry_of(folded);
  if (expiry != row.expires_at) {
    differ("expires_at", expiry ? format_rfc3339(*expiry) : "none", "another");
  }
}

Result<void> AuditCore::check_row(
    const StoredRow& row, const RecordAt& record_at,
    const std::function<Result<std::optional<std::string>>()>& intent) {
  ++report_.operations;
  if (!row.operation.has_value()) {
    find("row", "operation number " + std::to_string(row.no), row.operation.error().message);
    return {};
  }
  const std::string where = to_string(row.operation->id);
  TRUED_TRY(const auto folded, refold(row, where, record_at));
  if (found()) return {};
  if (!folded) {
    find("row", where, "it has no events");
    return {};
  }
  compare(row, *folded);
  if (found()) return {};
  TRUED_TRY(const auto meant, intent());
  if (!meant) {
    find("intent", where, "it is missing");
    return {};
  }
  ++report_.intents;
  if (fingerprint_of(*meant, folded->identity.type) != folded->fingerprint) {
    find("intent", where, "it does not have the fingerprint that was accepted: it was changed");
  }
  return {};
}

void AuditCore::stray(std::uint64_t record, std::uint64_t operation,
                      const std::optional<OperationId>& row) {
  find("row", row ? to_string(*row) : "operation number " + std::to_string(operation),
       "the log has its record " + std::to_string(record) +
           (row ? ", its row does not know of it" : ", its row is gone"));
}

void AuditCore::no_stray() {
  find("row", "the rows",
       "they lead to " + std::to_string(linked_texts_) + " records, the log has " +
           std::to_string(event_texts_));
}

// ---- the tombstones
// ------------------------------------------------------------------------------

void AuditCore::check_dropped(const Grave& grave) { dropped_ = bury_in(grave, dropped_, version_); }

// A mark that is still in the log must say what the tombstone says.
void AuditCore::check_marked(const Grave& grave, const std::optional<std::string_view>& mark) {
  const std::string where = to_string(grave.tombstone.id);
  if (!mark) return find("tombstone", where, "the log has no record of its retirement");
  --marks_;
  // Until the third schema some say no more than that an operation was retired.
  const std::string expected = grave.mark();
  const bool bare = version_ < 3 && *mark == kBareMark;
  if (*mark != expected && !bare) {
    find("tombstone", where, "the log gives " + std::string(*mark) + ", the tombstone " + expected);
  }
}

void AuditCore::end_tombstones() {
  // The first schema kept no hash over them.
  if (version_ > 1 && dropped_ != base_.tombs) {
    find("tombstone", "the tombstones older than the log",
         "one was changed, added or removed: the log has another hash over them");
  } else if (marks_ != 0) {
    find("tombstone", "the tombstones",
         "the log retires " + std::to_string(marks_) + " operations that have none");
  }
}

}  // namespace trued
