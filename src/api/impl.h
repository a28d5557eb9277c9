// impl.h: the service's state and its handlers. Private to src/api.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "api/dead_letters.h"
#include "api/later.h"
#include "api/reads.h"
#include "api/service.h"
#include "api/wait.h"
#include "json/value.h"

namespace trued::api {

/// What answers tell a browser about pages of other origins.
struct CrossOrigin {
  std::string origin = {};  ///< that may read the answer; empty for none
  bool varies = false;      ///< another request of another origin is answered otherwise
};

/// A request on its way through the handlers.
struct Call {
  io::HttpRequest request;
  io::Responder responder;
  Caller caller = {};      ///< whose token it is
  std::string id = {};     ///< {id} of the path
  std::string verb = {};   ///< last segment of the path
  CrossOrigin cross = {};  ///< what a browser is told
  /// Set where operations are shown or changed: how far the ledger has come is told with it.
  const Engine* tells = nullptr;
  /// Of what was read from the ledger past the engine: at least so far.
  LedgerPosition floor = {};

  /// Adds the headers that every answer has, and sends it.
  void answer(io::HttpResponse response);
  /// The same, made on the loop's thread: the engine's has more urgent things to do.
  void answer_made(std::move_only_function<io::HttpResponse()> make);
  /// Sends `head` with the same headers, then what `next` says (io::Responder::stream()).
  [[nodiscard]] io::Waker stream(io::HttpResponse head, std::move_only_function<io::Piece()> next);
  /// Answers with what a reader showed, and of whom it was.
  void show(Looked looked, const Consistency& asked, const std::string& source,
            const Freshness& how);
  void fail(const Problem& problem) { answer(respond(problem, instance())); }
  /// The path as it was sent.
  [[nodiscard]] std::string_view instance() const;
};

/// What a route takes as a body.
enum class Takes : std::uint8_t { nothing, json, json_or_nothing, ndjson };

class Service::Impl : public std::enable_shared_from_this<Service::Impl> {
 public:
  using Handler = void (Impl::*)(Call);
  struct Route {
    std::string_view method;
    std::string_view pattern;  ///< "{id}" stands for one segment
    Access access;
    Takes takes;
    std::string_view parameters;  ///< of the query, separated by blanks
    Handler handler;
    bool anywhere = false;  ///< every node answers it by itself
  };
  /// The one table: routing, 404, 405, 415, unknown parameters, and the comparison with
  /// openapi.yaml come from it.
  [[nodiscard]] static std::span<const Route> routes();

  Impl(ServicePorts ports, ServiceOptions options);

  void handle(io::HttpRequest&& request, io::Responder responder);

  // operations.cpp
  void submit(Call call);
  void submit_checked(Call call, Submission submission);
  /// Why a submission whose deadline has passed is not taken; nothing if it is in time, or repeats
  /// one that is known, which is answered whatever the time is. Reads the ledger: on the pool.
  [[nodiscard]] std::optional<Problem> overdue(const Submission& submission);
  [[nodiscard]] bool is_past_deadline(const Submission& submission) const;
  void wait_for_news(Call call, OperationId id, const Consistency& asked, Wait wait);
  // reads.cpp
  void get(Call call);
  void list(Call call);
  void events(Call call);
  /// By whoever is new enough for what is asked.
  void read(Call call, Consistency asked, Look look);
  void read_here(Call call, Consistency asked, Look look,
                 std::optional<std::chrono::nanoseconds> until);
  void wait_for_batch(Call call, Consistency asked, Look look, const LedgerPosition& seen,
                      std::optional<std::chrono::nanoseconds> until);
  // people.cpp
  void person(Call call);
  // dead_letters.cpp
  void dead_letters(Call call);
  /// A page of what fits, with what the logs say. Reads the ledger: on the pool.
  [[nodiscard]] Result<DeadLetters> find_letters(DeadLetterQuery query, const LetterTest& test);
  /// The same of one operation; nothing if it is none. REQUIRES: reader_mutex is held.
  [[nodiscard]] Result<std::optional<DeadLetter>> letter_of(Operation operation, bool worklist);
  /// Why a redrive leaves it where it is; nothing if it does not.
  [[nodiscard]] std::optional<Refusal> why_left(const DeadLetter& letter,
                                                const RedriveTerms& terms) const;
  /// Null: its target is not configured.
  [[nodiscard]] const Policy* policy_of(const Operation& operation) const;
  [[nodiscard]] config::Care care_of(const Operation& operation) const;
  // redrive.cpp
  void redrive(Call call);
  // worklist.cpp
  void worklist(Call call);
  void write_work(json::Writer& out, const DeadLetter& letter, const std::vector<EventRecord>& log,
                  WallTime now) const;
  // backlog.cpp
  /// On the pool. As it was a moment ago, where it takes long to count.
  [[nodiscard]] std::optional<Backlog> backlog();
  // leases.cpp
  void lease(Call call);
  void heartbeat(Call call);
  void complete(Call call);
  // batch.cpp
  void batch(Call call);
  // definitions.cpp
  void apply_definitions(Call call);
  void list_definitions(Call call);
  void show_definition(Call call);
  // status.cpp
  void status(Call call);
  void health(Call call);
  void ready(Call call);
  void openapi(Call call);
  void index(Call call);
  // nodes.cpp
  void nodes(Call call);
  void node_history(Call call);
  void ready_to_forward(Call call);
  /// What is known of the ledger's promise, as it is now.
  [[nodiscard]] DurabilityReport durability_report() const;
  /// Its word, for receipts.
  [[nodiscard]] std::string_view durability() const {
    return to_string(durability_report().now.level);
  }
  // metrics.cpp
  void metrics(Call call);

  // answers.cpp
  /// The answer to a submission that is no conflict. `base` is what it was based on, if it said so.
  [[nodiscard]] io::HttpResponse answer_of(const Answer& answer, std::string_view instance,
                                           const std::optional<std::string>& base) const;
  /// REQUIRES: the decision is conflict. `body` is the submission as it was sent. Reads the ledger:
  /// on the pool.
  [[nodiscard]] Problem conflict(const Answer& answer, std::string_view body);
  /// The same without saying which fields differ, where the ledger cannot be read now.
  [[nodiscard]] Problem conflict_unread(const Answer& answer) const;
  /// What a person's choice or, with what was `asked`, a wait for one operation is answered with.
  [[nodiscard]] Reply reply_with_receipt(Call call, Wait wait = {},
                                         std::optional<Consistency> asked = {});

  /// Goes on with `then`, unless the caller's token is for some scopes and the operation is of none
  /// of them: that is answered as if it did not exist. `then` may run on the pool.
  void if_visible(Call call, OperationId id, std::move_only_function<void(Call)> then);

  /// Of operations, at a level of consistency that the caller chooses.
  [[nodiscard]] static bool is_read(const Route& route);
  /// Without an engine.
  [[nodiscard]] bool answers_here(const Route& route, const io::HttpRequest& request) const;
  /// Has the node that acts answer it. Any thread.
  void forward(Call call);

  /// After the last read of several: the answer tells at least where the ledger stands now.
  [[nodiscard]] Result<void> set_floor(Call& call);

  /// Runs `work` on the pool; answers `overloaded` if it is full.
  void on_pool(Call call, std::move_only_function<void(Call)> work);

  /// Somebody applies: what was checked must still be what is current when it is applied.
  std::atomic<bool> applying{false};
  std::unique_ptr<define::Registry> no_types;  ///< where none were given: none are defined
  ServicePorts ports;
  const ServiceOptions options;
  Auth auth;
  std::mutex reader_mutex;  ///< one reader, used by one pool thread at a time
  const WallTime started_at;
  const std::chrono::nanoseconds begun;  ///< the same on the clock that never jumps
  Later later;

 private:
  [[nodiscard]] Result<Backlog> count_backlog();
  [[nodiscard]] Result<void> count_letters(Backlog& backlog);
  [[nodiscard]] Result<void> count_undecided(Backlog& backlog);

  struct Counted {
    Backlog backlog;
    std::chrono::nanoseconds again_at{};  ///< not before
  };
  std::mutex backlog_mutex_;
  std::optional<Counted> counted_;  ///< guarded by backlog_mutex_
};

[[nodiscard]] io::HttpResponse json_response(int status, std::string body);
/// "malformed", with what is wrong.
[[nodiscard]] Problem malformed(std::string detail, std::string pointer = {});
/// The body as JSON; nothing if it is none, and `problem` says why and where.
[[nodiscard]] std::optional<json::Value> read_json(std::string_view text, Problem& problem);

}  // namespace trued::api
