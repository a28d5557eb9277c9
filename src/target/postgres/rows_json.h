// rows_json.h: rows of PostgreSQL as JSON, the same for effects and reads. Pure.
//
//   boolean                       true, false
//   smallint, integer, bigint     a number up to 2^53, beyond it a text
//   real, double precision        a number; NaN and infinities are texts
//   numeric                       a number if a double holds exactly that value, else a text
//   json, jsonb                   what it is; a text where our strict parser refuses it
//   timestamp, timestamptz        RFC 3339, the latter in UTC ("2026-11-21T11:00:00+00:00")
//   everything else               the text that PostgreSQL writes; to_jsonb(…) in the sql gives
//   more
#pragma once

#include <cstddef>
#include <string>

#include "base/result.h"
#include "json/value.h"
#include "pg/session.h"

namespace trued {

/// One object for each row. `invalid_argument` if two columns have one name.
[[nodiscard]] Result<json::Value::Array> rows_to_json(const pg::Rows& rows);

/// What an effect was answered with: {"count": touched or returned, "row": the first,
/// "rows": […]}, rows as far as all of it stays within `bytes_max` ("truncated": true otherwise).
[[nodiscard]] std::string effect_result(std::uint64_t count, bool truncated,
                                        json::Value::Array rows, std::size_t bytes_max);

}  // namespace trued
