// impl.h: the service's state and its handlers. Private to src/api.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "api/service.h"

namespace trued::api {

/// A request on its way through the handlers.
struct Call {
  io::HttpRequest request;
  io::Responder responder;
  std::string actor;  ///< of the token
  std::string id;     ///< {id} of the path
  std::string verb;   ///< {verb} of the path

  void answer(io::HttpResponse response) { responder.send(std::move(response)); }
  void fail(const Problem& problem) { responder.send(respond(problem)); }
};

class Service::Impl : public std::enable_shared_from_this<Service::Impl> {
 public:
  Impl(ServicePorts ports, ServiceOptions options);

  void handle(io::HttpRequest&& request, io::Responder responder);

  // operations.cpp
  void submit(Call call);
  void get(Call call);
  void list(Call call);
  void events(Call call);
  void person(Call call);
  // batch.cpp
  void batch(Call call);
  // status.cpp
  void status(Call call);
  void health(Call call);
  void ready(Call call);
  void metrics(Call call);
  void openapi(Call call);
  void index(Call call);

  io::HttpResponse respond_to(const Answer& answer, const Intent* intent);
  Problem conflict(const Answer& answer, const Intent* intent);
  Problem late(const Answer& answer) const;

  /// Runs `work` on the pool; answers `overloaded` if it is full.
  void on_pool(Call call, std::move_only_function<void(Call)> work);

  ServicePorts ports;
  ServiceOptions options;
  Auth auth;
  std::mutex reader_mutex;  ///< one reader, used by one pool thread at a time
  WallTime started_at;
};

/// "wait" of a Prefer header, or of a query: seconds, at most 60; nothing if there is none.
struct Wait {
  Duration span{};
  bool asked = false;
};
[[nodiscard]] Wait preferred_wait(const io::HttpRequest& request);

[[nodiscard]] io::HttpResponse json_response(int status, std::string body);
[[nodiscard]] bool is_media_type(const io::HttpRequest& request, std::string_view wanted);

}  // namespace trued::api
