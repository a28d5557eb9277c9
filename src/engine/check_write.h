// check_write.h: what every write is held to before it is accepted, whoever hands it in.
//
// One implementation for the HTTP API and the library. What is already in a ledger was accepted
// and is not held to it again, but for what no target could carry out. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/write_input.h"

namespace trued {

inline constexpr std::size_t kActorBytesMax = 255;
/// Of the canonical input: well below what one record of a ledger holds.
inline constexpr std::size_t kInputBytesMax = std::size_t{512} << 20;

/// Whether line breaks and tabs are part of a text, or as foreign to it as other control
/// characters.
enum class Breaks : std::uint8_t { refused, allowed };

/// True if a terminal or a log could be led astray by the text: it holds a control character (C0,
/// DEL or C1). A carriage return is part of a line break or refused. REQUIRES: valid UTF-8.
[[nodiscard]] bool has_control(std::string_view text, Breaks breaks);

/// False, with what is wrong in `fault`, if there are none or too many. Before they are looked at.
[[nodiscard]] bool check_count(std::size_t artifacts, InputFault& fault);

/// False, with what is wrong in `fault`, if the write cannot be accepted: sizes, texts that people
/// will see, names, a base where there are no versions, artifacts that exclude each other.
/// `target` is null for what a ledger holds.
[[nodiscard]] bool check_intent(const Intent& intent, const Target* target, InputFault& fault);

/// The same of the canonical form of an input, which the ledger keeps.
[[nodiscard]] bool check_input_bytes(std::size_t bytes, InputFault& fault);

/// What is wrong with the name of who writes; empty when nothing is.
[[nodiscard]] std::string wrong_with_actor(std::string_view actor);

}  // namespace trued
