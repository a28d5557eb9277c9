#include "io/inflate.h"

#include <algorithm>
#include <array>
#include <limits>
#include <zlib.h>

#include "base/assert.h"

namespace trued::io {
namespace {

constexpr int kZlibOrGzip = 15 + 32;  // the format is told from its first bytes
constexpr int kRaw = -15;

Error failed(ErrorCode code, std::string message) {
  return {.code = code, .message = std::move(message)};
}

class Stream {
 public:
  explicit Stream(int window_bits) : sound_(::inflateInit2(&state_, window_bits) == Z_OK) {}
  ~Stream() {
    if (sound_) ::inflateEnd(&state_);
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  Result<std::string> unpack(std::string_view packed, std::size_t bytes_max) {
    if (!sound_) return failed(ErrorCode::internal, "no memory to unpack with");
    if (packed.size() > std::numeric_limits<uInt>::max()) {
      return failed(ErrorCode::too_large, "the packed content is larger than 4 GiB");
    }
    // zlib takes its input as non-const and leaves it alone.
    state_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
    state_.avail_in = static_cast<uInt>(packed.size());
    std::string out;
    while (true) {
      const int status = step(out);
      if (out.size() > bytes_max) {
        return failed(ErrorCode::too_large,
                      "unpacked it is larger than " + std::to_string(bytes_max) + " bytes");
      }
      if (status == Z_STREAM_END) {
        if (state_.avail_in == 0) return out;
        // A gzip content may be several, one after another (RFC 1952, section 2.2).
        if (::inflateReset(&state_) != Z_OK) break;
      } else if (status != Z_OK) {
        break;
      }
    }
    return failed(ErrorCode::corrupt, state_.avail_in == 0 ? "the packed content breaks off"
                                                           : "the packed content is malformed");
  }

 private:
  int step(std::string& out) {
    constexpr std::size_t kStep = std::size_t{32} << 10U;
    std::array<char, kStep> buffer;
    state_.next_out = reinterpret_cast<Bytef*>(buffer.data());
    state_.avail_out = kStep;
    const int status = ::inflate(&state_, Z_NO_FLUSH);
    TRUED_ASSERT(state_.avail_out <= kStep);
    out.append(buffer.data(), kStep - state_.avail_out);
    return status;
  }

  z_stream state_{};
  bool sound_;
};

}  // namespace

Result<std::string> inflate_content(std::string_view coding, std::string_view packed,
                                    std::size_t bytes_max) {
  std::string name(coding);
  std::ranges::transform(name, name.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  const bool gzip = name == "gzip" || name == "x-gzip";
  if (!gzip && name != "deflate") {
    return failed(ErrorCode::unsupported, "the content coding '" + name + "' is not known");
  }
  auto unpacked = Stream(kZlibOrGzip).unpack(packed, bytes_max);
  const bool maybe_raw = !unpacked.has_value() && unpacked.error().code == ErrorCode::corrupt;
  // "deflate" means the zlib format, but some servers send it without its frame.
  if (gzip || !maybe_raw) return unpacked;
  return Stream(kRaw).unpack(packed, bytes_max);
}

}  // namespace trued::io
