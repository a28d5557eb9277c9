// openapi.h: docs/openapi.yaml, as it was when this was built.
#pragma once

#include <string_view>

namespace trued::api {

extern const std::string_view kOpenApi;

}  // namespace trued::api
