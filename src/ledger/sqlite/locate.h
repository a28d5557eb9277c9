// locate.h: one name for a ledger, whatever it is called by. Private.
//
// The lock, the write-ahead log and the copies of a ledger lie beside its file, under its name. Who
// came to the file by another name would find none of them: two owners, or a reader without the
// log.
#pragma once

#include <string>

#include "base/result.h"

namespace trued::sqlite {

/// The path of the file that `path` leads to, free of symbolic links; that of a file yet to be
/// created if there is none. What cannot be resolved is given back as it is: opening it says why.
/// `invalid_argument`: it is no file. `unavailable`: it has several names (hard links), and no
/// telling which of them another process uses. Never opens the file: closing it would take away the
/// locks that this process holds on it (POSIX).
[[nodiscard]] Result<std::string> locate(const std::string& path);

}  // namespace trued::sqlite
