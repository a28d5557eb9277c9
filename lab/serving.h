// serving.h: what consumers read: two replicas behind one address, over HTTP. Any thread.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/result.h"
#include "io/http_server.h"
#include "io/loop.h"

namespace trued::lab {

class Serving {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Serving>> open();
  ~Serving();

  /// Puts content of a unit in place, on the first replica or on both.
  void put(const std::string& path, std::optional<std::string> content, const std::string& version,
           bool both);
  /// From now on readers of that path are sent to one replica.
  void pin(const std::string& path, std::size_t replica);
  /// Moves the version a path is said to be at, without its content.
  void move_version(const std::string& path, const std::string& version);

  [[nodiscard]] std::optional<std::string> served(const std::string& path) const;
  [[nodiscard]] std::uint16_t port() const { return server_->port(); }

 private:
  struct Record {
    std::string content;
    std::string version;
  };
  Serving() = default;
  io::HttpResponse answer(const std::string& path) const;
  std::size_t replica_of(const std::string& path) const;

  mutable std::mutex mutex_;
  std::array<std::map<std::string, Record>, 2> replicas_;
  std::map<std::string, std::size_t> pinned_;
  std::unique_ptr<io::Loop> loop_;
  std::unique_ptr<io::HttpServer> server_;
};

}  // namespace trued::lab
