// Batches: one submission a line in, one answer a line out, in order.
#include <atomic>

#include "api/impl.h"
#include "api/receipts.h"
#include "api/submit.h"
#include "json/parse.h"

namespace trued::api {
namespace {

// The answers of one batch; the last one to arrive sends them all.
struct Gathering {
  Gathering(Call batch, std::size_t lines) : call(std::move(batch)), answers(lines), open(lines) {}

  void put(std::size_t index, const io::HttpResponse& response) {
    std::string& line = answers.at(index);
    json::Writer out(line);
    out.begin_object().member("index", static_cast<std::uint64_t>(index));
    out.member("status", response.status);
    out.key(response.status < 300 ? "receipt" : "problem").raw(response.body).end_object();
    line += '\n';
    if (open.fetch_sub(1) == 1) send();
  }

  void send() {
    io::HttpResponse response;
    response.headers.push_back({"Content-Type", "application/x-ndjson"});
    response.headers.push_back({"Cache-Control", "no-store"});
    std::size_t size = 0;
    for (const std::string& line : answers) size += line.size();
    response.body.reserve(size);
    for (const std::string& line : answers) response.body += line;
    call.answer(std::move(response));
  }

  Call call;
  std::vector<std::string> answers;
  std::atomic<std::size_t> open;
};

std::vector<std::string_view> lines_of(std::string_view body) {
  std::vector<std::string_view> lines;
  while (!body.empty()) {
    const std::size_t end = std::min(body.find('\n'), body.size());
    std::string_view line = body.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty()) lines.push_back(line);
    body.remove_prefix(std::min(end + 1, body.size()));
  }
  return lines;
}

}  // namespace

void Service::Impl::batch(Call call) {
  if (!is_media_type(call.request, "application/x-ndjson")) {
    return call.fail({.name = "unsupported-media-type",
                      .detail = "send the batch as application/x-ndjson, one submission a line"});
  }
  on_pool(std::move(call), [self = shared_from_this()](Call later) {
    const std::string body = std::move(later.request.body);
    const auto lines = lines_of(body);
    if (lines.empty() || lines.size() > self->options.batch_lines_max) {
      return later.fail({.name = lines.empty() ? "malformed" : "too-large",
                         .detail = "a batch has 1 to " +
                                   std::to_string(self->options.batch_lines_max) +
                                   " lines; this one has " + std::to_string(lines.size())});
    }
    const Duration wait = preferred_wait(later.request).span;
    const std::string actor = later.actor;
    auto gathering = std::make_shared<Gathering>(std::move(later), lines.size());
    for (std::size_t i = 0; i < lines.size(); ++i) {
      Problem problem;
      auto value = json::parse(lines.at(i));
      std::optional<Submission> submission;
      if (!value.has_value()) {
        problem = {.name = "malformed", .detail = value.error().message};
      } else {
        submission = read_submission(std::move(value).value(),
                                     {self->ports.targets, std::nullopt, actor}, problem);
      }
      if (!submission) {
        gathering->put(i, respond(problem));
        continue;
      }
      const std::shared_ptr<const Intent> intent = submission->intent;
      self->ports.engine.submit(
          std::move(*submission), wait,
          [self, gathering, i, intent](std::variant<Answer, EngineProblem> reply) {
            const auto* refused = std::get_if<EngineProblem>(&reply);
            gathering->put(i, refused != nullptr
                                  ? respond(problem_of(*refused))
                                  : self->respond_to(std::get<Answer>(reply), intent.get()));
          });
    }
  });
}

}  // namespace trued::api
