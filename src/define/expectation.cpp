#include "define/expectation.h"

#include <utility>

#include "base/encoding.h"
#include "json/canonical.h"
#include "target/compare.h"

namespace trued::define {
namespace {

ContentId id_of(std::string_view content) {
  return {.sha256 = sha256(content), .bytes = content.size()};
}

RenderFault unfit(const Expect& expect, const std::string& why) {
  const auto& references = expect.value.references();
  const std::string path = references.empty() ? "" : references.front().path();
  return {.pointer = "",
          .path = path,
          .detail = (path.empty() ? "it" : "'" + path + "'") + " is " + why,
          .missing = false};
}

Result<ArtifactIntent, RenderFault> text_meant(const Expect& expect, const Values& values) {
  TRUED_TRY(std::string text, expect.value.render_text(values));
  ArtifactIntent meant;
  if (expect.base64) {
    auto decoded = base64_decode(text);
    if (!decoded) return unfit(expect, "no base64 (RFC 4648, with padding)");
    text = std::move(*decoded);
  }
  meant.id = id_of(text);
  meant.content = std::move(text);
  return meant;
}

}  // namespace

std::optional<Digest> parse_digest(std::string_view text) {
  constexpr std::string_view kPrefix = "sha256:";
  if (text.starts_with(kPrefix)) text.remove_prefix(kPrefix.size());
  return Digest::from_hex(text);
}

Result<ArtifactIntent, RenderFault> expectation(const Expect& expect, const Values& values) {
  ArtifactIntent meant;
  switch (expect.kind) {
    case Expect::Kind::absent:
      meant.absent = true;
      return meant;
    case Expect::Kind::text:
      return text_meant(expect, values);
    case Expect::Kind::sha256: {
      TRUED_TRY(const std::string text, expect.value.render_text(values));
      const auto digest = parse_digest(text);
      if (!digest) return unfit(expect, "no SHA-256: 64 hexadecimal digits");
      meant.id.sha256 = *digest;
      return meant;
    }
    case Expect::Kind::json: {
      TRUED_TRY(const json::Value value, expect.value.render(values));
      meant.comparison = Comparison::json_subset;
      meant.content = json::canonical(value);
      meant.id = id_of(meant.content);
      return meant;
    }
  }
  return meant;
}

std::string describe(const ArtifactIntent& meant) {
  constexpr std::size_t kShownMax = 160;
  if (meant.absent) return "nothing there";
  if (meant.comparison == Comparison::json_subset) return printable(meant.content, kShownMax);
  if (meant.content.empty() && meant.id.sha256 != sha256("")) {
    return "sha256 " + meant.id.sha256.hex();
  }
  return '"' + printable(meant.content, kShownMax) + '"';
}

}  // namespace trued::define
