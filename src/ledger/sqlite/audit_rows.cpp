// Rows, intents and tombstones against the log.
#include <vector>

#include "ledger/sqlite/audit_walk.h"
#include "ledger/sqlite/rows.h"

namespace trued::sqlite {

// The operation as the records give it that lead back from `last`; a finding and nothing if they do
// not make one.
Result<std::optional<Operation>> AuditWalk::refold(std::uint64_t no, std::uint64_t last,
                                                   const std::string& where) {
  std::vector<std::uint64_t> sequences;
  TRUED_TRY(Statement back,
            connection_.prepare("SELECT previous, operation FROM record WHERE sequence=?1"));
  for (std::uint64_t sequence = last; sequence != 0;) {
    const Scope scope(back);
    const std::string record = "its record " + std::to_string(sequence);
    if (back.bind(1, sequence).step() != SQLITE_ROW) {
      find("event", where, record + " is missing");
      return std::optional<Operation>();
    }
    if (back.unsigned_integer(1) != no) {
      find("event", where, record + " belongs to another operation");
      return std::optional<Operation>();
    }
    sequences.push_back(sequence);
    const std::uint64_t previous = back.unsigned_integer(0);
    if (previous >= sequence) {
      find("event", where, "its records do not lead back to its beginning");
      return std::optional<Operation>();
    }
    sequence = previous;
  }
  linked_texts_ += sequences.size();
  TRUED_TRY(Statement read,
            connection_.prepare("SELECT at, body, sequence FROM record WHERE sequence=?1"));
  std::optional<Operation> folded;
  for (auto at = sequences.rbegin(); at != sequences.rend(); ++at) {
    const Scope scope(read);
    if (read.bind(1, *at).step() != SQLITE_ROW || read.is_null(1)) {
      find("event", where, "its record " + std::to_string(*at) + " has lost its text");
      return std::optional<Operation>();
    }
    if (!fold_record(folded, read, where)) return std::optional<Operation>();
  }
  return folded;
}

bool AuditWalk::fold_record(std::optional<Operation>& folded, Statement& record,
                            const std::string& where) {
  const auto events = decode_events(record.bytes(1));
  if (!events.has_value()) {
    find("event", where, events.error().message);
    return false;
  }
  for (const Event& event : *events) {
    if (!folded) {
      const auto* accepted = std::get_if<Accepted>(&event);
      const auto id = decode_accepted_id(record.bytes(1));
      if (accepted == nullptr || !id.has_value()) {
        find("event", where, "its first event is not its acceptance");
        return false;
      }
      folded = begin(*id, *accepted, record.moment(0));
      continue;
    }
    if (const auto why = contradiction(*folded, event)) {
      find("event", where,
           "its record " + std::to_string(record.integer(2)) + " holds an event (" +
               std::string(name_of(event)) + ") that cannot follow: " + std::string(*why));
      return false;
    }
    evolve(*folded, event, record.moment(0));
  }
  return true;
}

namespace {

// Byte for byte, in whichever form it was written.
bool same_body(Statement& row, const Operation& folded, const std::string& text) {
  const bool packed = row.bytes(7) == encode_row(folded);
  return packed || row.bytes(7) == text;
}

}  // namespace

void AuditWalk::compare(const Operation& stored, const Operation& folded, Statement& row) {
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
  const std::string expected = text_of_row(folded);
  if (!same_body(row, folded, expected)) return differ("body", expected, text_of_row(stored));
  if (identity_blob(folded.identity) != row.bytes(10)) {
    return differ("identity", "the digest of its key", "another");
  }
  const auto expiry = expiry_of(folded);
  const bool same = expiry ? !row.is_null(11) && row.moment(11) == *expiry : row.is_null(11);
  if (!same) differ("expires_at", expiry ? format_rfc3339(*expiry) : "none", "another");
}

Result<void> AuditWalk::check_intent(const Operation& operation, std::uint64_t no) {
  TRUED_TRY(Statement intent, connection_.prepare("SELECT body FROM intent WHERE no=?1"));
  if (intent.bind(1, no).step() != SQLITE_ROW) {
    find("intent", to_string(operation.id), "it is missing");
    return {};
  }
  ++report_.intents;
  if (fingerprint_of(intent.bytes(0), operation.identity.type) != operation.fingerprint) {
    find("intent", to_string(operation.id),
         "it does not have the fingerprint that was accepted: it was changed");
  }
  return {};
}

Result<void> AuditWalk::check_row(Statement& row) {
  auto stored = read_operation(row);
  const std::uint64_t no = row.unsigned_integer(kColumnNo);
  if (!stored.has_value()) {
    find("row", "operation number " + std::to_string(no), stored.error().message);
    return {};
  }
  const std::string where = to_string(stored->id);
  TRUED_TRY(const auto folded, refold(no, row.unsigned_integer(kColumnLast), where));
  if (report_.first) return {};
  if (!folded) {
    find("row", where, "it has no events");
    return {};
  }
  compare(*stored, *folded, row);
  if (!report_.first) TRUED_TRY_VOID(check_intent(*stored, no));
  return {};
}

Result<void> AuditWalk::check_rows() {
  TRUED_TRY(Statement rows,
            connection_.prepare("SELECT " + std::string(kColumns) +
                                ", identity, expires_at FROM operation ORDER BY no"));
  int code = SQLITE_ROW;
  while (!report_.first && (code = rows.step()) == SQLITE_ROW) {
    TRUED_TRY_VOID(check_row(rows));
    ++report_.operations;
    advance();
  }
  if (!report_.first && code != SQLITE_DONE) return connection_.failure("cannot read the rows");
  return {};
}

// What the log holds and no row stands for: a row that was removed, or set back to an earlier state
// together with its way into the log.
Result<void> AuditWalk::check_strays() {
  if (linked_texts_ != event_texts_) {
    TRUED_TRY(Statement stray,
              connection_.prepare(
                  "SELECT r.sequence, r.operation, o.id FROM record r LEFT JOIN operation o ON "
                  "o.no = r.operation WHERE r.body IS NOT NULL AND r.operation > 0 AND "
                  "substr(r.body, 1, ?1) <> ?2 AND (o.no IS NULL OR r.sequence > o.last) LIMIT 1"));
    stray.bind(1, std::uint64_t{kMarkPrefix.size()}).bind_text(2, kMarkPrefix);
    if (stray.step() != SQLITE_ROW) {
      find("row", "the rows",
           "they lead to " + std::to_string(linked_texts_) + " records, the log has " +
               std::to_string(event_texts_));
      return {};
    }
    const auto id = id_from(stray.bytes(2));
    find("row", id ? to_string(*id) : "operation number " + std::to_string(stray.integer(1)),
         "the log has its record " + std::to_string(stray.integer(0)) +
             (id ? ", its row does not know of it" : ", its row is gone"));
    return {};
  }
  TRUED_TRY(Statement intent,
            connection_.prepare("SELECT no FROM intent WHERE no NOT IN (SELECT no FROM operation) "
                                "LIMIT 1"));
  if (intent.step() == SQLITE_ROW) {
    find("intent", "operation number " + std::to_string(intent.integer(0)),
         "it belongs to no operation");
  }
  return {};
}

// A mark that is still in the log must say what the tombstone says.
Result<void> AuditWalk::check_grave(const Grave& grave, Statement& mark) {
  const Scope scope(mark);
  const std::string where = to_string(grave.tombstone.id);
  const int code = mark.bind(1, grave.record).bind(2, grave.operation).step();
  if (code != SQLITE_ROW) {
    find("tombstone", where, "the log has no record of its retirement");
    return {};
  }
  --marks_;
  // Until the third schema some say no more than that an operation was retired.
  const std::string expected = grave.mark();
  const bool bare = version_ < 3 && mark.bytes(0) == kBareMark;
  if (mark.bytes(0) != expected && !bare) {
    find("tombstone", where, "the log gives " + mark.text(0) + ", the tombstone " + expected);
  }
  return {};
}

Result<void> AuditWalk::check_tombstones() {
  TRUED_TRY(Statement mark,
            connection_.prepare("SELECT body FROM record WHERE sequence=?1 AND operation=?2 AND "
                                "body IS NOT NULL"));
  TRUED_TRY(Statement graves, connection_.prepare(std::string(kGraves) + " ORDER BY record"));
  Digest dropped{};
  int code = SQLITE_ROW;
  while (!report_.first && (code = graves.step()) == SQLITE_ROW) {
    ++report_.tombstones;
    const auto grave = read_grave(graves);
    if (!grave.has_value()) {
      find("tombstone", "operation number " + std::to_string(graves.integer(5)),
           grave.error().message);
    } else if (grave->record < base_.sequence) {
      dropped = bury_in(*grave, dropped, version_);
    } else {
      TRUED_TRY_VOID(check_grave(*grave, mark));
    }
  }
  if (report_.first) return {};
  if (code != SQLITE_DONE) return connection_.failure("cannot read the tombstones");
  // The first schema kept no hash over them.
  if (version_ > 1 && dropped != base_.tombs) {
    find("tombstone", "the tombstones older than the log",
         "one was changed, added or removed: the log has another hash over them");
  } else if (marks_ != 0) {
    find("tombstone", "the tombstones",
         "the log retires " + std::to_string(marks_) + " operations that have none");
  }
  if (report_.first) return {};
  TRUED_TRY(Statement reduced,
            connection_.prepare("SELECT sequence, operation FROM record WHERE body IS NULL AND "
                                "operation NOT IN (SELECT operation FROM tombstone) LIMIT 1"));
  if (reduced.step() == SQLITE_ROW) {
    find("event", "record " + std::to_string(reduced.integer(0)),
         "it has lost its text, and its operation was never retired");
  }
  return {};
}

}  // namespace trued::sqlite
