// shop_test.h: a counterpart for the tests of effects over HTTP: things under names, put there by
// POST, with a count of executions and any trouble that can be asked for.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "io/counting_server_test.h"
#include "target/call_conformance.h"

namespace trued {

/// POST /things/NAME puts the body there; GET reads it. A shop that deduplicates executes one
/// Idempotency-Key once and repeats its answer.
class Shop {
 public:
  explicit Shop(bool deduplicates)
      : deduplicates_(deduplicates),
        server_([this](const io::SeenRequest& request, io::Peer& peer) {
          return serve(request, peer);
        }) {}

  [[nodiscard]] std::string url() const { return server_.url(); }
  [[nodiscard]] int port() const { return server_.port(); }
  [[nodiscard]] io::CountingServer& server() { return server_; }
  void arrange(Trouble trouble) {
    trouble_ = trouble;
    server_.refuse_to_listen(false);
  }
  /// After this many executions the trouble is over.
  void only_for(int executions) { left_ = executions; }
  int executions(const std::string& name) {
    const std::scoped_lock lock(mutex_);
    return executed_[name];
  }
  bool was_told(const std::string& identity) {
    const std::scoped_lock lock(mutex_);
    return told_.contains(identity);
  }

 private:
  bool serve(const io::SeenRequest& request, io::Peer& peer) {
    const std::string name = request.target.substr(request.target.rfind('/') + 1);
    const Trouble trouble = trouble_now();
    if (request.method == "GET") return show(name, trouble, peer);
    const std::string key = request.header("Idempotency-Key");
    if (trouble == Trouble::refused_final) {
      peer.answer("422 Unprocessable Content", "{\"error\":\"no\"}");
      return true;
    }
    if (trouble == Trouble::refused_for_now) {
      peer.answer("429 Too Many Requests", "", "Retry-After: 7\r\n");
      return true;
    }
    if (trouble == Trouble::lost_before) return false;
    if (trouble == Trouble::hang_before) return peer.hang(), false;
    const std::string answer = execute(name, key, request.body);
    if (trouble == Trouble::lost_after) return false;
    if (trouble == Trouble::hang_after) return peer.hang(), false;
    if (trouble == Trouble::garbage_after) return peer.send("\x15\x03\x01 nonsense\r\n\r\n"), false;
    peer.answer("201 Created", answer, "ETag: \"v1\"\r\nContent-Type: application/json\r\n");
    return true;
  }

  bool show(const std::string& name, Trouble trouble, io::Peer& peer) {
    if (trouble == Trouble::lost_before) return false;
    if (trouble == Trouble::hang_before) return peer.hang(), false;
    if (trouble == Trouble::refused_for_now) {
      peer.answer("503 Service Unavailable", "");
      return true;
    }
    std::optional<std::string> found;
    {
      const std::scoped_lock lock(mutex_);
      if (const auto at = things_.find(name); at != things_.end()) found = at->second;
    }
    found ? peer.answer("200 OK", *found) : peer.answer("404 Not Found", "");
    return true;
  }

  std::string execute(const std::string& name, const std::string& key, const std::string& body) {
    const std::scoped_lock lock(mutex_);
    told_.insert(key);
    const auto known = answers_.find(key);
    if (deduplicates_ && known != answers_.end()) return known->second;
    things_[name] = body;
    ++executed_[name];
    return answers_[key] = "{\"id\":\"" + name + "-" + std::to_string(executed_[name]) + "\"}";
  }

  Trouble trouble_now() {
    if (left_ < 0) return trouble_;
    return left_-- > 0 ? trouble_.load() : Trouble::none;
  }

  const bool deduplicates_;
  std::atomic<Trouble> trouble_{Trouble::none};
  std::atomic<int> left_{-1};
  std::mutex mutex_;
  std::map<std::string, std::string> things_;  // guarded by mutex_, as what follows
  std::map<std::string, int> executed_;
  std::map<std::string, std::string> answers_;  // by key
  std::set<std::string> told_;
  io::CountingServer server_;  // last: its threads use what is above
};

}  // namespace trued
