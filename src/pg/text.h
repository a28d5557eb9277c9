// text.h: small things done to texts before they go to PostgreSQL or come from it. Pure.
#pragma once

#include <string>
#include <string_view>

#include "pg/parameter.h"

namespace trued::pg {

/// Every `what` in `text` replaced by `with`; `text` itself if `what` is empty.
[[nodiscard]] std::string replaced(std::string text, std::string_view what, std::string_view with);

/// "name" with quotes doubled: an identifier, whatever is in it. REQUIRES: no zero byte.
[[nodiscard]] std::string quoted_identifier(std::string_view name);
/// 'text' with quotes doubled, for where no parameter can stand (SET). REQUIRES: no zero byte, and
/// standard_conforming_strings = on.
[[nodiscard]] std::string quoted_literal(std::string_view text);

/// `message` with the values of text parameters replaced by $1, $2, …: PostgreSQL quotes what it
/// could not convert, and that may be anybody's card number.
[[nodiscard]] std::string without_parameters(std::string message, const Parameters& parameters);

}  // namespace trued::pg
