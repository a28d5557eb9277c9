// expectation.h: what a read should find, filled in. Private to src/define. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/evidence.h"
#include "define/definition.h"

namespace trued::define {

/// 64 hexadecimal digits, with or without "sha256:" before them.
[[nodiscard]] std::optional<Digest> parse_digest(std::string_view text);

/// As an artifact without a name, so that whatever is expected anywhere is compared in one way.
[[nodiscard]] Result<ArtifactIntent, RenderFault> expectation(const Expect& expect,
                                                              const Values& values);

/// For people: "nothing there", "{"status":"succeeded"}", "sha256 …".
[[nodiscard]] std::string describe(const ArtifactIntent& meant);

}  // namespace trued::define
