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

  /// The artifacts of a unit by path; nothing where the artifact was removed.
  using Unit = std::map<std::string, std::optional<std::string>>;

  /// Puts a unit in place on both replicas. All at once: a reader sees the unit of before or this
  /// one, never a part of it, because a torn unit would be a lie that nobody told.
  void put(const Unit& unit, const std::string& version);
  /// Puts a unit in place on the first replica and sends the readers of it to the other. All at
  /// once.
  void put_lagging(const Unit& unit, const std::string& version);
  /// Moves the version that a unit is said to be at, without its content.
  void move_version(const Unit& unit, const std::string& version);

  [[nodiscard]] std::optional<std::string> served(const std::string& path) const;
  [[nodiscard]] std::uint16_t port() const { return server_->port(); }

 private:
  struct Record {
    std::string content;
    std::string version;
  };
  Serving() = default;
  static void store(std::map<std::string, Record>& replica, const Unit& unit,
                    const std::string& version);
  io::HttpResponse answer(const std::string& path) const;
  std::size_t replica_of(const std::string& path) const;

  mutable std::mutex mutex_;
  std::array<std::map<std::string, Record>, 2> replicas_;
  std::map<std::string, std::size_t> pinned_;
  std::unique_ptr<io::Loop> loop_;
  std::unique_ptr<io::HttpServer> server_;
};

}  // namespace trued::lab
