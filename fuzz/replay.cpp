// Runs one fuzzer's function over its corpus and over so many seeded mutations of it, without
// libFuzzer: the short run of every test. Usage: REPLAY CORPUS_DIRECTORY [MUTATIONS]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "base/random.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size);

namespace {

void run(const std::string& text) {
  (void)LLVMFuzzerTestOneInput(reinterpret_cast<const unsigned char*>(text.data()), text.size());
}

// A few bytes changed, a piece repeated, moved or cut: enough to leave every happy path.
std::string mutated(std::string text, trued::Random& random) {
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random.next() % n); };
  for (std::size_t changes = 1 + below(4); changes > 0; --changes) {
    if (text.empty()) return std::string(1, static_cast<char>(below(256)));
    const std::size_t at = below(text.size());
    const std::size_t length = std::min(1 + below(16), text.size() - at);
    switch (below(5)) {
      case 0:
        text.at(at) = static_cast<char>(below(256));
        break;
      case 1:
        text.erase(at, length);
        break;
      case 2:
        text.insert(below(text.size()), text.substr(at, length));
        break;
      case 3:
        text.insert(at, 1, "0-\"{}[]:,\\"[below(10)]);
        break;
      default:
        text.resize(at);
    }
  }
  return text;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 64;
  std::vector<std::string> corpus;
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1])) {
    paths.push_back(entry.path());
  }
  std::ranges::sort(paths);
  for (const auto& path : paths) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    corpus.push_back(text.str());
    run(corpus.back());
  }
  if (corpus.empty()) return 66;
  trued::SeededRandom random(20261121);
  const int mutations = argc > 2 ? std::atoi(argv[2]) : 20'000;
  for (int i = 0; i < mutations; ++i) {
    run(mutated(corpus.at(random.next() % corpus.size()), random));
  }
  std::printf("%zu inputs and %d mutations held\n", corpus.size(), mutations);
  return 0;
}
