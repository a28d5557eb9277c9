// reader.h: snapshot reads for the ledger's own process. Private.
#pragma once

#include <memory>
#include <string>

#include "ledger/ledger.h"

namespace trued::sqlite {

/// As open_sqlite_reader(), of the file at exactly that path: whoever owns it goes on reading when
/// somebody gives it a second name.
[[nodiscard]] Result<std::unique_ptr<LedgerReader>> open_reader(const std::string& path);

}  // namespace trued::sqlite
