// check.h: definitions against the targets they name and against each other, as a whole.
//
// What `trued check`, `trued serve` and `trued apply` keep to, so that none passes what another
// refuses. Pure but for what a target looks up to check a call (it sends nothing).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "define/definition.h"
#include "target/target.h"

namespace trued::define {

using Definitions = std::map<std::string, std::shared_ptr<const Definition>, std::less<>>;

/// For how long a target remembers an identity that it deduplicates by; nothing if it does not say,
/// which no time at all means as well.
using Remembers = std::function<std::optional<Duration>(const std::string& target)>;

struct Surroundings {
  const Targets& targets;
  const Definitions& definitions;  ///< all of them, this one included
  Remembers remembers = {};        ///< may be null
};

/// What is wrong with `definition` in its surroundings; pointers lead into its tree.
[[nodiscard]] Faults check_definition(const Definition& definition, const Surroundings& around);

/// What the targets have against a submission that is sound in itself: names that a store cannot
/// hold, artifacts that exclude each other, calls that came to be malformed when they were filled
/// in. Ask before anything is accepted.
[[nodiscard]] std::vector<Objection> check_intended(const Definition& definition,
                                                    const Intended& intended,
                                                    const Targets& targets);

/// How operations of it are carried out: the target's bounds under the definition's own, and what
/// the two together can prove. REQUIRES: the target of the effect is there.
[[nodiscard]] Policy policy_of(const Definition& definition, const Targets& targets);

/// How values are written into an effect's call: a worker makes of its payload what it likes, and
/// gets it as it was submitted.
[[nodiscard]] EncodingAt effect_encoding(const CallTarget& target);

/// All attempts must end before the other side forgets the key: empty when they do, else the sum
/// that does not fit.
[[nodiscard]] std::string check_remembers(const Policy& policy, Duration remembers);

}  // namespace trued::define
