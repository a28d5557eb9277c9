#include "target/process.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <fstream>
#include <iterator>
#include <sstream>
#include <unistd.h>

namespace trued {
namespace {

constexpr std::size_t kBootDigits = 12;

std::string first_line(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

// Field 22 of /proc/PID/stat; the second one, in parentheses, may hold anything. Empty if it cannot
// be read.
std::string start_of(const std::string& pid) {
  const std::string line = first_line("/proc/" + pid + "/stat");
  const std::size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) return {};
  std::istringstream fields(line.substr(name_end + 1));
  constexpr int kAfterName = 20;
  std::string field;
  for (int i = 0; i < kAfterName; ++i) fields >> field;
  return fields ? field : std::string();
}

std::string only_digits(const std::string& text) {
  std::string digits;
  std::ranges::copy_if(text, std::back_inserter(digits),
                       [](char c) { return c >= '0' && c <= '9'; });
  return digits.empty() ? "0" : digits;
}

ProcessMark find_self() {
  ProcessMark self;
  self.boot = first_line("/proc/sys/kernel/random/boot_id");
  std::erase(self.boot, '-');
  self.boot.resize(kBootDigits, '0');
  std::array<char, 64> link{};
  const ssize_t length = ::readlink("/proc/self/ns/pid", link.data(), link.size());
  self.pid_namespace =
      only_digits(std::string(link.data(), static_cast<std::size_t>(std::max<ssize_t>(length, 0))));
  self.pid = std::to_string(::getpid());
  self.start = only_digits(start_of("self"));
  return self;
}

// /proc may hide the processes of others: then it is asked for by a signal that is none.
bool exists(const std::string& text) {
  pid_t pid = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), pid);
  if (error != std::errc() || end != text.data() + text.size() || pid <= 0) return false;
  return ::kill(pid, 0) == 0 || errno != ESRCH;
}

}  // namespace

ProcessMark this_process() {
  static const ProcessMark at_first = find_self();
  if (at_first.pid == std::to_string(::getpid())) return at_first;
  return find_self();
}

Whereabouts whereabouts(const ProcessMark& mark) {
  const ProcessMark self = this_process();
  const bool unknown = self.boot == std::string(kBootDigits, '0') || self.pid_namespace == "0";
  if (unknown || mark.boot != self.boot || mark.pid_namespace != self.pid_namespace) {
    return Whereabouts::elsewhere;
  }
  const std::string start = start_of(mark.pid);
  const bool alive = start.empty() ? exists(mark.pid) : start == mark.start;
  return alive ? Whereabouts::alive : Whereabouts::gone;
}

std::int64_t boot_seconds() {
  std::ifstream in("/proc/stat");
  std::string word;
  std::int64_t seconds = 0;
  while (in >> word) {
    if (word == "btime" && in >> seconds) return seconds;
  }
  return 0;
}

}  // namespace trued
