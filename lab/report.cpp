// The report, for people and for machines.
#include <fmt/format.h>

#include "json/writer.h"
#include "lab/lab.h"

namespace trued::lab {
namespace {

constexpr std::array<std::string_view, kLies> kNames{
    "none",         "swallowed_race", "self_agreeing_noop", "empty_write", "partial_landing",
    "clever_dedup", "truncated",      "stale_replica"};

void write_side(json::Writer& out, std::string_view name, const Side& side) {
  out.key(name).begin_object().member("reported_done", side.reported_done);
  out.member("falsely_reported", side.falsely_reported);
  out.member("needs_action", side.needs_action).member("wrong_at_end", side.wrong_at_end);
  out.member("seconds", side.seconds).end_object();
}

}  // namespace

std::string_view to_string(Lie lie) { return kNames.at(static_cast<std::size_t>(lie)); }

bool held(const LabReport& report) {
  return report.trued.falsely_reported == 0 && report.trued.wrong_at_end == 0 &&
         report.lies.front().accused == 0 && report.trued.reported_done == report.writes;
}

std::string report_text(const LabReport& report) {
  std::string text = fmt::format(
      "seed {}: {} writes of {} documents ({} artifacts), the same ones twice\n\n"
      "                              naive     through Trued\n"
      "lie told              writes  believed  caught  named  repaired  accused of another\n",
      report.seed, report.writes, report.documents, report.artifacts);
  for (std::size_t i = 1; i < kLies; ++i) {
    const LieScore& lie = report.lies.at(i);
    text += fmt::format("{:<20}  {:>6}  {:>8}  {:>6}  {:>5}  {:>8}  {:>7}\n", kNames.at(i),
                        lie.writes, lie.believed, lie.caught, lie.named, lie.repaired, lie.accused);
  }
  const LieScore& honest = report.lies.front();
  text +=
      fmt::format("{:<20}  {:>6}  {:>8}  {:>6}  {:>5}  {:>8}  {:>7}\n\n", "(none)", honest.writes,
                  honest.believed, honest.caught, honest.named, "-", honest.accused);
  const auto row = [&](const char* what, std::uint32_t naive, std::uint32_t trued) {
    text += fmt::format("{:<44}  naive {:>5}   trued {:>5}\n", what, naive, trued);
  };
  row("reported as done", report.naive.reported_done, report.trued.reported_done);
  row("of these false: consumers read something else", report.naive.falsely_reported,
      report.trued.falsely_reported);
  row("handed to a person, with the evidence", report.naive.needs_action,
      report.trued.needs_action);
  row("artifacts wrong in the end", report.naive.wrong_at_end, report.trued.wrong_at_end);
  text += fmt::format("{:<44}  naive {:>5.1f}   trued {:>5.1f}\n", "seconds", report.naive.seconds,
                      report.trued.seconds);
  for (const std::string& note : report.notes) text += "note: " + note + "\n";
  text += held(report) ? "\nNothing lost, nothing falsely confirmed, nobody wrongly accused."
                       : "\nThis run did NOT hold what Trued promises: see the notes.";
  return text;
}

std::string report_json(const LabReport& report) {
  std::string text;
  json::Writer out(text);
  out.begin_object().member("seed", report.seed).member("writes", report.writes);
  out.member("documents", report.documents).member("artifacts", report.artifacts);
  out.key("lies").begin_object();
  for (std::size_t i = 0; i < kLies; ++i) {
    const LieScore& lie = report.lies.at(i);
    out.key(kNames.at(i)).begin_object().member("writes", lie.writes);
    out.member("believed", lie.believed).member("caught", lie.caught).member("named", lie.named);
    out.member("repaired", lie.repaired).member("accused", lie.accused).end_object();
  }
  out.end_object();
  write_side(out, "naive", report.naive);
  write_side(out, "trued", report.trued);
  out.key("notes").begin_array();
  for (const std::string& note : report.notes) out.string(note);
  out.end_array().member("held", held(report)).end_object();
  return text;
}

}  // namespace trued::lab
