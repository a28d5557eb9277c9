#include "pg/sql_text.h"

#include <charconv>

#include "base/assert.h"

namespace trued::pg {
namespace {

bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool begins_name(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || byte >= 0x80;
}
bool in_name(char c) { return begins_name(c) || is_digit(c) || c == '$'; }
char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  SqlText scan() {
    while (at_ < text_.size() && out_.fault.empty()) step();
    return std::move(out_);
  }

 private:
  [[nodiscard]] char peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }

  void step() {
    const char c = peek();
    if (is_blank(c)) {
      ++at_;
    } else if (c == '-' && peek(1) == '-') {
      at_ = std::min(text_.find('\n', at_), text_.size());
    } else if (c == '/' && peek(1) == '*') {
      comment();
    } else if (c == ';') {
      in_statement_ = false;
      ++at_;
    } else {
      if (!in_statement_) ++out_.statements;
      in_statement_ = true;
      token(c);
    }
  }

  void token(char c) {
    if (c == '\'') {
      quoted('\'', false, "a quoted text");
    } else if (c == '"') {
      quoted('"', false, "a quoted name");
    } else if (c == '$') {
      dollar();
    } else if (begins_name(c)) {
      word();
    } else if (is_digit(c)) {
      while (in_name(peek())) ++at_;
    } else {
      ++at_;
    }
  }

  void comment() {
    unsigned depth = 0;
    do {
      if (peek() == '/' && peek(1) == '*') {
        ++depth;
        at_ += 2;
      } else if (peek() == '*' && peek(1) == '/') {
        TRUED_ASSERT(depth > 0);  // it began with an opening
        --depth;
        at_ += 2;
      } else if (at_ >= text_.size()) {
        out_.fault = "a comment";
        return;
      } else {
        ++at_;
      }
    } while (depth > 0);
  }

  // A doubled quote is one quote inside; so is what follows a backslash in E''.
  void quoted(char quote, bool backslashes, const char* what) {
    for (++at_; at_ < text_.size(); ++at_) {
      if (backslashes && peek() == '\\') {
        ++at_;
      } else if (peek() == quote) {
        ++at_;
        if (peek() != quote || at_ >= text_.size()) return;
      }
    }
    out_.fault = what;
  }

  // $1 or $tag$ … $tag$.
  void dollar() {
    if (is_digit(peek(1))) {
      unsigned number = 0;
      const char* begin = text_.data() + at_ + 1;
      const auto [end, failure] = std::from_chars(begin, text_.data() + text_.size(), number);
      out_.parameters.insert(failure == std::errc{} ? number : ~0U);
      at_ += static_cast<std::size_t>(end - begin) + 1;
      return;
    }
    std::size_t end = at_ + 1;
    while (end < text_.size() && text_[end] != '$' && in_name(text_[end])) ++end;
    if (end >= text_.size() || text_[end] != '$') {
      ++at_;
      return;
    }
    TRUED_ASSERT(end > at_);
    const std::string_view tag = text_.substr(at_, end - at_ + 1);
    const std::size_t close = text_.find(tag, end + 1);
    if (close == std::string_view::npos) {
      out_.fault = "a dollar-quoted text";
      return;
    }
    at_ = close + tag.size();
  }

  void word() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && in_name(peek())) ++at_;
    const std::string_view name = text_.substr(begin, at_ - begin);
    if (peek() == '\'' && (name == "E" || name == "e")) {
      quoted('\'', true, "a quoted text");
      return;
    }
    if (out_.words.size() >= SqlText::kWordsMax) return;
    TRUED_ASSERT(!name.empty());
    std::string& out = out_.words.emplace_back(name);
    for (char& c : out) c = upper(c);
  }

  std::string_view text_;
  std::size_t at_ = 0;
  bool in_statement_ = false;
  SqlText out_;
};

}  // namespace

SqlText scan_sql(std::string_view text) { return Scanner(text).scan(); }

}  // namespace trued::pg
