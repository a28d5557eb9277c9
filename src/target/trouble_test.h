// trouble_test.h: what may go wrong at the other side of a call, for the tests of every kind.
#pragma once

#include <cstdint>
#include <utility>

namespace trued {

/// What goes wrong at the other side, for every call until another is arranged.
enum class Trouble : std::uint8_t {
  none,
  unreachable,      ///< nothing can be sent to it
  refused_final,    ///< it says no for good; it executes nothing
  refused_for_now,  ///< it says "not now"; it executes nothing
  lost_before,      ///< it takes the call, executes nothing, and is gone without an answer
  lost_after,       ///< it executes, and is gone without an answer
  hang_before,      ///< it executes nothing and stays silent
  hang_after,       ///< it executes and stays silent
  garbage_after,    ///< it executes and answers what nobody understands
};

inline constexpr std::pair<Trouble, const char*> kTroubles[] = {
    {Trouble::none, "none"},
    {Trouble::unreachable, "unreachable"},
    {Trouble::refused_final, "refused_final"},
    {Trouble::refused_for_now, "refused_for_now"},
    {Trouble::lost_before, "lost_before"},
    {Trouble::lost_after, "lost_after"},
    {Trouble::hang_before, "hang_before"},
    {Trouble::hang_after, "hang_after"},
    {Trouble::garbage_after, "garbage_after"},
};

}  // namespace trued
