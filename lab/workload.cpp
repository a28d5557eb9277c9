#include "lab/workload.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/random.h"
#include "json/writer.h"
#include "target/compare.h"

namespace trued::lab {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kDocumentsMax = 48;
constexpr std::uintmax_t kDocumentBytesMax = 256 * 1024;
constexpr std::uint32_t kBuiltIn = 16;

struct Source {
  std::string path;
  std::string text;
};

Result<std::vector<Source>> read_input(const std::string& directory) {
  std::vector<Source> sources;
  std::error_code failure;
  fs::recursive_directory_iterator files(directory, failure);
  if (failure) {
    return Error{.code = ErrorCode::not_found,
                 .message = "cannot read " + directory + ": " + failure.message()};
  }
  for (const fs::directory_entry& entry : files) {
    if (!entry.is_regular_file(failure) || entry.file_size(failure) > kDocumentBytesMax) continue;
    std::string path = fs::relative(entry.path(), directory).generic_string();
    if (!check_relative_path(path).empty() || path.starts_with(".git/")) continue;
    std::stringstream text;
    text << std::ifstream(entry.path(), std::ios::binary).rdbuf();
    sources.push_back({std::move(path), text.str()});
  }
  std::ranges::sort(sources, {}, &Source::path);
  if (sources.size() > kDocumentsMax) sources.resize(kDocumentsMax);
  if (sources.empty()) {
    return Error{.code = ErrorCode::not_found, .message = directory + " holds no document"};
  }
  return sources;
}

std::vector<Source> built_in() {
  std::vector<Source> sources;
  for (std::uint32_t i = 0; i < kBuiltIn; ++i) {
    const std::string number = std::to_string(i);
    sources.push_back({"guide/page-" + number + ".md",
                       "# Page " + number + "\n\nSuccess is what was read back.\n"});
  }
  return sources;
}

ArtifactIntent artifact(std::string name, std::string content) {
  ArtifactIntent out;
  out.name = std::move(name);
  out.id = {.sha256 = sha256(content), .bytes = content.size()};
  out.content = std::move(content);
  return out;
}

// Lies that need a change of the text, or that need it to stay as it was.
bool fits(Lie lie, std::uint32_t revision) { return lie != Lie::clever_dedup || revision > 0; }

// The lies go round, so that a run of any seed tells each of them; the seed says where they begin
// and which writes are spared.
Lie draw_lie(SeededRandom& dice, std::size_t number, std::uint32_t revision,
             const LabOptions& options) {
  constexpr std::uint64_t kTruthOf10 = 4;
  const bool spared = dice.next() % 10 < kTruthOf10;
  const auto lie = static_cast<Lie>(1 + (options.seed + 3 * number + revision) % (kLies - 1));
  if (options.honest || spared) return Lie::none;
  return fits(lie, revision) ? lie : Lie::stale_replica;
}

std::string meta_text(const Source& source, std::uint32_t revision, const std::string& text) {
  std::string out;
  json::Writer(out)
      .begin_object()
      .member("path", std::string_view(source.path))
      .member("revision", revision)
      .member("sha256", std::string_view(sha256(text).hex()))
      .end_object();
  return out;
}

std::vector<Write> writes_of(const Source& source, std::size_t number, const LabOptions& options) {
  constexpr std::uint64_t kMetadataOnlyOf10 = 2;
  std::vector<Write> writes;
  std::string text = source.text;
  for (std::uint32_t revision = 0; revision < options.revisions; ++revision) {
    SeededRandom dice(options.seed * 1'000'003 + number * 1'009 + revision);
    Write write;
    write.lie = draw_lie(dice, number, revision, options);
    write.told = write.lie == Lie::none ? 0 : 1 + static_cast<std::uint32_t>(dice.next() % 2);
    const bool keep_text =
        write.lie == Lie::clever_dedup ||
        (write.lie == Lie::none && revision > 0 && dice.next() % 10 < kMetadataOnlyOf10);
    if (!keep_text) {
      text = source.text + "\n<!-- revision " + std::to_string(revision) + " of seed " +
             std::to_string(options.seed) + " -->\n";
    }
    auto intent = std::make_shared<Intent>();
    intent->target = kTarget;
    intent->message = source.path + ", revision " + std::to_string(revision);
    intent->artifacts.push_back(artifact(source.path, text));
    intent->artifacts.push_back(
        artifact(source.path + ".meta.json", meta_text(source, revision, text)));
    intent->artifacts.push_back(artifact("index/" + source.path + ".json",
                                         "{\"revision\":" + std::to_string(revision) + "}"));
    write.key = std::to_string(number) + "@" + std::to_string(revision);
    write.document = source.path;
    write.intent = std::move(intent);
    writes.push_back(std::move(write));
  }
  return writes;
}

}  // namespace

Result<Workload> make_workload(const LabOptions& options) {
  std::vector<Source> sources;
  if (options.input.empty()) {
    sources = built_in();
  } else {
    TRUED_TRY(sources, read_input(options.input));
  }
  Workload workload;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    workload.documents.push_back(writes_of(sources.at(i), i, options));
  }
  for (const auto& writes : workload.documents) {
    for (const Write& write : writes) workload.by_key.emplace(write.key, &write);
    workload.writes += static_cast<std::uint32_t>(writes.size());
  }
  return workload;
}

}  // namespace trued::lab
