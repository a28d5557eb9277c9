// agenda.h: simulated time: what happens when, a clock over it, and a runner that takes its time.
// One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/digest.h"
#include "engine/runner.h"
#include "sim/chance.h"
#include "sim/options.h"

namespace trued::sim {

/// Events in the order of their time; those of one time in the order in which they were put there.
class Agenda {
 public:
  void after(Duration span, std::move_only_function<void()> event) {
    events_.emplace(std::pair(now_ + span, ++number_), std::move(event));
  }
  [[nodiscard]] Duration now() const { return now_; }
  [[nodiscard]] std::optional<Duration> next() const {
    if (events_.empty()) return std::nullopt;
    return events_.begin()->first.first;
  }
  /// Moves the time on; never past an event.
  void wait_until(Duration time) { now_ = std::max(now_, time); }
  void run_next() {
    auto node = events_.extract(events_.begin());
    now_ = std::max(now_, node.key().first);
    node.mapped()();
  }

 private:
  Duration now_{0};
  std::uint64_t number_ = 0;
  std::map<std::pair<Duration, std::uint64_t>, std::move_only_function<void()>> events_;
};

/// The wall jumps when it is told to; the monotonic clock does not.
class SimClock final : public Clock {
 public:
  explicit SimClock(const Agenda& agenda) : agenda_(agenda) {}
  WallTime wall() override { return WallTime(kBegin + agenda_.now() + offset_); }
  std::chrono::nanoseconds monotonic() override { return agenda_.now(); }
  void jump(Duration by) { offset_ += by; }
  /// When the wall will show `at`, if it does not jump.
  [[nodiscard]] Duration when(WallTime at) const {
    return at.time_since_epoch() - kBegin - offset_;
  }

 private:
  static constexpr Duration kBegin{1'800'000'000'000};
  const Agenda& agenda_;
  Duration offset_{0};
};

/// Runs work after a while, sometimes a long one. A crash runs some of what waits to its end,
/// unheard, and drops the rest.
class SimRunner final : public Runner {
 public:
  /// Runs a piece of work on behalf of its process; false if that does not move now.
  using Running = std::function<bool(const std::function<void()>& work)>;

  SimRunner(Agenda& agenda, Chance& chance, const Options& options, const bool& calm,
            Running running)
      : agenda_(agenda),
        chance_(chance),
        options_(options),
        calm_(calm),
        running_(std::move(running)) {}

  void run(std::move_only_function<void()> work) override {
    const std::uint64_t number = ++number_;
    work_.emplace(number, std::move(work));
    const bool hangs = !calm_ && chance_.in_thousand(options_.hangs);
    const Duration span =
        hangs ? options_.policy.effect_timeout * chance_.between(1, 8) : chance_.span(0, 30);
    agenda_.after(span, [this, number] { finish(number); });
  }

  void crash() {
    std::map<std::uint64_t, std::move_only_function<void()>> work;
    work.swap(work_);
    for (auto& [number, one] : work) {
      if (chance_.in_thousand(500)) one();
    }
  }

 private:
  void finish(std::uint64_t number) {
    auto node = work_.extract(number);
    if (node.empty() || running_(std::ref(node.mapped()))) return;
    work_.insert(std::move(node));
    agenda_.after(kAgain, [this, number] { finish(number); });
  }

  static constexpr Duration kAgain{20};

  Agenda& agenda_;
  Chance& chance_;
  const Options& options_;
  const bool& calm_;
  Running running_;
  std::uint64_t number_ = 0;
  std::map<std::uint64_t, std::move_only_function<void()>> work_;
};

/// What happened, for people and as a digest: two runs of one seed must have the same.
class Trace {
 public:
  Trace(const Agenda& agenda, bool keep) : agenda_(agenda), keep_(keep) {}

  template <class... Parts>
  void say(const Parts&... parts) {
    std::string line = std::to_string(agenda_.now().count());
    line += ' ';
    (append(line, parts), ...);
    line += '\n';
    hash_.update(line);
    ++lines_;
    if (keep_) text_ += line;
  }
  [[nodiscard]] Duration now() const { return agenda_.now(); }
  /// The first thing that must never happen, and did.
  void violation(std::string what) {
    if (!violation_.empty()) return;
    say("VIOLATION ", what);
    violation_ = std::move(what);
  }
  [[nodiscard]] const std::string& first_violation() const { return violation_; }
  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] std::uint64_t lines() const { return lines_; }
  [[nodiscard]] Digest finish() { return hash_.finish(); }

 private:
  static void append(std::string& line, std::string_view text) { line += text; }
  static void append(std::string& line, std::int64_t number) { line += std::to_string(number); }
  static void append(std::string& line, std::uint64_t number) { line += std::to_string(number); }
  static void append(std::string& line, std::uint32_t number) { line += std::to_string(number); }

  const Agenda& agenda_;
  const bool keep_;
  Sha256 hash_;
  std::string text_;
  std::string violation_;
  std::uint64_t lines_ = 0;
};

}  // namespace trued::sim
