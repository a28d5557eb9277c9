#include "lab/serving.h"

#include <utility>

namespace trued::lab {

Result<std::unique_ptr<Serving>> Serving::open() {
  std::unique_ptr<Serving> serving(new Serving());
  serving->loop_ = std::make_unique<io::Loop>();
  TRUED_TRY(serving->server_,
            io::HttpServer::listen(
                *serving->loop_, {},
                [self = serving.get()](io::HttpRequest&& request, io::Responder responder) {
                  responder.send(self->answer(request.path.substr(1)));
                }));
  return serving;
}

Serving::~Serving() {
  if (server_) server_->stop(Duration{100});
}

std::size_t Serving::replica_of(const std::string& path) const {
  const auto found = pinned_.find(path);
  return found == pinned_.end() ? 0 : found->second;
}

io::HttpResponse Serving::answer(const std::string& path) const {
  const std::scoped_lock lock(mutex_);
  const std::size_t replica = replica_of(path);
  io::HttpResponse response;
  response.headers.push_back({"X-Served-By", "replica-" + std::to_string(replica)});
  const auto found = replicas_.at(replica).find(path);
  if (found == replicas_.at(replica).end()) {
    response.status = 404;
    return response;
  }
  response.headers.push_back({"ETag", "\"" + found->second.version + "\""});
  response.body = found->second.content;
  return response;
}

void Serving::store(std::map<std::string, Record>& replica, const Unit& unit,
                    const std::string& version) {
  for (const auto& [path, content] : unit) {
    if (content) {
      replica[path] = {*content, version};
    } else {
      replica.erase(path);
    }
  }
}

void Serving::put(const Unit& unit, const std::string& version) {
  const std::scoped_lock lock(mutex_);
  for (auto& replica : replicas_) store(replica, unit, version);
  for (const auto& [path, content] : unit) pinned_[path] = 0;
}

void Serving::put_lagging(const Unit& unit, const std::string& version) {
  const std::scoped_lock lock(mutex_);
  store(replicas_.front(), unit, version);
  for (const auto& [path, content] : unit) pinned_[path] = 1;
}

void Serving::move_version(const Unit& unit, const std::string& version) {
  const std::scoped_lock lock(mutex_);
  for (const auto& [path, content] : unit) {
    for (auto& replica : replicas_) {
      if (const auto found = replica.find(path); found != replica.end()) {
        found->second.version = version;
      }
    }
  }
}

std::optional<std::string> Serving::served(const std::string& path) const {
  const std::scoped_lock lock(mutex_);
  const auto& replica = replicas_.at(replica_of(path));
  const auto found = replica.find(path);
  if (found == replica.end()) return std::nullopt;
  return found->second.content;
}

}  // namespace trued::lab
