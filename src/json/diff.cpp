#include "json/diff.h"

#include <algorithm>
#include <string_view>

#include "base/assert.h"
#include "json/pointer.h"

namespace trued::json {
namespace {

// Collects pointers while walking both trees side by side.
class Walk {
 public:
  explicit Walk(std::size_t max) : max_(max) {}

  void compare(const Value& before, const Value& after) {
    if (full() || before == after) return;
    if (before.is_object() && after.is_object()) return compare_objects(before, after);
    if (before.is_array() && after.is_array()) return compare_arrays(before, after);
    found_.push_back(at_);
  }

  std::vector<std::string> take() { return std::move(found_); }

 private:
  bool full() const { return found_.size() >= max_; }

  void step(std::string_view name) { append_step(at_, name); }

  void report(std::string_view name) {
    if (full()) return;
    const std::size_t base = at_.size();
    step(name);
    TRUED_ASSERT(at_.size() > base);
    found_.push_back(at_);
    at_.resize(base);
  }

  void compare_objects(const Value& before, const Value& after) {
    auto a = before.members().begin();
    auto b = after.members().begin();
    while (a != before.members().end() || b != after.members().end()) {
      const bool only_a = b == after.members().end() ||
                          (a != before.members().end() && name_less(a->first, b->first));
      const bool only_b = !only_a && (a == before.members().end() || name_less(b->first, a->first));
      if (only_a) {
        report((a++)->first);
      } else if (only_b) {
        report((b++)->first);
      } else {
        descend(a->first, a->second, b->second);
        ++a;
        ++b;
      }
    }
  }

  void compare_arrays(const Value& before, const Value& after) {
    const std::size_t shared = std::min(before.items().size(), after.items().size());
    const std::size_t all = std::max(before.items().size(), after.items().size());
    for (std::size_t i = 0; i < shared && !full(); ++i) {
      descend(std::to_string(i), before.items().at(i), after.items().at(i));
    }
    for (std::size_t i = shared; i < all && !full(); ++i) report(std::to_string(i));
  }

  void descend(std::string_view name, const Value& before, const Value& after) {
    const std::size_t base = at_.size();
    step(name);
    const std::size_t here = at_.size();
    compare(before, after);
    TRUED_ASSERT(at_.size() == here);
    TRUED_ASSERT(found_.size() <= max_);
    at_.resize(base);
  }

  std::size_t max_;
  std::string at_;
  std::vector<std::string> found_;
};

}  // namespace

std::vector<std::string> differing_pointers(const Value& before, const Value& after,
                                            std::size_t max) {
  Walk walk(max);
  walk.compare(before, after);
  return walk.take();
}

}  // namespace trued::json
