// What commands do to whoever runs them, and that the word about them stays true.
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <string>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>

#include "base/sanitized.h"
#include "target/exec/command.h"
#include "target/exec/exec_world_test.h"

namespace trued {
namespace {

constexpr auto kSoon = std::chrono::seconds(20);

// Waits for what another process does.
bool becomes(const std::function<bool()>& condition) {
  const auto until = std::chrono::steady_clock::now() + kSoon;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::yield();
  }
  return true;
}

bool is_number(const std::string& text) { return text.ends_with('\n'); }

bool lives(const std::string& pid) {
  std::ifstream status("/proc/" + pid.substr(0, pid.find('\n')) + "/stat");
  std::string line;
  if (!std::getline(status, line)) return false;
  const std::size_t state = line.rfind(')') + 2;
  return line.at(state) != 'Z' && line.at(state) != 'X';
}

class Exec : public testing::Test {
 protected:
  EffectEnded perform(const std::string& request, Duration timeout = Duration{20'000}) {
    return directory_.target()->perform(call_of(request, timeout)).ended;
  }
  EffectEnded run(const std::string& script, Duration timeout = Duration{20'000}) {
    directory_.command("run", script);
    return perform(R"({"argv":["run"]})", timeout);
  }
  CommandDirectory directory_;
};

TEST_F(Exec, T1_what_a_code_means_is_declared_and_everything_else_is_unknown) {
  directory_.command("end", "exit $1");
  const auto target = directory_.target([](ExecSpec& spec) {
    spec.exit = {.acknowledged = {9}, .rejected = {3}, .retryable = {8}, .unknown = {75}};
  });
  const auto kind = [&](const std::string& code, const std::string& more = "") {
    return target->perform(call_of(R"({"argv":["end",")" + code + "\"]" + more + "}")).ended.kind;
  };
  EXPECT_EQ(kind("0"), EffectKind::acknowledged);
  EXPECT_EQ(kind("9"), EffectKind::acknowledged);
  EXPECT_EQ(kind("3"), EffectKind::rejected_final);
  EXPECT_EQ(kind("8"), EffectKind::rejected_retryable);
  EXPECT_EQ(kind("75"), EffectKind::unknown);
  for (const char* code : {"1", "2", "126", "127", "137", "255"}) {
    EXPECT_EQ(kind(code), EffectKind::unknown) << code;
  }
  // What the call says goes first.
  EXPECT_EQ(kind("9", R"(,"exit":{"unknown":[9],"retryable":[75]})"), EffectKind::unknown);
  EXPECT_EQ(kind("75", R"(,"exit":{"retryable":[75]})"), EffectKind::rejected_retryable);
  EXPECT_EQ(kind("0", R"(,"exit":{"unknown":[0]})"), EffectKind::unknown);
}

TEST_F(Exec, T1_only_a_failed_exec_means_that_it_never_ran) {
  const EffectEnded missing = perform(R"({"argv":["/no/such/command"]})");
  EXPECT_EQ(missing.kind, EffectKind::not_sent);
  EXPECT_EQ(missing.reason, "'/no/such/command' could not be run: No such file or directory");
  directory_.write("plain", "exit 0");
  EXPECT_EQ(perform(R"({"argv":["plain"]})").kind, EffectKind::rejected_final);
  std::filesystem::permissions(directory_.path("plain"), std::filesystem::perms::owner_all);
  EXPECT_EQ(perform(R"({"argv":["plain"]})").kind, EffectKind::rejected_final)
      << "no shell runs it";
  const std::string huge(std::size_t{4} << 20U, 'x');
  const EffectEnded large = perform(R"({"argv":["true",")" + huge + "\"]}");
  EXPECT_EQ(large.kind, EffectKind::rejected_final);
  EXPECT_EQ(large.reason, "'true' could not be run: Argument list too long");
  // Open for writing: the program is being replaced at this moment.
  std::filesystem::copy_file("/bin/true", directory_.path("busy"));
  {
    const std::ofstream writer(directory_.path("busy"), std::ios::app);
    EXPECT_EQ(perform(R"({"argv":["busy"]})").kind, EffectKind::not_sent);
  }
  EXPECT_EQ(perform(R"({"argv":["busy"]})").kind, EffectKind::acknowledged);
}

TEST_F(Exec, T1_a_directory_that_is_gone_is_named) {
  std::filesystem::create_directory(directory_.path("work"));
  const auto target =
      directory_.target([&](ExecSpec& spec) { spec.directory = directory_.path("work"); });
  std::filesystem::remove(directory_.path("work"));
  const EffectEnded ended = target->perform(call_of(R"({"argv":["true"]})")).ended;
  EXPECT_EQ(ended.kind, EffectKind::not_sent);
  EXPECT_EQ(ended.reason, "'true' could not be run in '" + directory_.path("work") +
                              "': No such file or directory");
}

TEST_F(Exec, T1_one_that_hangs_is_ended_within_its_time_and_unknown) {
  const auto begun = std::chrono::steady_clock::now();
  const EffectEnded ended = run("exec sleep 1000", Duration{400});
  EXPECT_EQ(ended.kind, EffectKind::unknown);
  EXPECT_NE(ended.reason.find("still running when its time was over"), std::string::npos);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, kSoon);
}

TEST_F(Exec, T1_one_that_ignores_being_asked_is_ended_all_the_same) {
  directory_.command("deaf", "trap '' TERM\necho $$ > pid\nwhile :; do sleep 1; done");
  directory_.write("pid", "");
  const EffectEnded ended = perform(R"({"argv":["deaf"]})", Duration{1'000});
  EXPECT_EQ(ended.kind, EffectKind::unknown) << ended.reason;
  EXPECT_FALSE(lives(directory_.text("pid")));
}

// It caught the signal in the middle of whatever it did: its exit code is that of its clean-up.
TEST_F(Exec, T1_one_that_says_yes_after_it_was_asked_to_end_is_unknown) {
  const EffectEnded ended =
      run("trap 'exit 0' TERM\nwhile :; do sleep 0.01; done", Duration{2'000});
  EXPECT_EQ(ended.kind, EffectKind::unknown);
}

TEST_F(Exec, T1_its_children_are_ended_with_it) {
  directory_.command("parent", "sleep 1000 & echo $! > pid\nwait");
  EXPECT_EQ(perform(R"({"argv":["parent"]})", Duration{1'000}).kind, EffectKind::unknown);
  ASSERT_TRUE(is_number(directory_.text("pid")));
  EXPECT_TRUE(becomes([&] { return !lives(directory_.text("pid")); }));
}

TEST_F(Exec, T1_what_is_left_in_the_background_ends_with_the_command) {
  const auto begun = std::chrono::steady_clock::now();
  const EffectEnded ended = run("sleep 1000 & echo $! > pid\necho '{\"id\": 7}'");
  EXPECT_EQ(ended.kind, EffectKind::acknowledged) << ended.reason;
  EXPECT_EQ(ended.result, R"({"id":7})");
  EXPECT_LT(std::chrono::steady_clock::now() - begun, kSoon) << "it waited for the pipe";
  EXPECT_TRUE(becomes([&] { return !lives(directory_.text("pid")); }));
}

TEST_F(Exec, T1_a_daemon_that_holds_the_pipe_is_not_waited_for) {
  const auto begun = std::chrono::steady_clock::now();
  const EffectEnded ended =
      run("setsid sh -c 'echo $$ > pid; exec sleep 1000' &\n"
          "while ! test -s pid; do sleep 0.01; done\necho done");
  EXPECT_EQ(ended.kind, EffectKind::acknowledged) << ended.reason;
  EXPECT_EQ(ended.result, R"({"stdout":"done\n"})");
  EXPECT_LT(std::chrono::steady_clock::now() - begun, kSoon);
  const std::string pid = directory_.text("pid");
  ASSERT_TRUE(is_number(pid));
  EXPECT_TRUE(lives(pid)) << "what left the group on purpose stays";
  pid_t daemon = 0;
  (void)std::from_chars(pid.data(), pid.data() + pid.size(), daemon);
  EXPECT_EQ(::kill(daemon, SIGKILL), 0);
}

TEST_F(Exec, T1_a_flood_is_bounded_and_judged_by_its_end) {
  const auto target = directory_.target([](ExecSpec& spec) { spec.output_bytes_max = 100'000; });
  directory_.command("flood",
                     "head -c 5000000 /dev/zero | tr '\\0' 'x'\n"
                     "head -c 5000000 /dev/zero | tr '\\0' 'y' >&2\nexit ${1:-0}");
  const EffectEnded ended = target->perform(call_of(R"({"argv":["flood"]})")).ended;
  EXPECT_EQ(ended.kind, EffectKind::acknowledged) << ended.reason;
  const json::Value result = json_of(ended.result);
  ASSERT_NE(result.find("truncated"), nullptr);
  EXPECT_LE(ended.result.size(), std::size_t{64} << 10U);
  const RawRead back = target->read(call_of(R"({"argv":["flood"]})"));
  EXPECT_EQ(back.seen, Seen::unreadable);
  EXPECT_EQ(back.detail, "'flood' wrote more than 100000 bytes");
  const EffectEnded failed = target->perform(call_of(R"({"argv":["flood","1"]})")).ended;
  EXPECT_EQ(failed.kind, EffectKind::unknown);
  EXPECT_LT(failed.reason.size(), 1'000U);
}

TEST_F(Exec, T1_one_that_floods_for_ever_is_ended_in_time) {
  const EffectEnded ended = run("exec cat /dev/zero", Duration{1'000});
  EXPECT_EQ(ended.kind, EffectKind::unknown);
}

TEST_F(Exec, T1_one_that_does_not_read_its_input_is_no_trouble) {
  const std::string input(std::size_t{3} << 20U, 'i');
  EXPECT_EQ(perform(R"({"argv":["true"],"stdin":")" + input + "\"}").kind,
            EffectKind::acknowledged);
  directory_.command("count", "wc -c");
  const EffectEnded counted = perform(R"({"argv":["count"],"stdin":")" + input + "\"}");
  EXPECT_EQ(counted.result, R"({"stdout":"3145728\n"})");
  EXPECT_EQ(perform(R"({"argv":["cat"],"stdin":{"json":{"b":1,"a":[true]}}})").result,
            R"({"a":[true],"b":1})");
  EXPECT_EQ(perform(R"({"argv":["count"]})").result, R"({"stdout":"0\n"})");
}

TEST_F(Exec, T1_one_that_dies_by_a_signal_is_unknown) {
  const EffectEnded ended = run("echo 'half is done' >&2\nkill -SEGV $$");
  EXPECT_EQ(ended.kind, EffectKind::unknown);
  EXPECT_EQ(ended.reason, "'run' was ended by signal 11 (Segmentation fault): half is done");
}

TEST_F(Exec, V3_a_read_says_why_it_could_not) {
  directory_.command("fail", "printf 'first\\nthe disk \\033[31mis\\tgone\\n\\n' >&2; exit 5");
  const auto target = directory_.target();
  const RawRead read = target->read(call_of(R"({"argv":["fail"]})"));
  EXPECT_EQ(read.seen, Seen::unreadable);
  EXPECT_EQ(read.detail, "'fail' ended with exit code 5: the disk  [31mis gone");
  EXPECT_EQ(target->read(call_of(R"({"argv":["fail"],"absent_on":[5]})")).seen, Seen::absent);
}

TEST_F(Exec, T2_a_command_gets_what_was_declared_and_nothing_else) {
  ::setenv("TRUED_TEST_LEAK", "secret", 1);
  const OwnedFd leak(
      ::open("/dev/null", O_RDONLY));  // not closed on exec, as of a careless library
  directory_.command("show",
                     "env | grep -v '^PWD=\\|^_=\\|^SHLVL='; echo \"in $(pwd) $(umask)\"; "
                     "ls /proc/self/fd | tr '\\n' ' '");
  const auto target = directory_.target([](ExecSpec& spec) {
    spec.path = {"/usr/bin", "/bin"};
    spec.umask = "027";
    spec.environment = {
        {.name = "A", .value = "1"}, {.name = "B", .value = "2"}, {.name = "C", .value = "3"}};
  });
  Call call =
      call_of(R"({"argv":[")" + directory_.path("show") + R"("],"env":{"B":"two","C":null}})");
  call.context.attempt = AttemptNo(3);
  call.context.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const std::string seen = target->read(call).content;
  for (const char* line :
       {"A=1\n", "B=two\n", "PATH=/usr/bin:/bin\n", "TRUED_OPERATION_ID=op_",
        "TRUED_IDENTITY=0123456789abcdef0123456789abcdef\n",
        "TRACEPARENT=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\n"}) {
    EXPECT_NE(seen.find(line), std::string::npos) << line << " in\n" << seen;
  }
  EXPECT_EQ(seen.find("C="), std::string::npos) << seen;
  EXPECT_EQ(seen.find("LEAK"), std::string::npos) << seen;
  EXPECT_EQ(seen.find("TRUED_ATTEMPT"), std::string::npos) << "a read is no attempt";
  EXPECT_NE(seen.find("in " + directory_.path() + " 0027\n"), std::string::npos) << seen;
  EXPECT_NE(seen.find("\n0 1 2 3 "), std::string::npos) << seen;  // 3: the directory that is listed
  EXPECT_TRUE(seen.ends_with("\n0 1 2 3 ")) << seen;
  const EffectEnded done = target->perform(call).ended;
  EXPECT_NE(done.result.find("TRUED_ATTEMPT=3"), std::string::npos) << done.result;
}

TEST_F(Exec, a_command_is_looked_for_in_the_path_in_order) {
  CommandDirectory first;
  first.write("tool", "#!/bin/sh\necho first");  // there, and not executable
  directory_.command("tool", "echo second");
  const auto target = directory_.target([&](ExecSpec& spec) {
    spec.path.insert(spec.path.begin(), {"/no/such/place", first.path()});
  });
  EXPECT_EQ(target->read(call_of(R"({"argv":["tool"]})")).content, "second\n");
  const auto bare = directory_.target([](ExecSpec& spec) { spec.path.clear(); });
  EXPECT_EQ(bare->perform(call_of(R"({"argv":["tool"]})")).ended.kind, EffectKind::rejected_final);
}

TEST_F(Exec, secrets_are_masked_in_reasons_and_results) {
  directory_.command("tell", "echo \"key $KEY\"; echo \"bad key $KEY\" >&2; exit ${1:-0}");
  const auto target = directory_.target([](ExecSpec& spec) {
    spec.environment = {{.name = "KEY", .value = "hush-1234", .secret = true}};
  });
  EXPECT_EQ(target->perform(call_of(R"({"argv":["tell"]})")).ended.result,
            R"({"stdout":"key ***\n"})");
  EXPECT_EQ(target->perform(call_of(R"({"argv":["tell","1"]})")).ended.reason,
            "'tell' ended with exit code 1: bad key ***");
}

TEST_F(Exec, V10_a_value_of_a_letter_is_no_secret) {
  directory_.command("tell", "echo '{\"amount\":11}'");
  const auto target = directory_.target(
      [](ExecSpec& spec) { spec.environment = {{.name = "LEVEL", .value = "1", .secret = true}}; });
  EXPECT_EQ(target->perform(call_of(R"({"argv":["tell"]})")).ended.result, R"({"amount":11})");
}

TEST_F(Exec, T1_what_is_no_utf8_is_repaired_before_it_is_kept) {
  directory_.command("bytes", "printf '\\377x'; printf '\\377y' >&2; exit ${1:-0}");
  const auto target = directory_.target();
  EXPECT_EQ(target->perform(call_of(R"({"argv":["bytes"]})")).ended.result,
            "{\"stdout\":\"\xef\xbf\xbdx\"}");
  EXPECT_EQ(target->perform(call_of(R"({"argv":["bytes","1"]})")).ended.reason,
            "'bytes' ended with exit code 1: \xef\xbf\xbdy");
}

TEST_F(Exec, no_zombie_is_left) {
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(perform(R"({"argv":["true"]})").kind, EffectKind::acknowledged);
  }
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
}

TEST_F(Exec, T1_without_descriptors_nothing_is_begun) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer needs descriptors itself";
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const auto target = directory_.target();
  const Call call = call_of(R"({"argv":["true"]})");
  for (rlim_t limit = 3; limit < 24; ++limit) {
    const rlimit tight{.rlim_cur = limit, .rlim_max = before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
    const EffectEnded ended = target->perform(call).ended;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    EXPECT_TRUE(ended.kind == EffectKind::acknowledged || ended.kind == EffectKind::not_sent)
        << ended.reason;
  }
}

// In a process of its own: stopping is for good.
TEST_F(Exec, T1_stopping_ends_all_and_begins_none) {
  directory_.command("deaf", "trap '' TERM\necho $$ > pid\nwhile :; do sleep 1; done");
  directory_.write("pid", "");
  const auto in_another_process = [&] {
    auto ended = std::async(std::launch::async, [&] { return perform(R"({"argv":["deaf"]})"); });
    if (!becomes([&] { return is_number(directory_.text("pid")); })) ::_exit(1);
    stop_commands(Duration{100});
    if (ended.get().kind != EffectKind::unknown) ::_exit(2);
    if (perform(R"({"argv":["true"]})").kind != EffectKind::not_sent) ::_exit(3);
    ::_exit(lives(directory_.text("pid")) ? 4 : 0);
  };
  EXPECT_EXIT(in_another_process(), testing::ExitedWithCode(0), "");
}

// Whoever kills the server kills the command.
TEST_F(Exec, T1_a_command_does_not_outlive_its_server) {
  directory_.command("long", "echo $$ > pid\nexec sleep 1000");
  directory_.write("pid", "");
  const pid_t server = ::fork();
  if (server == 0) {
    (void)perform(R"({"argv":["long"]})");
    ::_exit(0);
  }
  ASSERT_TRUE(becomes([&] { return is_number(directory_.text("pid")); }));
  EXPECT_TRUE(lives(directory_.text("pid")));
  ::kill(server, SIGKILL);
  ASSERT_EQ(::waitpid(server, nullptr, 0), server);
  EXPECT_TRUE(becomes([&] { return !lives(directory_.text("pid")); }));
}

TEST_F(Exec, V10_no_input_decides_what_is_run) {
  const std::pair<const char*, const char*> refused[] = {
      {R"({"argv":["true"],"env":{"PATH":"${input.p}"}})", "/env/PATH"},
      {R"({"argv":["true"],"env":{"LD_PRELOAD":"/x/${input.p}"}})", "/env/LD_PRELOAD"},
      {R"({"argv":["true"],"env":{"BASH_ENV":"${input.p}"}})", "/env/BASH_ENV"},
      {R"({"argv":["/bin/sh","-c","rm ${input.p}"]})", "/argv/2"},
      {R"({"argv":["bash","-ec","${input.p}"]})", "/argv/2"},
      {R"({"argv":["python3","-c","x = '${input.p}'"]})", "/argv/2"},
      {R"({"argv":["node","--eval","${input.p}"]})", "/argv/2"},
      {R"({"argv":["/usr/bin/env","A=1","bash","-lc","${input.p}"]})", "/argv/4"},
      {R"({"argv":["sh","-c","--","${input.p}"]})", "/argv/3"},
      {R"({"argv":["bash","-c","-e","${input.p}"]})", "/argv/3"},
      {R"({"argv":["bash","-eo","pipefail","-c","-x","${input.p}"]})", "/argv/5"},
      {R"({"argv":["bash","-ceo","pipefail","${input.p}"]})", "/argv/3"},
      {R"({"argv":["sh","-${input.p}","rm"]})", "/argv/1"},
      {R"({"argv":["su","${input.u}","-c","${input.p}"]})", "/argv/3"},
      {R"({"argv":["python3","-c${input.p}"]})", "/argv/1"},
      {R"({"argv":["python3","-W","error","-Ic${input.p}"]})", "/argv/3"},
      {R"({"argv":["perl","-e${input.p}"]})", "/argv/1"},
      {R"({"argv":["perl","-lane","${input.p}"]})", "/argv/2"},
      {R"({"argv":["perl","-${input.p}"]})", "/argv/1"},
      {R"({"argv":["node","--eval=${input.p}"]})", "/argv/1"},
      {R"({"argv":["node","--${input.p}"]})", "/argv/1"},
      {R"({"argv":["/usr/bin/php8.2","-r${input.p}"]})", "/argv/1"},
      {R"({"argv":["awk","${input.p}"]})", "/argv/1"},
      {R"({"argv":["awk","-F",",","-v","n=1","--","{print ${input.p}}","/etc/passwd"]})",
       "/argv/6"},
      {R"({"argv":["sed","-i","s/a/${input.p}/","/a"]})", "/argv/2"},
      {R"({"argv":["sed","-e","1d","-e${input.p}","/a"]})", "/argv/3"},
      {R"({"argv":["timeout","9","mawk","${input.p}"]})", "/argv/3"},
  };
  const auto target = directory_.target();
  for (const auto& [request, pointer] : refused) {
    const auto faults = target->check_effect(json_of(request));
    ASSERT_EQ(faults.size(), 1U) << request;
    EXPECT_EQ(faults.front().pointer, pointer) << request;
  }
  for (const char* fine :
       {R"({"argv":["true"],"env":{"PATH":"/bin","TENANT":"${input.p}"}})",
        R"({"argv":["/bin/sh","-c","rm \"$1\"","sh","${input.p}"]})",
        R"({"argv":["grep","-c","${input.p}"]})",
        R"({"argv":["bash","-c","echo \"$1\"","--","${input.p}","-n${input.q}"]})",
        R"({"argv":["bash","-eo","pipefail","/a.sh","${input.p}","-c${input.q}"]})",
        R"({"argv":["python3","/a.py","-c","${input.p}","-u${input.q}"]})",
        R"({"argv":["python3","-c","pass","${input.p}","--n=${input.q}"]})",
        R"({"argv":["awk","-v","a=${input.p}","{print a}","${input.q}"]})",
        R"({"argv":["sed","-f","/a.sed","${input.p}"]})",
        R"({"argv":["grep","awk","${input.p}"]})"}) {
    EXPECT_TRUE(target->check_effect(json_of(fine)).empty()) << fine;
  }
}

// Definitions come over the API as well; what may be run is the server's own file to say.
TEST_F(Exec, V10_only_what_the_target_names_is_run) {
  const auto target =
      directory_.target([](ExecSpec& spec) { spec.commands = {"true", "/usr/bin/env"}; });
  for (const char* other : {R"({"argv":["false"]})", R"({"argv":["/bin/true"]})"}) {
    const auto faults = target->check_effect(json_of(other));
    ASSERT_EQ(faults.size(), 1U) << other;
    EXPECT_EQ(faults.front().pointer, "/argv/0");
    EXPECT_EQ(target->perform(call_of(other)).ended.kind, EffectKind::rejected_final) << other;
    EXPECT_EQ(target->read(call_of(other)).seen, Seen::unreadable) << other;
  }
  EXPECT_EQ(target->perform(call_of(R"({"argv":["true"]})")).ended.kind, EffectKind::acknowledged);
}

TEST_F(Exec, V10_what_of_a_target_cannot_work_is_said_by_its_setting) {
  const auto fault = [&](const std::function<void(ExecSpec&)>& change) {
    ExecSpec spec = directory_.spec();
    change(spec);
    const auto faults = wrong_with(spec);
    EXPECT_FALSE(ExecTarget::open(spec).has_value());
    return faults.empty() ? std::string() : faults.front().setting;
  };
  EXPECT_EQ(fault([](ExecSpec& s) { s.commands.clear(); }), "commands");
  EXPECT_EQ(fault([](ExecSpec& s) { s.commands = {"./run"}; }), "commands");
  EXPECT_EQ(fault([](ExecSpec& s) { s.path = {"bin"}; }), "path");
  EXPECT_EQ(fault([](ExecSpec& s) { s.path = {"/a:/b"}; }), "path");
  EXPECT_EQ(fault([](ExecSpec& s) { s.directory = "work"; }), "directory");
  EXPECT_EQ(fault([](ExecSpec& s) { s.umask = "888"; }), "umask");
  EXPECT_EQ(fault([](ExecSpec& s) { s.remembers = Duration{1}; }), "remembers");
  EXPECT_EQ(fault([](ExecSpec& s) { s.timeout = Duration{0}; }), "timeout");
  EXPECT_EQ(fault([](ExecSpec& s) { s.exit.rejected = {0}; }), "exit.rejected");
  EXPECT_EQ(fault([](ExecSpec& s) { s.exit.acknowledged = s.exit.unknown = {1}; }), "exit.unknown");
  EXPECT_EQ(fault([](ExecSpec& s) { s.environment = {{.name = "TRUED_KEY", .value = ""}}; }),
            "env.TRUED_KEY");
  ExecSpec spec = directory_.spec();
  EXPECT_EQ(missing_for(spec), "");
  spec.directory = "/no/such/place";
  EXPECT_TRUE(ExecTarget::open(spec).has_value()) << "another machine may have it";
  EXPECT_EQ(missing_for(spec), "there is no directory '/no/such/place'");
}

}  // namespace
}  // namespace trued
