#include "ledger/codec.h"

#include "base/encoding.h"
#include "ledger/ledger_test_support.h"
#include "ledger/packed_shapes.h"

namespace trued::test {
namespace {

Observation seen(const ContentId& id, Level level = Level::store) {
  Observation read;
  read.artifact = 1;
  read.level = level;
  read.seen = Seen::found;
  read.id = id;
  read.proper_prefix = true;
  read.version = "version 7";
  read.served_by = "replica";
  read.detail = "what differs";
  read.read_at = kStart - Duration{5};
  read.latency = Duration{12};
  return read;
}

// Every event there is, every member off its default.
std::vector<Event> every_event() {
  const ContentId id{sha256("a"), 300};
  const History history{.known = true,
                        .ours_present = true,
                        .reported_present = true,
                        .our_version = "version 7",
                        .result = {},
                        .artifacts = {{true, "someone"}, {false, ""}}};
  return {Accepted{.identity = {"scope", "write", "a key"},
                   .fingerprint = Fingerprint(sha256("b")),
                   .definition = "write@1",
                   .target = "docs",
                   .actor = "someone",
                   .priority = Priority::low,
                   .verify = false,
                   .has_serving = true,
                   .not_before = kStart,
                   .deadline = kStart + Duration{1},
                   .retention = Duration{60'000},
                   .on_failure = OnFailure::poison,
                   .artifacts = {{"one", false, id}, {"gone", true, {}}, {"same", false, id}}},
          AttemptStarted{AttemptNo(3), kStart},
          BaselineRead{{seen(id), seen(id, Level::serving)}},
          EffectEnded{AttemptNo(3), EffectKind::rejected_final, true, "v2", "v1", "{}", "no"},
          ReadBack{AttemptNo(3), {seen({sha256("c"), 0}), seen(id)}, history},
          WaitScheduled{Due::read, kStart + Duration{9}, "later"},
          LieCaught{AttemptNo(3), Tell::unexplained, "detail"},
          Settled{State::needs_action, "why", Tell::truncated, "op_other"},
          PersonActed{PersonAction::cancel, "who", "why", kStart},
          Repeated{"duplicate", 1'000'000},
          LateEvidence{AttemptNo(2), EffectKind::skipped, "late"},
          Recovered{AttemptNo(4'000'000'000)}};
}

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    text += kDigits[static_cast<unsigned char>(byte) >> 4U];
    text += kDigits[static_cast<unsigned char>(byte) & 0xfU];
  }
  return text;
}

Operation settled() {
  std::vector<Event> events;
  Lives lives;
  Operation operation = lives.accept("key", events);
  const ContentId id = operation.artifacts.front().meant.id;
  Observation read = seen(id);
  read.artifact = 0;
  Lives::record(operation, events,
                EffectEnded{AttemptNo(1), EffectKind::acknowledged, true, "v1", "", "", ""});
  Lives::record(operation, events, ReadBack{AttemptNo(1), {read}, {}});
  Lives::record(operation, events, Settled{State::confirmed, "", {}, ""});
  return operation;
}

TEST(Codec, every_event_is_read_as_it_was_written) {
  const std::string record = encode_events(OperationId{}, every_event());
  const auto read = decode_events(record);
  ASSERT_TRUE(read.has_value()) << read.error().message;
  ASSERT_EQ(read->size(), std::variant_size_v<Event>);
  for (std::size_t i = 0; i < read->size(); ++i) EXPECT_EQ(read->at(i).index(), i);
  EXPECT_EQ(encode_events(OperationId{}, *read), record);
  const auto& back = std::get<ReadBack>(read->at(4));
  EXPECT_EQ(back.reads.at(1).id, (ContentId{sha256("a"), 300}));
  EXPECT_EQ(back.reads.at(1).read_at, kStart - Duration{5});
  EXPECT_EQ(back.history.artifacts.at(0).replaced_by, "someone");
  EXPECT_EQ(std::get<Settled>(read->at(7)).tell, Tell::truncated);
}

TEST(Codec, a_record_carries_the_id_that_was_accepted) {
  Uuid uuid;
  uuid.bytes.fill(7);
  const std::string record = encode_events(OperationId(uuid), every_event());
  EXPECT_EQ(decode_accepted_id(record).value(), OperationId(uuid));
  EXPECT_FALSE(decode_accepted_id(encode_events({}, {Recovered{AttemptNo(1)}})).has_value());
}

TEST(Codec, what_was_written_stays_readable_byte_for_byte) {
  EXPECT_EQ(hex(encode_events({}, {AttemptStarted{AttemptNo(2), kStart},
                                   WaitScheduled{Due::attempt, kStart + Duration{3}, "busy"},
                                   Settled{State::failed, "busy", Tell::truncated, "no"}})),
            "01010280c0e285e36805020608627573790708010105046e6f");
}

// Schema 3 wrote this: a history without an answer has no place for one.
TEST(Codec, T11_every_event_is_written_as_the_first_packed_ledgers_wrote_it) {
  EXPECT_EQ(hex(encode_events({}, every_event())),
            "0100000000000000000000000000000000000a73636f70650a77726974650a61206b6579003e23e8160039"
            "594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d0e7772697465403108646f63730e736f6d"
            "656f6e650200010180c0e285e36802c0a9070203066f6e650000ca978112ca1bbdcafac231b39a23dc4da7"
            "86eff8147c4e72b9807785afee48bbac0208676f6e65010873616d650001ac02010301020201000001ac02"
            "011276657273696f6e20370e7265706c69636118776861742064696666657273091801010001ac02010503"
            "01001803030301047632047631047b7d046e6f040302010000002e7d2c03a9507ae265ecf5b5356885a533"
            "93a2029d241394997265a1a25aefc60001050301001801000002ac020105030100180101010502010e736f"
            "6d656f6e65000005041c0a6c617465720603080c64657461696c0709067768790105106f705f6f74686572"
            "08030677686f067768791109126475706c6963617465c0843d0a0206086c6174650b80d0acf30e");
}

TEST(Codec, what_the_history_knows_of_the_answer_is_kept) {
  for (const char* answer : {"", R"({"sent":true})"}) {
    const ReadBack event{
        AttemptNo(1), {}, {.known = true, .our_version = "v", .result = answer, .artifacts = {}}};
    const std::string record = encode_events({}, {event});
    const auto read = decode_events(record);
    ASSERT_TRUE(read.has_value()) << read.error().message;
    EXPECT_EQ(std::get<ReadBack>(read->front()).history.result, answer);
    EXPECT_EQ(encode_events({}, *read), record);
  }
}

// Packed records hold numbers: a name may change its spelling, never its place; new ones come last.
template <class Kind>
std::string in_order(std::string_view (*spelled)(Kind)) {
  std::string names;
  for (std::uint8_t i = 0; i <= std::to_underlying(codec::kLast<Kind>); ++i) {
    names += std::string(spelled(static_cast<Kind>(i))) + ' ';
  }
  return names;
}

template <std::size_t... I>
std::string events_in_order(std::index_sequence<I...>) {
  std::string names;
  ((names += std::string(name_of(Event(std::in_place_index<I>))) + ' '), ...);
  return names;
}

TEST(Codec, T11_the_numbers_on_disk_mean_what_they_meant) {
  EXPECT_EQ(events_in_order(std::make_index_sequence<std::variant_size_v<Event>>()),
            "accepted attempt_started baseline_read effect_ended read_back wait_scheduled "
            "lie_caught settled person_acted repeated late_evidence recovered ");
  EXPECT_EQ(in_order<State>(&to_string),
            "accepted attempting unknown verifying confirmed unchanged acknowledged superseded "
            "failed needs_action compensating compensated canceled ");
  EXPECT_EQ(in_order<Priority>(&to_string), "critical normal low ");
  EXPECT_EQ(in_order<OnFailure>(&to_string), "replay reexecute poison ");
  EXPECT_EQ(in_order<EffectKind>(&to_string),
            "none acknowledged rejected_retryable rejected_final unknown not_sent skipped ");
  EXPECT_EQ(in_order<Due>(&to_string), "none start attempt report read ");
  EXPECT_EQ(in_order<PersonAction>(&to_string), "it_happened it_did_not retry cancel compensate ");
  EXPECT_EQ(in_order<Level>(&to_string), "store serving ");
  EXPECT_EQ(in_order<Seen>(&to_string), "found absent unreadable ");
  EXPECT_EQ(in_order<Verdict>(&to_string), "match mismatch unreadable ");
  EXPECT_EQ(in_order<Tell>(&to_string),
            "swallowed_race self_agreeing_noop empty_write partial_landing clever_dedup truncated "
            "stale_replica overwritten unexplained ");
}

TEST(Codec, a_row_is_read_as_it_was_written_and_says_a_digest_once) {
  const Operation operation = settled();
  const std::string row = encode_row(operation);
  Operation read;
  ASSERT_TRUE(decode_row(row, read).has_value());
  EXPECT_EQ(encode_row(read), row);
  EXPECT_EQ(text_of_row(read), text_of_row(operation));
  const auto& bytes = operation.artifacts.front().meant.id.sha256.bytes;
  const std::string_view digest(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  EXPECT_EQ(row.find(digest), row.rfind(digest));
}

TEST(Codec, a_row_of_the_first_schemas_is_read) {
  const Operation operation = settled();
  Operation read;
  ASSERT_TRUE(decode_row(text_of_row(operation), read).has_value());
  EXPECT_EQ(encode_row(read), encode_row(operation));
}

TEST(Codec, a_record_of_the_first_schemas_is_read) {
  const auto read = decode_events(
      R"([{"e":"attempt_started","n":2,"by":7},{"e":"settled","state":"failed","reason":"no"}])");
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(std::get<AttemptStarted>(read->at(0)).report_by, WallTime(Duration{7}));
  EXPECT_EQ(std::get<Settled>(read->at(1)).reason, "no");
}

TEST(Codec, what_is_cut_short_or_longer_is_refused) {
  const std::string record = encode_events({}, {every_event().front()});
  for (std::size_t size = 2; size < record.size(); ++size) {
    EXPECT_FALSE(decode_events(std::string_view(record).substr(0, size)).has_value()) << size;
  }
  EXPECT_FALSE(decode_events(record + "\xff").has_value());
  const std::string row = encode_row(settled());
  Operation read;
  for (std::size_t size = 0; size < row.size(); ++size) {
    EXPECT_FALSE(decode_row(std::string_view(row).substr(0, size), read).has_value()) << size;
  }
  EXPECT_FALSE(decode_row(row + '\0', read).has_value());
}

TEST(Codec, malformed_values_are_refused) {
  using namespace std::string_literals;
  const std::string malformed[] = {
      "\x02"s,                                           // a form that is none
      "\x01\x0c"s,                                       // an event that is none
      "\x01\x07\x0d\x00\x00\x00"s,                       // a state that is none
      "\x01\x07\x08\x01\x00\x00"s,                       // the same text as none
      "\x01\x07\x08\x09\x00\x00"s,                       // the same text as one too far back
      "\x01\x07\x08\x00\x02\x00"s,                       // neither there nor not there
      "\x01\x02\xff\xff\xff\xff\x0f"s,                   // more reads than there are bytes
      "\x01\x0b\xff\xff\xff\xff\xff\x01"s,               // an attempt of more than 32 bits
      "\x01\x0b" + std::string(10, '\xff'),              // an integer without an end
      "\x01\x01\x01" + std::string(8, '\xff') + "\x7f",  // a time beyond all
  };
  for (const std::string& record : malformed) {
    EXPECT_FALSE(decode_events(record).has_value()) << hex(record);
  }
}

}  // namespace
}  // namespace trued::test
