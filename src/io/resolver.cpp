#include "io/resolver.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <ctime>
#include <memory>
#include <mutex>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <utility>

#include "base/assert.h"

namespace trued::io {
namespace {

constexpr std::size_t kAbandonedMax = 64;

/// One look-up of glibc, on a thread of its. The system's own look-up cannot be interrupted, so
/// what is not awaited to its end must stay where it is until then.
struct Lookup {
  explicit Lookup(std::string name) : host(std::move(name)) {
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;
    request.ar_name = host.c_str();
    request.ar_request = &hints;
  }
  ~Lookup() {
    if (request.ar_result != nullptr) ::freeaddrinfo(request.ar_result);
  }
  Lookup(const Lookup&) = delete;
  Lookup& operator=(const Lookup&) = delete;

  std::string host;
  addrinfo hints{};
  gaicb request{};
};

/// Look-ups that took too long. Lives as long as the process, as those threads do.
class Abandoned {
 public:
  static Abandoned& instance() {
    static auto& only = *new Abandoned;
    return only;
  }
  void take(std::unique_ptr<Lookup> lookup) {
    TRUED_ASSERT(lookup != nullptr);
    const std::scoped_lock lock(mutex_);
    lookups_.push_back(std::move(lookup));
  }
  /// How many have not ended yet.
  std::size_t count() {
    const std::scoped_lock lock(mutex_);
    std::erase_if(lookups_, [](const auto& lookup) {
      return ::gai_error(&lookup->request) != EAI_INPROGRESS;
    });
    return lookups_.size();
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<Lookup>> lookups_;  ///< guarded by mutex_
};

std::vector<IpAddress> addresses_of(const addrinfo* list) {
  std::vector<IpAddress> found;
  for (; list != nullptr; list = list->ai_next) {
    IpAddress address;
    if (list->ai_family == AF_INET) {
      const auto* v4 = reinterpret_cast<const sockaddr_in*>(list->ai_addr);
      std::memcpy(address.bytes.data(), &v4->sin_addr, sizeof v4->sin_addr);
    } else if (list->ai_family == AF_INET6) {
      const auto* v6 = reinterpret_cast<const sockaddr_in6*>(list->ai_addr);
      address.v6 = true;
      std::memcpy(address.bytes.data(), &v6->sin6_addr, sizeof v6->sin6_addr);
    } else {
      continue;
    }
    if (std::ranges::find(found, address) == found.end()) found.push_back(address);
  }
  return found;
}

// True if the look-up ended within `timeout`.
bool await(Lookup& lookup, Duration timeout) {
  const auto by = std::chrono::steady_clock::now() + timeout;
  const gaicb* const list[] = {&lookup.request};
  while (::gai_error(&lookup.request) == EAI_INPROGRESS) {
    const auto left = by - std::chrono::steady_clock::now();
    if (left <= left.zero()) return false;
    const auto seconds = std::chrono::floor<std::chrono::seconds>(left);
    const timespec wait{.tv_sec = seconds.count(),
                        .tv_nsec = std::chrono::nanoseconds(left - seconds).count()};
    ::gai_suspend(list, 1, &wait);  // a signal may end it early
  }
  return true;
}

Error no_address(ErrorCode code, const std::string& host, const std::string& why) {
  return {.code = code,
          .happened = Happened::no,
          .retryable = true,
          .message = "the name '" + host + "' cannot be resolved: " + why};
}

}  // namespace

Result<std::vector<IpAddress>> resolve(const std::string& host, Duration timeout) {
  if (const auto literal = parse_ip(host)) return std::vector<IpAddress>{*literal};
  if (Abandoned::instance().count() >= kAbandonedMax) {
    return no_address(ErrorCode::unavailable, host,
                      "too many look-ups are under way; is a name server down?");
  }
  auto lookup = std::make_unique<Lookup>(host);
  gaicb* list[] = {&lookup->request};
  if (const int failure = ::getaddrinfo_a(GAI_NOWAIT, list, 1, nullptr); failure != 0) {
    return no_address(ErrorCode::unavailable, host, ::gai_strerror(failure));
  }
  if (!await(*lookup, timeout)) {
    if (::gai_cancel(&lookup->request) != EAI_CANCELED) {
      Abandoned::instance().take(std::move(lookup));
    }
    return no_address(ErrorCode::timeout, host, "no answer in time");
  }
  if (const int failure = ::gai_error(&lookup->request); failure != 0) {
    return no_address(ErrorCode::unavailable, host, ::gai_strerror(failure));
  }
  auto found = addresses_of(lookup->request.ar_result);
  if (found.empty()) return no_address(ErrorCode::unavailable, host, "it has no address");
  return found;
}

}  // namespace trued::io
