// http_call.h: a call of kind "http" as JSON, read and checked.
//
//   effect  { method, path | url, query, headers, json | body | form, answers, idempotency_header }
//   read    { method, path | url, query, headers, json, absent_on }
//
// `path` is below the target's base_url and may hold a query; `url` is a whole URL that lies there.
// The same rules hold for a template and for a call that is filled in. A template is looked at as
// if each "${…}" in it were a plain word; a text that is nothing but one may become any value.
//
// What a value that was filled in could do harm with is a fault: a line end or another control
// character in a header or path, an empty segment or one of dots, however often it is escaped, a
// blank or a character that is not ASCII in a path, a URL that leads elsewhere.
//
// Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "io/http_types.h"
#include "io/http_url.h"
#include "json/value.h"
#include "target/call.h"
#include "target/http/http_answers.h"

namespace trued {

struct HttpCall {
  std::string method;
  std::string url;  ///< whole
  std::vector<io::Header> headers;
  std::string body;
  std::optional<std::string> idempotency_header;
  HttpAnswers answers;
  std::vector<int> absent_on;
};

enum class CallUse : std::uint8_t { effect, read };
enum class CallForm : std::uint8_t { as_template, filled_in };

struct ReadCall {
  HttpCall call;                  ///< of use only without a fault
  std::vector<CallFault> faults;  ///< in the order of the members
};

/// `base` is the target's base_url.
[[nodiscard]] ReadCall read_http_call(const json::Value& request, CallUse use, CallForm form,
                                      const io::Url& base);

/// Why a header of that name is not a caller's to set; empty when it is.
[[nodiscard]] std::string wrong_with_header_name(const std::string& name);

}  // namespace trued
