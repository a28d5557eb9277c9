#include "core/evidence.h"

namespace trued {

Verdict judge(const ArtifactIntent& meant, const Observation& seen) {
  switch (seen.seen) {
    case Seen::unreadable:
      return Verdict::unreadable;
    case Seen::absent:
      return meant.absent ? Verdict::match : Verdict::mismatch;
    case Seen::found:
      return !meant.absent && seen.id == meant.id ? Verdict::match : Verdict::mismatch;
  }
  return Verdict::unreadable;
}

}  // namespace trued
