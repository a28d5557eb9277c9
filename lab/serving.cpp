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

void Serving::put(const std::string& path, std::optional<std::string> content,
                  const std::string& version, bool both) {
  const std::scoped_lock lock(mutex_);
  for (std::size_t i = 0; i < (both ? 2U : 1U); ++i) {
    if (content) {
      replicas_.at(i)[path] = {*content, version};
    } else {
      replicas_.at(i).erase(path);
    }
  }
}

void Serving::pin(const std::string& path, std::size_t replica) {
  const std::scoped_lock lock(mutex_);
  pinned_[path] = replica;
}

void Serving::move_version(const std::string& path, const std::string& version) {
  const std::scoped_lock lock(mutex_);
  for (auto& replica : replicas_) {
    if (const auto found = replica.find(path); found != replica.end()) {
      found->second.version = version;
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
