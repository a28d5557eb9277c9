#include <algorithm>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "target/call_conformance.h"
#include "target/exec/exec_target.h"
#include "target/exec/exec_world_test.h"

namespace trued {
namespace {

// "thing put NAME VALUE" and "thing get NAME", with whatever is the trouble now.
constexpr const char* kThing = R"sh(
read -r trouble < trouble
case $1 in put) echo "$TRUED_IDENTITY" >> told ;; esac
case $trouble in
  refused_final) echo 'no such account' >&2; exit 3 ;;
  refused_for_now) echo 'come again' >&2; exit 75 ;;
  lost_before) kill -9 $$ ;;
  hang_before) exec sleep 1000 ;;
esac
case $1 in
  get)
    test -e "things/$2" || exit 4
    cat "things/$2"
    exit 0 ;;
esac
if test -d seen && ! mkdir "seen/$TRUED_IDENTITY" 2> /dev/null; then
  echo '{"again": true}'
  exit 0
fi
echo "$2" >> executions
printf %s "$3" > "things/$2"
case $trouble in
  lost_after) kill -9 $$ ;;
  hang_after) exec sleep 1000 ;;
  garbage_after) printf '\377\376{'; exit 99 ;;
esac
printf '{"name": "%s"}' "$2"
)sh";

class ExecWorld final : public CallWorld {
 public:
  explicit ExecWorld(bool deduplicates) {
    directory_.command("thing", kThing);
    directory_.write("trouble", "none\n");
    std::filesystem::create_directory(directory_.path("things"));
    if (deduplicates) std::filesystem::create_directory(directory_.path("seen"));
    target_ = directory_.target([&](ExecSpec& spec) {
      spec.deduplicates = deduplicates;
      spec.exit.rejected = {3};
    });
  }
  CallTarget& target() override { return *target_; }
  json::Value effect(const std::string& name, const std::string& value) override {
    return json_of(R"({"argv":["thing","put",")" + name + R"(",")" + value + "\"]}");
  }
  json::Value read(const std::string& name) override {
    return json_of(R"({"argv":["thing","get",")" + name + "\"]}");
  }
  int executions(const std::string& name) override {
    return static_cast<int>(count("executions", name));
  }
  bool arrange(Trouble trouble) override {
    // The command is not installed, and then it is again.
    const bool away = trouble == Trouble::unreachable;
    if (away != away_) {
      std::filesystem::rename(directory_.path(away ? "thing" : "away"),
                              directory_.path(away ? "away" : "thing"));
    }
    away_ = away;
    const auto named =
        std::ranges::find_if(kTroubles, [&](const auto& each) { return each.first == trouble; });
    directory_.write("trouble", std::string(named->second) + "\n");
    return true;
  }
  std::optional<bool> was_told(const std::string& identity) override {
    return count("told", identity) > 0;
  }
  std::vector<json::Value> effect_templates() override {
    return {json_of(R"({"argv":["/usr/bin/charge","--id=${input.id}","${input.n}",true,7],
                        "stdin":"${input.text}","env":{"TENANT":"${input.tenant}","N":1,"A":null},
                        "timeout":"5s","exit":{"rejected":[2,3],"unknown":[0]}})"),
            json_of(R"({"argv":["thing"],"stdin":{"json":{"a":"${input.a}","b":[1]}}})"),
            json_of(R"({"argv":["/bin/sh","-c","charge \"$1\"","sh","${input.a}"]})")};
  }
  std::vector<json::Value> read_templates() override {
    return {json_of(R"({"argv":["thing","get","${result.id}"],"absent_on":[1,4]})"),
            json_of(R"({"argv":["thing"],"stdin":{"json":"${input.a}"},"timeout":"1s"})")};
  }
  std::vector<BadCall> bad_effects() override {
    return bad(
        {{R"({"stdin":"x"})", "/argv"},
         {R"({"argv":"thing"})", "/argv"},
         {R"({"argv":"${input.argv}"})", "/argv"},
         {R"({"argv":[]})", "/argv"},
         {R"({"argv":["${input.command}"]})", "/argv/0"},
         {R"({"argv":["/usr/bin/${input.command}"]})", "/argv/0"},
         {R"({"argv":["./thing"]})", "/argv/0"},
         {R"({"argv":["/usr/bin/"]})", "/argv/0"},
         {R"({"argv":[7]})", "/argv/0"},
         {R"({"argv":["thing",null]})", "/argv/1"},
         {R"({"argv":["thing","a",["b"]]})", "/argv/2"},
         {R"({"argv":["thing","a\u0000b"]})", "/argv/1"},
         {R"({"argv":["thing"],"env":"${input.env}"})", "/env"},
         {R"({"argv":["thing"],"env":{"a/b":"x"}})", "/env/a~1b"},
         {R"({"argv":["thing"],"env":{"A=B":"x"}})", "/env/A=B"},
         {R"({"argv":["thing"],"env":{"TRUED_IDENTITY":"x"}})", "/env/TRUED_IDENTITY"},
         {R"({"argv":["thing"],"env":{"A":[1]}})", "/env/A"},
         {R"({"argv":["thing"],"stdin":7})", "/stdin"},
         {R"({"argv":["thing"],"stdin":{"json":1,"text":"x"}})", "/stdin/text"},
         {R"({"argv":["thing"],"timeout":"soon"})", "/timeout"},
         {R"({"argv":["thing"],"timeout":"0s"})", "/timeout"},
         {R"({"argv":["thing"],"exit":{"rejected":[0]}})", "/exit/rejected/0"},
         {R"({"argv":["thing"],"exit":{"rejected":[2],"retryable":[2]}})", "/exit/retryable/0"},
         {R"({"argv":["thing"],"exit":{"refused":[2]}})", "/exit/refused"},
         {R"({"argv":["thing"],"exit":{"unknown":[256]}})", "/exit/unknown/0"},
         {R"({"argv":["thing"],"absent_on":[4]})", "/absent_on"},
         {R"({"argv":["thing"],"arvg":["x"]})", "/arvg"}});
  }
  std::vector<BadCall> bad_reads() override {
    return bad({{R"({"argv":"${input.argv}"})", "/argv"},
                {R"({"argv":["thing"],"absent_on":4})", "/absent_on"},
                {R"({"argv":["thing"],"absent_on":[0]})", "/absent_on/0"},
                {R"({"argv":["thing"],"absent_on":[4,127]})", "/absent_on/1"},
                {R"({"argv":["thing"],"exit":{"unknown":[1]}})", "/exit"}});
  }

 private:
  static std::vector<BadCall> bad(const std::vector<std::pair<const char*, const char*>>& calls) {
    std::vector<BadCall> out;
    for (const auto& [request, pointer] : calls) out.push_back({json_of(request), pointer});
    return out;
  }
  [[nodiscard]] long count(const std::string& file, const std::string& line) const {
    std::istringstream lines(directory_.text(file));
    std::string each;
    long found = 0;
    while (std::getline(lines, each)) found += each == line ? 1 : 0;
    return found;
  }

  CommandDirectory directory_;
  std::shared_ptr<CallTarget> target_;
  bool away_ = false;
};

INSTANTIATE_TEST_SUITE_P(
    Exec, CallConformance,
    testing::Values(CallConformanceCase{"exec", [] { return std::make_unique<ExecWorld>(false); }},
                    CallConformanceCase{"deduplicating",
                                        [] { return std::make_unique<ExecWorld>(true); }}),
    call_conformance_name);

}  // namespace
}  // namespace trued
