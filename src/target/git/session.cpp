#include "target/git/session.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "target/compare.h"

namespace trued::git {
namespace {

constexpr std::size_t kSaidMax = 2000;

struct Service {
  bool post = false;
  std::string_view name;
};

Service service_of(git_smart_service_t service) {
  switch (service) {
    case GIT_SERVICE_UPLOADPACK_LS:
      return {.post = false, .name = "git-upload-pack"};
    case GIT_SERVICE_UPLOADPACK:
      return {.post = true, .name = "git-upload-pack"};
    case GIT_SERVICE_RECEIVEPACK_LS:
      return {.post = false, .name = "git-receive-pack"};
    case GIT_SERVICE_RECEIVEPACK:
      return {.post = true, .name = "git-receive-pack"};
  }
  return {};
}

// What a status other than 200 means. A gateway's 5xx after a push leaves it open.
Error error_of_status(const HttpAnswer& answer, const std::string& url, bool push) {
  Error error;
  error.message = url + " answered " + std::to_string(answer.status);
  if (!answer.location.empty()) error.message += " (moved to " + answer.location + ")";
  if (!answer.body.empty()) error.message += ": " + printable(answer.body, kSaidMax / 10);
  constexpr unsigned kTooMany = 429;
  const bool refused = answer.status >= 300 && answer.status < 500;
  error.retryable = !refused || answer.status == kTooMany;
  error.happened = push && !refused ? Happened::maybe : Happened::no;
  error.code = ErrorCode::io;
  if (answer.status == 401 || answer.status == 403) error.code = ErrorCode::permission_denied;
  if (answer.status == 404) error.code = ErrorCode::not_found;
  return error;
}

// ---- libgit2's objects: C structs first, ours behind
// ---------------------------------------------

struct Subtransport {
  git_smart_subtransport base;
  Session* session;
};

struct Stream {
  git_smart_subtransport_stream base;
  Session* session;
  git_smart_service_t service;
  std::string url;
  std::string question;
  std::optional<std::string> answer;
  std::size_t given = 0;
};

int fail() {
  git_error_set_str(GIT_ERROR_HTTP, "the request failed");
  return -1;
}

// The request goes out with the first read: until then libgit2 is still writing it.
int stream_read(git_smart_subtransport_stream* base, char* buffer, std::size_t size,
                std::size_t* got) {
  auto* stream = reinterpret_cast<Stream*>(base);
  *got = 0;
  if (!stream->answer) {
    stream->answer =
        stream->session->request(stream->service, stream->url, std::move(stream->question));
    if (!stream->answer) return fail();
  }
  TRUED_ASSERT(stream->given <= stream->answer->size());
  *got = std::min(size, stream->answer->size() - stream->given);
  std::memcpy(buffer, stream->answer->data() + stream->given, *got);
  stream->given += *got;
  return 0;
}

int stream_write(git_smart_subtransport_stream* base, const char* buffer, std::size_t size) {
  reinterpret_cast<Stream*>(base)->question.append(buffer, size);
  return 0;
}

void stream_free(git_smart_subtransport_stream* base) { delete reinterpret_cast<Stream*>(base); }

int subtransport_action(git_smart_subtransport_stream** out, git_smart_subtransport* base,
                        const char* url, git_smart_service_t service) {
  const auto* subtransport = reinterpret_cast<Subtransport*>(base);
  auto* stream = new Stream{.base = {.subtransport = base,
                                     .read = stream_read,
                                     .write = stream_write,
                                     .free = stream_free},
                            .session = subtransport->session,
                            .service = service,
                            .url = url,
                            .question = {},
                            .answer = std::nullopt};
  *out = &stream->base;
  return 0;
}

int subtransport_close(git_smart_subtransport* /*base*/) { return 0; }

void subtransport_free(git_smart_subtransport* base) {
  delete reinterpret_cast<Subtransport*>(base);
}

int make_subtransport(git_smart_subtransport** out, git_transport* /*owner*/, void* session) {
  auto* subtransport = new Subtransport{.base = {.action = subtransport_action,
                                                 .close = subtransport_close,
                                                 .free = subtransport_free},
                                        .session = static_cast<Session*>(session)};
  *out = &subtransport->base;
  return 0;
}

}  // namespace

git_remote_callbacks Session::callbacks() {
  git_remote_callbacks callbacks;
  git_remote_init_callbacks(&callbacks, GIT_REMOTE_CALLBACKS_VERSION);
  callbacks.transport = on_transport;
  callbacks.push_negotiation = on_negotiation;
  callbacks.push_update_reference = on_report;
  callbacks.sideband_progress = on_text;
  callbacks.payload = this;
  return callbacks;
}

std::string Session::said() const {
  std::string text = said_;
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return printable(text, kSaidMax);
}

Error Session::error(int code, const std::string& doing) const {
  if (!failure_) return error_of(code, doing);
  Error error = *failure_;
  error.message = "cannot " + doing + ": " + error.message;
  return error;
}

std::optional<std::string> Session::request(git_smart_service_t service, const std::string& url,
                                            std::string body) {
  const Service wanted = service_of(service);
  const bool push = service == GIT_SERVICE_RECEIVEPACK;
  const std::string name(wanted.name);
  HttpQuestion question;
  question.post = wanted.post;
  question.url = wanted.post ? url + "/" + name : url + "/info/refs?service=" + name;
  if (wanted.post) question.content_type = "application/x-" + name + "-request";
  const std::string expected =
      "application/x-" + name + (wanted.post ? "-result" : "-advertisement");
  question.accept = expected;
  question.body = std::move(body);
  question.timeout = watch_.left_of(timeout_);
  if (question.timeout <= Duration{0}) {
    failure_ = Error{.code = ErrorCode::timeout,
                     .happened = Happened::no,
                     .retryable = true,
                     .message = "no time is left for " + question.url};
    return std::nullopt;
  }
  pushed_ = pushed_ || push;
  auto answer = http_.call(question);
  if (!answer.has_value()) {
    failure_ = std::move(answer).error();
    // Nothing but a push changes anything over there; but what left us is not "not sent".
    if (failure_->happened != Happened::no) {
      failure_->code = failure_->code == ErrorCode::timeout ? ErrorCode::timeout : ErrorCode::io;
      failure_->happened = push ? Happened::maybe : Happened::no;
      failure_->retryable = true;
    }
    return std::nullopt;
  }
  constexpr unsigned kOk = 200;
  if (answer->status != kOk) {
    failure_ = error_of_status(*answer, question.url, push);
    return std::nullopt;
  }
  if (!answer->content_type.starts_with(expected)) {
    failure_ =
        Error{.code = ErrorCode::unsupported,
              .happened = push ? Happened::maybe : Happened::no,
              .retryable = false,
              .message = question.url + " is no git repository over smart HTTP: it answered '" +
                         printable(answer->content_type, 100) + "'"};
    return std::nullopt;
  }
  return std::move(answer->body);
}

int Session::on_transport(git_transport** out, git_remote* owner, void* payload) {
  git_smart_subtransport_definition definition{
      .callback = make_subtransport, .rpc = 1, .param = payload};
  return git_transport_smart(out, owner, &definition);
}

int Session::on_negotiation(const git_push_update** updates, std::size_t count, void* payload) {
  auto* self = static_cast<Session*>(payload);
  git_oid expected{};
  if (self->expected_) expected = *self->expected_;
  if (count == 1 && same(updates[0]->src, expected)) return 0;
  self->raced_ = true;
  git_error_set_str(GIT_ERROR_REFERENCE, "the branch was moved by somebody else");
  return -1;
}

int Session::on_report(const char* /*reference*/, const char* status, void* payload) {
  static_cast<Session*>(payload)->report_ = status == nullptr ? "" : status;
  return 0;
}

int Session::on_text(const char* text, int length, void* payload) {
  auto* self = static_cast<Session*>(payload);
  const std::size_t room = kSaidMax - std::min(kSaidMax, self->said_.size());
  self->said_.append(text, std::min(room, static_cast<std::size_t>(std::max(length, 0))));
  TRUED_ASSERT(self->said_.size() <= kSaidMax);
  return 0;
}

}  // namespace trued::git
