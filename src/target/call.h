// call.h: targets whose effects are calls: an HTTP request, statements in one transaction, a
// command.
//
// A call is a JSON object whose members the kind of the target defines. Whoever defines an
// operation writes it as a template ("${input.amount}"); it reaches a target filled in. What is
// read back of such a target is a call as well.
//
// Contract (one conformance suite for all, target/call_conformance.h)
//   (1) perform() tells the truth about what it knows: `acknowledged` only if the target said yes;
//       `rejected_*` only if it is certain that nothing happened; `not_sent` only if nothing left
//       us; everything else is `unknown`.
//   (2) perform() sends at most once: nothing below it (library, pool, proxy of ours) repeats it.
//   (3) perform() carries `CallContext::identity` to the other side where that is possible.
//   (4) read() and probe() change nothing there, answer from the authoritative side, and may be
//       repeated. Absence is `absent`, never `unreadable`; what could not be asked is unreadable.
//   (5) Calls block up to the given timeout and may run on any thread, several at once.
//   (6) No exception leaves a target.
//   (7) A target that hands over keeps (1) to (3) through whoever takes the call: it is told the
//       identity and the number of the attempt.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/ids.h"
#include "core/operation.h"
#include "json/value.h"
#include "target/target.h"

namespace trued {

/// Who calls, and for which operation.
struct CallContext {
  OperationId operation;
  AttemptNo attempt{1};
  /// The operation's identity for the other side: the same for every attempt of one (scope, type,
  /// key), also if the ledger was lost. 1 to 255 visible ASCII characters.
  std::string identity;
  std::string actor;
  std::string traceparent;  ///< W3C Trace Context; empty for none
  Duration timeout{30'000};
};

struct Call {
  CallContext context;
  json::Value request;  ///< an object
};

/// What is wrong with a call, and where in it ("/headers/Accept").
struct CallFault {
  std::string pointer;
  std::string detail;
};

/// What a target itself records of an operation; `maybe` is: it cannot be told.
struct Probed {
  Happened happened = Happened::maybe;
  std::string version;  ///< of what was found; may be empty
  std::string result;   ///< JSON text, as perform() would have reported it; may be empty
  std::string detail;   ///< maybe: why it cannot be told
};

class CallTarget {
 public:
  virtual ~CallTarget() = default;
  [[nodiscard]] virtual Capabilities capabilities() const = 0;
  /// `ended.result` is JSON text: what the target answered, at most 64 KiB of it.
  [[nodiscard]] virtual EffectResult perform(const Call& call) = 0;
  /// One artifact, as `call` reads it.
  [[nodiscard]] virtual RawRead read(const Call& call) = 0;
  /// "Did it happen?", asked of what the target keeps about operations by itself (a marker row).
  /// `maybe` where it keeps nothing. `no` is only said if it can no longer happen by itself.
  [[nodiscard]] virtual Probed probe(const CallContext& context) = 0;
  /// True if perform() sends nothing and hands the call over, for a worker to carry out
  /// (EffectResult::handed_over): its attempts begin when a worker asks for one.
  [[nodiscard]] virtual bool hands_over() const { return false; }
  /// What is wrong with a call as a template: a text that holds "${" may become any text. Empty
  /// when nothing is.
  [[nodiscard]] virtual std::vector<CallFault> check_effect(const json::Value& call) const = 0;
  [[nodiscard]] virtual std::vector<CallFault> check_read(const json::Value& call) const = 0;
};

}  // namespace trued
