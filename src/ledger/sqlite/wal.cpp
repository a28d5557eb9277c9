#include "ledger/sqlite/wal.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

#include "base/assert.h"

namespace trued::sqlite {
namespace {

constexpr std::size_t kHeaderBytes = 32;
constexpr std::size_t kFrameHeaderBytes = 24;
constexpr std::uint32_t kMagic = 0x377f0682;  // its last bit: checksums of big-endian words
constexpr std::uint32_t kPageMax = 65'536;
static_assert(kHeaderBytes % 8 == 0 && kFrameHeaderBytes % 8 == 0);  // as checksums are taken

class File {
 public:
  explicit File(const std::string& name)
      : fd_(::open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] bool is_open() const { return fd_ >= 0; }
  /// True if there was as much; false at the end. An error is in `failed`.
  bool read(unsigned char* to, std::size_t bytes, std::uint64_t at) {
    TRUED_ASSERT(is_open());
    std::size_t done = 0;
    while (done < bytes) {
      const ssize_t got = ::pread(fd_, to + done, bytes - done, static_cast<off_t>(at + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) failed = errno;
      if (got <= 0) return false;
      done += static_cast<std::size_t>(got);
    }
    return true;
  }
  int failed = 0;

 private:
  int fd_;
};

std::uint32_t big(const unsigned char* at) {
  return std::uint32_t{at[0]} << 24U | std::uint32_t{at[1]} << 16U | std::uint32_t{at[2]} << 8U |
         at[3];
}
std::uint32_t little(const unsigned char* at) {
  return std::uint32_t{at[3]} << 24U | std::uint32_t{at[2]} << 16U | std::uint32_t{at[1]} << 8U |
         at[0];
}

struct Sum {
  std::uint32_t first = 0;
  std::uint32_t second = 0;
  friend bool operator==(const Sum&, const Sum&) = default;
};

Sum add(Sum sum, const unsigned char* bytes, std::size_t size, bool big_words) {
  TRUED_ASSERT(size % 8 == 0);
  for (std::size_t at = 0; at < size; at += 8) {
    sum.first += (big_words ? big(bytes + at) : little(bytes + at)) + sum.second;
    sum.second += (big_words ? big(bytes + at + 4) : little(bytes + at + 4)) + sum.first;
  }
  return sum;
}

struct Header {
  std::uint32_t page = 0;
  std::array<unsigned char, 8> salts{};
  bool big_words = false;
  Sum sum;
};

// Nothing if it is none that SQLite would go by.
std::optional<Header> read_header(File& file) {
  std::array<unsigned char, kHeaderBytes> bytes{};
  if (!file.read(bytes.data(), bytes.size(), 0)) return std::nullopt;
  Header header;
  const std::uint32_t magic = big(bytes.data());
  if ((magic & ~1U) != kMagic) return std::nullopt;
  header.big_words = (magic & 1U) != 0;
  header.page = big(bytes.data() + 8);
  const bool sized =
      header.page >= 512 && header.page <= kPageMax && (header.page & (header.page - 1)) == 0;
  header.sum = add({}, bytes.data(), 24, header.big_words);
  const Sum stored{big(bytes.data() + 24), big(bytes.data() + 28)};
  if (!sized || stored != header.sum) return std::nullopt;
  std::memcpy(header.salts.data(), bytes.data() + 16, header.salts.size());
  return header;
}

}  // namespace

Result<std::optional<WalDamage>> find_wal_damage(const std::string& ledger) {
  const std::string name = ledger + "-wal";
  File file(name);
  if (!file.is_open()) return std::optional<WalDamage>();
  const auto header = read_header(file);
  std::vector<unsigned char> frame;
  if (header) frame.resize(kFrameHeaderBytes + header->page);
  std::optional<WalDamage> damage;
  std::uint64_t commits = 0;  // whole, one after the other, behind the damage
  Sum before = header ? header->sum : Sum{};
  std::uint64_t at = kHeaderBytes;
  for (std::uint64_t number = 1; header && file.read(frame.data(), frame.size(), at); ++number) {
    at += frame.size();
    const Sum stored{big(frame.data() + 16), big(frame.data() + 20)};
    Sum sum = add(before, frame.data(), 8, header->big_words);
    sum = add(sum, frame.data() + kFrameHeaderBytes, header->page, header->big_words);
    const bool ours = std::memcmp(frame.data() + 8, header->salts.data(), 8) == 0;
    const bool whole = ours && sum == stored;
    before = stored;
    if (!whole && !damage) damage = WalDamage{.frame = number, .commits = 0};
    commits = !damage || !whole ? 0 : commits + (big(frame.data() + 4) != 0 ? 1 : 0);
    if (damage) damage->commits = std::max(damage->commits, commits);
  }
  if (file.failed != 0) {
    return Error{
        .code = ErrorCode::io,
        .retryable = true,
        .message = "cannot read " + name + ": " + std::generic_category().message(file.failed)};
  }
  TRUED_ASSERT(!damage || damage->frame > 0);
  if (damage && damage->commits < 2) damage.reset();
  return damage;
}

Result<void> refuse_wal_damage(const std::string& ledger) {
  TRUED_TRY(const auto damage, find_wal_damage(ledger));
  if (!damage) return {};
  return Error{
      .code = ErrorCode::corrupt,
      .message = "the write-ahead log of " + ledger + " was changed at frame " +
                 std::to_string(damage->frame) + ": " + std::to_string(damage->commits) +
                 " commits or more that had been synced stand behind it, and SQLite would "
                 "drop them. Nothing was changed: copy " +
                 ledger + " and " + ledger +
                 "-wal, then go back to a backup; or give those commits up with: sqlite3 " +
                 ledger + " 'PRAGMA wal_checkpoint(TRUNCATE)'"};
}

}  // namespace trued::sqlite
