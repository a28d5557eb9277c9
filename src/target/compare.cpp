#include "target/compare.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/digest.h"
#include "base/encoding.h"
#include "json/canonical.h"
#include "json/parse.h"
#include "json/projection.h"

namespace trued {
namespace {

constexpr std::size_t kPathMax = 1024;
constexpr std::size_t kExcerptMax = 120;
constexpr std::size_t kSideMax = 32;  // of each side of a difference
constexpr std::size_t kVersionMax = 256;
constexpr std::size_t kDetailMax = 400;
constexpr std::string_view kEllipsis = "…";

// Bytes of the UTF-8 sequence that starts at `at`, or 0 if there is no well-formed one.
std::size_t sequence_length(std::string_view text, std::size_t at) {
  TRUED_ASSERT(at < text.size());
  const auto lead = static_cast<unsigned char>(text[at]);
  std::size_t length = 1;
  if (lead >= 0xf0) {
    length = 4;
  } else if (lead >= 0xe0) {
    length = 3;
  } else if (lead >= 0xc0) {
    length = 2;
  }
  if (at + length > text.size()) return 0;
  return utf8_valid(text.substr(at, length)) ? length : 0;
}

bool is_control(std::string_view sequence) {
  TRUED_ASSERT(!sequence.empty());
  const auto first = static_cast<unsigned char>(sequence[0]);
  if (sequence.size() == 1) return first < 0x20 || first == 0x7f;
  // U+0080 to U+009F.
  return sequence.size() == 2 && first == 0xc2 && static_cast<unsigned char>(sequence[1]) < 0xa0;
}

std::string escaped(unsigned char byte) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  if (byte == '\n') return "\\n";
  if (byte == '\r') return "\\r";
  if (byte == '\t') return "\\t";
  return {'\\', 'x', kDigits[byte >> 4U], kDigits[byte & 0xfU]};
}

// Without the code points that HFS+ leaves out when it compares names (the list is git's own):
// U+200C to U+200F, U+202A to U+202E, U+206A to U+206F and U+FEFF.
std::string without_ignorable(std::string_view segment) {
  std::string kept;
  while (!segment.empty()) {
    const auto byte = [segment](std::size_t at) {
      return at < segment.size() ? static_cast<unsigned char>(segment[at]) : 0U;
    };
    const unsigned last = byte(2);
    const bool joiner = byte(0) == 0xe2 && byte(1) == 0x80 &&
                        ((last >= 0x8c && last <= 0x8f) || (last >= 0xaa && last <= 0xae));
    const bool shaping = byte(0) == 0xe2 && byte(1) == 0x81 && last >= 0xaa && last <= 0xaf;
    const bool mark = byte(0) == 0xef && byte(1) == 0xbb && last == 0xbf;
    const bool ignorable = joiner || shaping || mark;
    if (!ignorable) kept += segment.front();
    segment.remove_prefix(ignorable ? 3 : 1);
  }
  return kept;
}

// Moves back to the start of the UTF-8 sequence that `at` is inside of, so that it is shown whole.
std::size_t sequence_start(std::string_view text, std::size_t at) {
  std::size_t start = at;
  while (start > 0 && at - start < 3 && start < text.size() &&
         (static_cast<unsigned char>(text[start]) & 0xc0U) == 0x80U) {
    --start;
  }
  TRUED_ASSERT(start <= at && at - start <= 3);
  return start;
}

std::string side(std::string_view content, std::size_t from) {
  return '"' + printable(content.substr(std::min(from, content.size())), kSideMax) + '"';
}

std::string describe_difference(const ArtifactIntent& meant, std::string_view found) {
  if (meant.absent) return "should be absent; begins with " + side(found, 0);
  const std::string_view want = meant.content;
  const auto [a, b] = std::ranges::mismatch(want, found);
  const auto at = static_cast<std::size_t>(a - want.begin());
  if (b == found.end()) {
    return "ends after " + std::to_string(found.size()) + " of " + std::to_string(want.size()) +
           " bytes";
  }
  if (a == want.end()) {
    return "goes on after byte " + std::to_string(want.size()) + " with " + side(found, at);
  }
  const std::size_t from = sequence_start(want, at);
  return "at byte " + std::to_string(at) + ": meant " + side(want, from) + ", found " +
         side(found, from);
}

// A value as it stands in an excerpt; containers only in so far as they are none of the others.
std::string shown(const json::Value* value) {
  if (value == nullptr) return "nothing";
  if (value->is_object()) return "an object";
  if (value->is_array()) return "an array of " + std::to_string(value->items().size());
  return printable(json::canonical(*value), kSideMax);
}

// What is found as the part of it that was meant.
void observe_subset(const ArtifactIntent& meant, const std::string& content, Observation& seen) {
  const auto whole = [&](const std::string& detail) {
    seen.id = {.sha256 = sha256(content), .bytes = content.size()};
    seen.detail = printable(detail, kExcerptMax);
  };
  // Of what nobody meant, nothing is expected, not even that its integers are small.
  auto found = json::parse(content, {.exact = false});
  if (!found.has_value()) return whole("no JSON: " + found.error().message);
  const auto wanted = json::parse(meant.content);
  if (!wanted.has_value()) return whole("what was meant is no JSON: " + wanted.error().message);
  if (const auto difference = json::first_difference(*found, *wanted)) {
    const std::string place = difference->pointer.empty() ? "" : difference->pointer + ": ";
    // The end of a long pointer and both values are what matters.
    const std::string values =
        "meant " + shown(difference->meant) + ", found " + shown(difference->found);
    const std::size_t room = kExcerptMax - std::min(kExcerptMax, values.size());
    seen.detail = printable(place, room) + printable(values, kExcerptMax);
  }
  const std::string part = json::canonical(json::project(std::move(*found), *wanted));
  seen.id = {.sha256 = sha256(part), .bytes = part.size()};
}

bool by_digest_alone(const ArtifactIntent& meant) {
  static const Digest kNothing = sha256("");
  return meant.content.empty() && meant.id.sha256 != kNothing;
}

void observe_bytes(const ArtifactIntent& meant, const std::string& content, Observation& seen) {
  if (!by_digest_alone(meant) && content == meant.content) {
    seen.id = meant.id;  // equal bytes have equal digests: no need to compute it again
    return;
  }
  seen.id = {.sha256 = sha256(content), .bytes = content.size()};
  if (by_digest_alone(meant)) {
    if (seen.id.sha256 == meant.id.sha256) {
      seen.id = meant.id;  // how many bytes were meant may not be known
    } else {
      constexpr std::size_t kDigits = 12;
      seen.detail = "meant sha256 " + meant.id.sha256.hex().substr(0, kDigits) + ", found " +
                    seen.id.sha256.hex().substr(0, kDigits) + " of " +
                    std::to_string(content.size()) + " bytes";
    }
    return;
  }
  TRUED_ASSERT(content != meant.content);
  seen.proper_prefix = !content.empty() && content.size() < meant.content.size() &&
                       meant.content.starts_with(content);
  seen.detail = printable(describe_difference(meant, content), kExcerptMax);
}

}  // namespace

std::string printable(std::string_view text, std::size_t bytes_max) {
  std::string out;
  std::size_t cut = 0;  // the last place in `out` where the ellipsis still fits
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t length = sequence_length(text, at);
    std::string piece;
    if (length == 0 || is_control(text.substr(at, length))) {
      // A two-byte control is written as its two bytes, one at a time.
      piece = escaped(static_cast<unsigned char>(text[at]));
      ++at;
    } else {
      piece = text.substr(at, length);
      at += length;
    }
    if (out.size() + piece.size() > bytes_max) {
      out.resize(cut);
      if (cut + kEllipsis.size() <= bytes_max) out += kEllipsis;
      TRUED_ASSERT(out.size() <= bytes_max);
      return out;
    }
    out += piece;
    if (out.size() + kEllipsis.size() <= bytes_max) cut = out.size();
  }
  TRUED_ASSERT(out.size() <= bytes_max && at == text.size());
  return out;
}

Observation observe(const ArtifactIntent& meant, std::uint32_t artifact, Level level, RawRead read,
                    WallTime read_at) {
  Observation seen;
  seen.artifact = artifact;
  seen.level = level;
  seen.seen = read.seen;
  seen.version = printable(read.version, kVersionMax);
  seen.served_by = printable(read.served_by, kVersionMax);
  seen.read_at = read_at;
  seen.latency = read.latency;
  switch (read.seen) {
    case Seen::absent:
      break;
    case Seen::unreadable:
      seen.detail = printable(read.detail, kDetailMax);
      break;
    case Seen::found: {
      const std::string content = std::move(read.content);
      if (meant.absent) {
        seen.id = {.sha256 = sha256(content), .bytes = content.size()};
        seen.detail = printable(describe_difference(meant, content), kExcerptMax);
      } else if (meant.comparison == Comparison::json_subset) {
        observe_subset(meant, content, seen);
      } else {
        observe_bytes(meant, content, seen);
      }
      break;
    }
  }
  return seen;
}

std::string check_relative_path(const std::string& path) {
  if (path.empty()) return "the path is empty";
  if (path.size() > kPathMax) {
    return "the path has " + std::to_string(path.size()) + " bytes; at most " +
           std::to_string(kPathMax);
  }
  if (!utf8_valid(path)) return "the path is not valid UTF-8";
  for (std::size_t at = 0; at < path.size(); at += sequence_length(path, at)) {
    if (is_control(std::string_view(path).substr(at, sequence_length(path, at)))) {
      return "the path contains a control character";
    }
  }
  if (path.find('\\') != std::string::npos) return "the path contains a backslash; use '/'";
  if (path.front() == '/') return "the path is not relative: it starts with '/'";
  std::string_view rest = path;
  while (true) {
    const std::size_t slash = rest.find('/');
    const std::string_view segment = rest.substr(0, slash);
    if (segment.empty()) return "the path has an empty segment";
    if (segment == "." || segment == "..") {
      return "the path has a segment '" + std::string(segment) + "'";
    }
    if (slash == std::string_view::npos) return {};
    rest.remove_prefix(slash + 1);
  }
}

bool names_git_directory(std::string_view raw) {
  const std::string visible = without_ignorable(raw);
  std::string_view segment = visible;
  segment = segment.substr(0, segment.find(':'));
  while (!segment.empty() && (segment.back() == '.' || segment.back() == ' ')) {
    segment.remove_suffix(1);
  }
  const auto equals = [segment](std::string_view name) {
    return std::ranges::equal(segment, name, [](char a, char b) {
      return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
    });
  };
  return equals(".git") || equals("git~1");
}

}  // namespace trued
