// trued.h: verified writes in your own process.
//
// A write is confirmed only when what its consumer would read was read back and is what you meant.
// Every write is an operation with an identity (your key): repeating it, after a crash too, never
// carries it out twice.
//
// Invariants
//   (1) Status::confirmed means: every artifact was read back at every level and matched.
//   (2) A write that returned a receipt is in the ledger as far as Session::durability() says.
//   (3) Nothing is retried past the policy's bounds.
//
// Threads: a Session may be used from any number of threads at once. Calls block up to the time
// they are given. No exception is thrown by any of these functions except std::bad_alloc.
//
// Example: examples/verified_write.cpp
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace trued::v1 {

using Milliseconds = std::chrono::milliseconds;

/// Whether the thing asked for took place. `maybe` is an answer of its own.
enum class Happened : std::uint8_t { no, maybe, yes };

/// An operating error: something could not be done, and whether it may have been all the same.
struct Failure {
  std::string code;  ///< "invalid_argument", "io", "unavailable", "timeout", …; stable
  Happened happened = Happened::no;
  bool retryable = false;  ///< an identical call may go differently later
  std::string message;
};

/// A value or a Failure. Reading the wrong side ends the process (a programmer's error).
template <class T>
class [[nodiscard]] Outcome {
 public:
  Outcome(T value) : state_(std::in_place_index<0>, std::move(value)) {}            // NOLINT
  Outcome(Failure failure) : state_(std::in_place_index<1>, std::move(failure)) {}  // NOLINT

  [[nodiscard]] bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }
  [[nodiscard]] T& value() { return std::get<0>(state_); }
  [[nodiscard]] const T& value() const { return std::get<0>(state_); }
  [[nodiscard]] const Failure& failure() const { return std::get<1>(state_); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  std::variant<T, Failure> state_;
};

/// One thing a consumer reads. No content means that it should not exist afterwards.
struct Artifact {
  std::string path;  ///< relative, '/' separated
  std::optional<std::string> content;
};

/// The bounds within which a write is carried out and read back. None is negative or longer than
/// ten years, and retention outlasts an operation: deadline, two timeouts, and reading back.
struct Policy {
  std::uint32_t attempts_max = 5;   ///< attempts of the effect, the first included
  Milliseconds backoff_first{200};  ///< exponential, full jitter
  Milliseconds backoff_cap{10'000};
  Milliseconds settle_within{5'000};  ///< how long a read that differs is read again
  std::uint32_t settle_reads_max = 5;
  Milliseconds attempt_timeout{30'000};
  Milliseconds deadline{15 * 60'000};      ///< from acceptance; nothing is attempted after it
  Milliseconds retention{24 * 3'600'000};  ///< how long a repeat gets the stored receipt
};

enum class Status : std::uint8_t {
  pending,     ///< still under way: ask again with find(), or repeat the write with its key
  confirmed,   ///< read back and equal, or already so before (`changed` false)
  unverified,  ///< the target said yes and verification was left out
  superseded,  ///< landed, then replaced by a later writer
  failed,      ///< known not to have happened
  undone,
  canceled,
  needs_action,  ///< the bound is reached and the truth is unknown or wrong: a person decides
};

/// What was seen of one artifact at one level ("store", or "serving" where there is one).
struct Evidence {
  std::string path;
  std::string level;
  std::string verdict;  ///< "match", "mismatch", "unreadable"; empty before the first read
  std::uint32_t reads = 0;
  std::string intended_sha256;  ///< empty for an artifact that should be absent
  std::string observed_sha256;  ///< empty if nothing was found
  std::uint64_t observed_bytes = 0;
  std::string detail;
};

struct Receipt {
  std::string id;  ///< "op_…"
  std::string key;
  std::string decision;  ///< "new", "duplicate", "in_flight", "conflict", "late"
  Status status = Status::pending;
  std::string state;  ///< exact: "confirmed", "unchanged", "verifying", …
  /// Whether it changed anything at the target; nothing where that is not known, which is neither.
  std::optional<bool> changed;
  std::uint32_t attempts = 0;
  std::vector<Evidence> evidence;
  std::string tell;    ///< the last lie that was caught, or empty
  std::string reason;  ///< why it waits, failed or needs a person
  std::string next;    ///< what to do now; empty when there is nothing to do
};

[[nodiscard]] const char* to_string(Status status);

/// What your own write said.
struct Acknowledgement {
  enum class Kind : std::uint8_t {
    acknowledged,        ///< it said yes; nothing is believed until it is read back
    rejected_retryable,  ///< it certainly did not happen, and may go differently later
    rejected_final,      ///< it certainly did not happen, and will not
    unknown,             ///< no answer: it may have happened
  };
  Kind kind = Kind::unknown;
  std::string version;  ///< what it reports (a revision, an ETag); may be empty
  std::string reason;
};

/// What your own read found.
struct Found {
  enum class Kind : std::uint8_t { content, absent, unreadable };
  Kind kind = Kind::unreadable;
  std::string content;
  std::string reason;  ///< unreadable: why
};

/// Wraps an existing write path, so that it gets read-back, identity and bounded retries without
/// being changed. Calls come from several threads at once. Exceptions count as unknown/unreadable.
class Store {
 public:
  virtual ~Store() = default;
  /// Puts every artifact in place (or away). Must be harmless to repeat with the same content.
  virtual Acknowledgement write(const std::string& operation,
                                const std::vector<Artifact>& artifacts) = 0;
  /// Reads one artifact the way its consumer does; never from a cache of the writer.
  virtual Found read(const std::string& path) = 0;
};

struct SessionOptions {
  std::string ledger;    ///< file of the SQLite ledger, created if needed; empty: in memory
  unsigned workers = 4;  ///< threads for effects and read-backs
};

struct GitTarget {
  std::string repository;   ///< path of a repository, or http(s) URL
  std::string branch;       ///< empty: the one that the repository's HEAD names
  std::string serving_url;  ///< "https://docs.example.com/${artifact.path}", or empty
};

struct WriteOptions {
  std::string key;            ///< the identity: 1 to 255 visible characters. REQUIRED
  std::string message = {};   ///< for people: a commit message; may be empty
  std::string base = {};      ///< the version the change was based on; a changed base is refused,
                              ///< and so is any base where the target has no versions
  std::string actor = {};     ///< who writes; recorded; at most 255 bytes
  bool verify = true;         ///< false is recorded, and such a write is never called confirmed
  Milliseconds wait{60'000};  ///< how long to wait for the verdict
};

/// An engine and its ledger inside this process. Movable.
class Session {
 public:
  /// Opens the ledger and resolves what an earlier process left in flight once its targets are
  /// added and start() was called. Fails with `io`, `corrupt`, `unsupported` (newer schema), or
  /// `already_exists` if another process holds the ledger; nothing happened.
  [[nodiscard]] static Outcome<Session> open(const SessionOptions& options);
  ~Session();
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;

  /// Targets are added before start(). Names: [A-Za-z0-9_.-], at most 64. What is wrong comes back
  /// as a Failure; nothing happened.
  [[nodiscard]] std::optional<Failure> add_directory(const std::string& name,
                                                     const std::string& directory,
                                                     const Policy& policy = {});
  [[nodiscard]] std::optional<Failure> add_git(const std::string& name, const GitTarget& target,
                                               const Policy& policy = {});
  [[nodiscard]] std::optional<Failure> add_store(const std::string& name,
                                                 std::unique_ptr<Store> store,
                                                 const Policy& policy = {});

  /// Recovers and begins to work. Once.
  [[nodiscard]] std::optional<Failure> start();

  /// Writes the artifacts as one operation and reads them back. Returns when the verdict is there
  /// or `options.wait` is over (Status::pending). A repeat with the same key and artifacts returns
  /// the stored receipt (decision "duplicate"); other artifacts under the key: decision
  /// "conflict", nothing executed. What could not be carried out as it stands is refused as by the
  /// HTTP API (`invalid_argument`): sizes, paths, paths given twice or one below the other, control
  /// characters in texts that people will see, a `base` without versions. A Failure with happened
  /// `no` means that nothing was accepted; with `maybe` repeat the call with the same key.
  [[nodiscard]] Outcome<Receipt> write_and_verify(const std::string& target,
                                                  std::vector<Artifact> artifacts,
                                                  const WriteOptions& options);

  /// The receipt of an operation as it is now; `not_found` if there is none.
  [[nodiscard]] Outcome<Receipt> find(const std::string& id);

  /// What an accepted write survives: "fsync" or "memory".
  [[nodiscard]] std::string durability() const;

 private:
  class Impl;
  explicit Session(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace trued::v1
