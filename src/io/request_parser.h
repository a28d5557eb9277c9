// request_parser.h: Beast's parser of requests, held to what no two readers take differently.
// Private to src/io.
#pragma once

#include <boost/beast/core/error.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

namespace trued::io {

/// Refuses a header line that goes on in the next one (obsolete folding: who stands before us may
/// have read a line of its own there), and drops trailers, which would otherwise stand among the
/// headers although nobody has looked at them as such.
class RequestParser : public boost::beast::http::request_parser<boost::beast::http::string_body> {
 private:
  void on_field_impl(boost::beast::http::field field, boost::beast::string_view name,
                     boost::beast::string_view value, boost::beast::error_code& failure) override {
    if (is_header_done()) return;
    // The value of an unfolded line stands in the input, after the colon and blanks; that of a
    // folded one in a later line, or in a copy without the line break.
    const char* begin = name.data() + name.size() + 1;
    while (*begin == ' ' || *begin == '\t') ++begin;
    if (begin != value.data()) {
      failure = boost::beast::http::error::bad_value;
      return;
    }
    get().insert(field, name, value);
  }
};

}  // namespace trued::io
