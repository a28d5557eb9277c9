// http.h: the settings of targets that are reached over HTTP. Private to src/config.
#pragma once

#include <vector>

#include "config/table.h"
#include "target/spec.h"

namespace trued::config {

/// The table `headers`: plain texts, or secrets (${env:…}, ${file:…}).
void read_headers(Table& parent, Faults& faults, std::vector<HttpHeader>& headers);

/// The settings of kind "http".
void read_http(Table& table, Faults& faults, HttpSpec& spec);

}  // namespace trued::config
