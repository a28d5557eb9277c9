// unfinished.h: how the tables of an unfinished copy (ledger/copy.h) say that they are one.
// Private.
//
// `head.oldest` is a version that no program has, so that none uses them, older ones among them.
// The table `copying` says what they are a copy of, and keeps what `oldest` will be.
#pragma once

#include "base/error.h"
#include "ledger/postgres/link.h"

namespace trued::postgres {

inline constexpr int kUnfinishedCopy = 2'147'483'647;

/// For who would serve or audit it.
[[nodiscard]] Error unfinished(Link& link);

/// 'DROP SCHEMA "trued" CASCADE': for people.
[[nodiscard]] std::string dropping(const Site& site);

}  // namespace trued::postgres
