#include "io/resolver.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <memory>
#include <mutex>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <system_error>
#include <thread>
#include <utility>

namespace trued::io {
namespace {

constexpr std::size_t kUnderWayMax = 64;

/// One look-up of the system's. It cannot be interrupted, so it has a thread of its own, which
/// shares it: whoever waited for it too long just goes.
struct Lookup {
  explicit Lookup(std::string name) : host(std::move(name)) { ++under_way; }
  ~Lookup() {
    if (found != nullptr) ::freeaddrinfo(found);
    --under_way;
  }
  Lookup(const Lookup&) = delete;
  Lookup& operator=(const Lookup&) = delete;

  const std::string host;
  std::mutex mutex;
  std::condition_variable ended;
  bool over = false;          ///< guarded by mutex, as what follows
  int failure = 0;            ///< of getaddrinfo(3)
  addrinfo* found = nullptr;  ///< owned

  /// Of those that somebody waits for, and those that nobody waits for any more.
  inline static std::atomic<std::size_t> under_way = 0;
};

void look_up(Lookup& lookup) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* found = nullptr;
  const int failure = ::getaddrinfo(lookup.host.c_str(), nullptr, &hints, &found);
  const std::scoped_lock lock(lookup.mutex);
  lookup.failure = failure;
  lookup.found = failure == 0 ? found : nullptr;
  lookup.over = true;
  lookup.ended.notify_all();
}

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

Error no_address(ErrorCode code, const std::string& host, const std::string& why) {
  return {.code = code,
          .happened = Happened::no,
          .retryable = true,
          .message = "the name '" + host + "' cannot be resolved: " + why};
}

}  // namespace

Result<std::vector<IpAddress>> resolve(const std::string& host, Duration timeout) {
  if (const auto literal = parse_ip(host)) return std::vector<IpAddress>{*literal};
  const auto lookup = std::make_shared<Lookup>(host);
  if (Lookup::under_way > kUnderWayMax) {
    return no_address(ErrorCode::unavailable, host,
                      "too many look-ups are under way; is a name server down?");
  }
  try {
    // tidy: allow detach because nobody can end a look-up, and it owns all that it uses
    std::thread([lookup] { look_up(*lookup); }).detach();
  } catch (const std::system_error& e) {
    return no_address(ErrorCode::unavailable, host, e.code().message());
  }
  std::unique_lock lock(lookup->mutex);
  if (!lookup->ended.wait_for(lock, timeout, [&] { return lookup->over; })) {
    return no_address(ErrorCode::timeout, host, "no answer in time");
  }
  if (lookup->failure != 0) {
    return no_address(ErrorCode::unavailable, host, ::gai_strerror(lookup->failure));
  }
  auto found = addresses_of(lookup->found);
  if (found.empty()) return no_address(ErrorCode::unavailable, host, "it has no address");
  return found;
}

}  // namespace trued::io
