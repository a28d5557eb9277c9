// Batches: one submission a line in, one answer a line out, in order.
#include <exception>
#include <mutex>
#include <variant>

#include "api/impl.h"
#include "api/submit.h"
#include "base/assert.h"
#include "json/writer.h"

namespace trued::api {
namespace {

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

/// What the engine answered to a line.
struct Known {
  Answer answer;
  std::optional<std::string> base;
};

/// What a line came to, written out when its turn has come and the client takes it.
using LineAnswer = std::variant<io::HttpResponse, Known>;

// `session` is at least as far as what any of these lines was answered for.
void write_line(std::size_t index, const io::HttpResponse& response, std::string_view session,
                std::string& body) {
  json::Writer out(body);
  out.begin_object().member("index", static_cast<std::uint64_t>(index));
  out.member("status", response.status);
  out.key(response.status < 300 ? "receipt" : "problem").raw(response.body);
  out.member("session", session).end_object();
  body += '\n';
}

constexpr std::size_t kPieceBytes = std::size_t{64} << 10;

// One batch under way. Lines are read and submitted on the pool, one after another and so in order;
// at most `in_flight_max` of them are with the engine. Answers are sent in that order as they
// become known, each piece made when the client has taken the one before it. A client that goes
// away ends the answer, not the batch.
class BatchRun : public std::enable_shared_from_this<BatchRun> {
 public:
  BatchRun(std::shared_ptr<Service::Impl> service, Call call)
      : service_(std::move(service)),
        call_(std::move(call)),
        lines_(lines_of(call_.request.body)),
        wait_(preferred_wait(call_.request)),
        until_(service_->ports.clock.monotonic() + wait_.span),
        answers_(lines_.size()),
        known_(lines_.size()) {
    TRUED_ASSERT(answers_.size() == lines_.size() && known_.size() == lines_.size());
  }

  void start() {
    const std::size_t most = service_->options.batch_lines_max;
    if (lines_.empty()) return call_.fail(malformed("the batch has no line"));
    if (lines_.size() > most) {
      return call_.fail({.name = "too-large",
                         .detail = "the batch has " + std::to_string(lines_.size()) +
                                   " lines; at most " + std::to_string(most) +
                                   " are taken at once. Send the rest in another"});
    }
    io::HttpResponse head;
    head.headers.push_back({"Content-Type", "application/x-ndjson"});
    say_applied(wait_, head);
    // Before any line can be answered.
    waker_ = call_.stream(std::move(head), [self = shared_from_this()] { return self->piece(); });
    feed();
  }

 private:
  // REQUIRES: feeding_. Leaves it false when the engine has enough for now.
  void feed() {
    while (true) {
      std::size_t index = 0;
      {
        const std::scoped_lock lock(mutex_);
        const bool full = in_flight_ >= service_->options.batch_in_flight_max;
        if (full || next_ == lines_.size()) {
          feeding_ = false;
          return;
        }
        TRUED_ASSERT(feeding_ && next_ < lines_.size());
        index = next_++;
        ++in_flight_;
      }
      try {
        submit(index);
      } catch (const std::exception&) {
        // Out of memory, most likely. A line without an answer would hold up all after it.
        put(index, respond({.name = "internal",
                            .detail = "this line was dropped; repeat it under the same key"}));
      }
    }
  }

  void submit(std::size_t index) {
    const std::string_view line = lines_.at(index);
    const std::size_t most = service_->options.batch_line_bytes_max;
    if (line.size() > most) {
      return put(index,
                 respond({.name = "too-large",
                          .detail = "the line is longer than " + std::to_string(most) + " bytes"}));
    }
    Problem problem;
    auto value = read_json(line, problem);
    if (!value) return put(index, respond(problem));
    auto submission = read_submission(*std::move(value),
                                      {.targets = service_->ports.targets,
                                       .header_key = std::nullopt,
                                       .caller = call_.caller,
                                       .types = service_->ports.types,
                                       .now = service_->ports.clock.wall()},
                                      problem);
    if (!submission) return put(index, respond(problem));
    if (auto late = service_->overdue(*submission)) return put(index, respond(*late));
    auto base = submission->intent->base;
    service_->ports.engine->submit(std::move(*submission), time_left(),
                                   [self = shared_from_this(), index, base = std::move(base)](
                                       std::variant<Answer, EngineProblem> reply) mutable {
                                     self->on_reply(index, reply, std::move(base));
                                   });
  }

  // The wait is for the batch as a whole.
  Duration time_left() const {
    const auto left = std::chrono::floor<Duration>(until_ - service_->ports.clock.monotonic());
    return std::max(left, Duration{0});
  }

  // On the engine's thread.
  void on_reply(std::size_t index, std::variant<Answer, EngineProblem>& reply,
                std::optional<std::string> base) {
    if (const auto* refused = std::get_if<EngineProblem>(&reply)) {
      return put(index, respond(problem_of(*refused)));
    }
    Answer& answer = std::get<Answer>(reply);
    if (answer.decision != SubmitDecision::conflict) {
      return put(index, Known{std::move(answer), std::move(base)});
    }
    // The comparison reads the ledger.
    const bool posted = service_->ports.pool.try_post([self = shared_from_this(), index, answer] {
      self->put(index, respond(self->service_->conflict(answer, self->lines_.at(index))));
    });
    if (!posted) put(index, respond(service_->conflict_unread(answer)));
  }

  void put(std::size_t index, LineAnswer answer) {
    answers_.at(index) = std::move(answer);
    bool refill = false;
    bool awaited = false;
    {
      const std::scoped_lock lock(mutex_);
      --in_flight_;
      known_.at(index) = true;
      awaited = index == sent_;
      const bool low = in_flight_ <= service_->options.batch_in_flight_max / 2;
      refill = low && !feeding_ && next_ < lines_.size();
      if (refill) feeding_ = true;
    }
    if (awaited) waker_.wake();
    if (!refill) return;
    const bool posted =
        service_->ports.pool.try_post([self = shared_from_this()] { self->feed(); });
    if (!posted) refuse_rest();
  }

  // REQUIRES: feeding_, so nobody else takes lines.
  void refuse_rest() {
    std::size_t from = 0;
    {
      const std::scoped_lock lock(mutex_);
      from = std::exchange(next_, lines_.size());
      in_flight_ += lines_.size() - from;
      feeding_ = false;
    }
    const io::HttpResponse refused =
        respond({.name = "overloaded",
                 .detail = "the server has too much to do; send this line again in a moment",
                 .retry_after = Duration{1'000}});
    const std::size_t end = lines_.size();
    for (std::size_t index = from; index < end; ++index) put(index, refused);
  }

  // On the loop's thread. Who makes the line known at which this stops wakes it again; what becomes
  // known in between is seen when the piece has been taken.
  io::Piece piece() {
    std::size_t end = 0;
    {
      const std::scoped_lock lock(mutex_);
      end = sent_;
      while (end < lines_.size() && known_.at(end)) ++end;
    }
    TRUED_ASSERT(sent_ <= end && end <= lines_.size());
    io::Piece piece;
    const std::string session = session_token(service_->ports.engine->position());
    std::size_t index = sent_;
    for (; index < end && piece.text.size() < kPieceBytes; ++index) {
      LineAnswer& answer = answers_.at(index);
      if (const auto* known = std::get_if<Known>(&answer)) {
        write_line(index, service_->answer_of(known->answer, {}, known->base), session, piece.text);
      } else {
        write_line(index, std::get<io::HttpResponse>(answer), session, piece.text);
      }
      answer = io::HttpResponse{};
    }
    const std::scoped_lock lock(mutex_);
    TRUED_ASSERT(index <= next_);  // nobody is told of a line that was not taken
    sent_ = index;
    piece.last = sent_ == lines_.size();
    return piece;
  }

  const std::shared_ptr<Service::Impl> service_;
  Call call_;
  const std::vector<std::string_view> lines_;  ///< of the body
  const Wait wait_;
  const std::chrono::nanoseconds until_;
  std::vector<LineAnswer> answers_;  ///< each written once, by whoever has its answer
  io::Waker waker_;                  ///< written before the first line is submitted

  std::mutex mutex_;
  std::size_t next_ = 0;       ///< guarded by mutex_, as all below
  std::size_t in_flight_ = 0;  ///< taken and not answered
  std::vector<bool> known_;    ///< answers_ that are written
  std::size_t sent_ = 0;       ///< lines of which the client was told; moved by the loop's thread
  bool feeding_ = true;
};

}  // namespace

void Service::Impl::batch(Call call) {
  on_pool(std::move(call), [self = shared_from_this()](Call later) {
    std::make_shared<BatchRun>(self, std::move(later))->start();
  });
}

}  // namespace trued::api
