#include "sim/sim_target.h"

#include <algorithm>
#include <stdexcept>

namespace trued::sim {
namespace {

std::optional<ContentId> id_of(const std::optional<std::string>& content) {
  if (!content) return std::nullopt;
  return ContentId{sha256(*content), content->size()};
}

std::vector<std::string> names_of(const Intent& intent) {
  std::vector<std::string> names;
  for (const ArtifactIntent& artifact : intent.artifacts) names.push_back(artifact.name);
  return names;
}

}  // namespace

SimStore::SimStore(std::string name, bool history, Auditor& auditor, Trace& trace, Chance& chance,
                   const Options& options, const Agenda& agenda, const bool& calm)
    : name_(std::move(name)),
      inner_({.history = history}),
      auditor_(auditor),
      trace_(trace),
      chance_(chance),
      options_(options),
      agenda_(agenda),
      calm_(calm) {
  auditor_.on_target(name_, history);
}

SimStore::Fate SimStore::draw_lie() {
  constexpr Fate kLies[] = {Fate::swallowed, Fate::noop, Fate::empty, Fate::partial,
                            Fate::truncated};
  return kLies[chance_.below(std::size(kLies))];
}

void SimStore::down(bool is_down) {
  down_ = is_down;
  auditor_.on_outage(name_, is_down);
}

SimStore::Fate SimStore::draw_fate() {
  if (down_) return chance_.in_thousand(500) ? Fate::not_sent : Fate::lost_before;
  if (strikes(options_.lost_before)) return Fate::lost_before;
  if (strikes(options_.lost_after)) return Fate::lost_after;
  if (strikes(options_.rejected)) return Fate::rejected;
  if (strikes(options_.refused)) return Fate::refused;
  if (strikes(options_.not_sent)) return Fate::not_sent;
  if (strikes(options_.thrown)) return Fate::thrown;
  if (strikes(options_.lies)) return draw_lie();
  return Fate::honest;
}

void SimStore::note_changes(const std::vector<std::string>& names,
                            std::optional<OperationId> writer) {
  for (const std::string& name : names) {
    Content now = inner_.content(name);
    auto& past = past_[name];
    const bool same = past.empty() ? !now : past.back().second == now;
    if (same) continue;
    past.emplace_back(agenda_.now(), now);
    auditor_.on_change(name_, name, writer, id_of(now), lying_);
  }
}

void SimStore::outsider(const std::string& path) {
  const bool removes = chance_.in_thousand(200);
  const std::string content = "outside " + std::to_string(++outsiders_);
  trace_.say(name_, " outsider writes ", path);
  inner_.put_outside(path, removes ? Content() : Content(content));
  note_changes({path}, std::nullopt);
}

void SimStore::maybe_outsider(const Intent& intent) {
  if (!strikes(options_.outsiders)) return;
  outsider(intent.artifacts.at(chance_.below(intent.artifacts.size())).name);
}

EffectResult SimStore::land(const EffectRequest& request, std::shared_ptr<const Intent> intent) {
  EffectRequest altered = request;
  altered.intent = std::move(intent);
  const std::vector<std::string> names = names_of(*altered.intent);
  EffectResult result = inner_.perform(altered);
  note_changes(names, request.operation);
  if (result.ended.kind == EffectKind::acknowledged) note_held(request);
  return result;
}

// What it meant may stand there whoever brought it.
void SimStore::note_held(const EffectRequest& request) {
  for (const ArtifactIntent& artifact : request.intent->artifacts) {
    const Content now = inner_.content(artifact.name);
    const bool holds = artifact.absent ? !now : now == artifact.content;
    if (holds) auditor_.on_held(request.operation, artifact.name);
  }
}

EffectResult SimStore::turned_away(EffectKind kind, std::string reason) {
  EffectResult result;
  result.ended.kind = kind;
  result.ended.reason = std::move(reason);
  return result;
}

EffectResult SimStore::claim(std::string version, bool changed) {
  EffectResult result;
  result.ended.kind = EffectKind::acknowledged;
  result.ended.changed = changed;
  result.ended.version = std::move(version);
  return result;
}

std::shared_ptr<const Intent> SimStore::altered(const EffectRequest& request, Fate fate) {
  auto intent = std::make_shared<Intent>(*request.intent);
  if (fate == Fate::partial) {
    if (intent->artifacts.size() < 2) return nullptr;
    intent->artifacts.resize(1 + chance_.below(intent->artifacts.size() - 1));
    return intent;
  }
  for (ArtifactIntent& artifact : intent->artifacts) {
    if (artifact.absent) continue;
    const std::size_t keep = fate == Fate::empty ? 0 : artifact.content.size() / 2;
    artifact.content.resize(keep);
    artifact.id = {sha256(artifact.content), artifact.content.size()};
  }
  return intent;
}

EffectResult SimStore::lie(const EffectRequest& request, Fate fate) {
  constexpr const char* kNames[] = {"", "",          "",     "",      "",        "",
                                    "", "swallowed", "noop", "empty", "partial", "truncated"};
  const char* name = kNames[static_cast<std::size_t>(fate)];
  trace_.say(name_, " lies to ", to_string(request.operation), ": ", name);
  auditor_.on_lie(request.operation, name);
  note_held(request);
  const std::string version = inner_.version().value();
  if (fate == Fate::swallowed) return claim(std::to_string(std::stoull(version) + 1'000), true);
  if (fate == Fate::noop) return claim(version, true);
  const auto intent = altered(request, fate);
  if (intent == nullptr) return claim(version, true);
  lying_ = true;
  EffectResult result = land(request, intent);
  lying_ = false;
  if (result.ended.kind != EffectKind::acknowledged) return result;
  return claim(inner_.version().value(), true);
}

EffectResult SimStore::perform(const EffectRequest& request) {
  if (below_ != nullptr && *below_) {
    trace_.violation("(10) an effect began below the floor");
  }
  auditor_.on_perform(request);
  // Longer than an attempt may take: it has begun, and lands when everybody has given it up.
  const bool hangs = strikes(options_.hangs);
  if (hangs && !sleep_(options_.policy.effect_timeout * chance_.between(1, 8))) {
    return turned_away(EffectKind::unknown, "simulated: the process ended in the middle");
  }
  const EffectResult result = carry_out(request);
  auditor_.on_performed(request.operation);
  return result;
}

EffectResult SimStore::carry_out(const EffectRequest& request) {
  auditor_.on_landing(request.operation);
  maybe_outsider(*request.intent);
  const Fate fate = draw_fate();
  trace_.say(name_, " performs ", to_string(request.operation), " attempt ",
             request.attempt.value(), " fate ", static_cast<std::uint32_t>(fate));
  const bool sent = fate != Fate::rejected && fate != Fate::refused && fate != Fate::not_sent;
  if (sent) auditor_.on_reached(request.operation);
  EffectResult result;
  switch (fate) {
    case Fate::honest:
      result = land(request, request.intent);
      break;
    case Fate::lost_after:
      (void)land(request, request.intent);
      [[fallthrough]];
    case Fate::lost_before:
      result = turned_away(EffectKind::unknown, "simulated: no answer");
      break;
    case Fate::rejected:
      result = turned_away(EffectKind::rejected_retryable, "simulated: busy");
      result.throttled = chance_.in_thousand(500);
      if (chance_.in_thousand(300)) result.retry_after = chance_.span(1, 2'000);
      break;
    case Fate::refused:
      result = turned_away(EffectKind::rejected_final, "simulated: never");
      break;
    case Fate::not_sent:
      result = turned_away(EffectKind::not_sent, "simulated: no connection");
      break;
    case Fate::thrown:
      if (chance_.in_thousand(500)) (void)land(request, request.intent);
      auditor_.on_performed(request.operation);
      throw std::runtime_error("simulated: a connector that throws");
    case Fate::swallowed:
    case Fate::noop:
    case Fate::empty:
    case Fate::partial:
    case Fate::truncated:
      result = lie(request, fate);
      break;
  }
  maybe_outsider(*request.intent);
  return result;
}

const SimStore::Content& SimStore::at(const std::string& name, Duration time) {
  static const Content kNothing;
  const auto& past = past_[name];
  const Content* found = &kNothing;
  for (const auto& [since, content] : past) {
    if (since <= time) found = &content;
  }
  return *found;
}

RawRead SimStore::read_one(const ArtifactIntent& artifact, Level level, Duration age,
                           bool true_now) {
  RawRead read;
  if ((down_ && level == Level::store) || strikes(options_.unreadable)) {
    read.detail = "simulated: no answer";
    return read;
  }
  const Content& then = at(artifact.name, agenda_.now() - age);
  const bool same = then == at(artifact.name, agenda_.now());
  read.seen = then ? Seen::found : Seen::absent;
  if (then) read.content = *then;
  if (level == Level::store) read.version = inner_.version().value();
  auditor_.on_read(name_, level, artifact.name, id_of(then), true_now || same);
  return read;
}

std::vector<RawRead> SimStore::read(const ReadRequest& request) {
  maybe_outsider(*request.intent);
  std::vector<RawRead> reads;
  const bool stale = strikes(options_.stale_reads);
  const Duration age = stale ? chance_.span(1, 3'000) : Duration{0};
  for (const std::uint32_t index : request.artifacts) {
    reads.push_back(read_one(request.intent->artifacts.at(index), Level::store, age, !stale));
  }
  maybe_outsider(*request.intent);
  return reads;
}

std::vector<RawRead> SimStore::serve(const ReadRequest& request, Duration lag) {
  std::vector<RawRead> reads;
  const Duration age = calm_                           ? std::min(lag, Duration{5})
                       : strikes(options_.stale_reads) ? lag + chance_.span(1, 5'000)
                                                       : lag;
  for (const std::uint32_t index : request.artifacts) {
    reads.push_back(read_one(request.intent->artifacts.at(index), Level::serving, age, false));
  }
  return reads;
}

History SimStore::history(const HistoryRequest& request) {
  if (down_ || strikes(options_.unreadable)) return {};
  return inner_.history(request);
}

Result<std::string> SimStore::version() {
  if (down_ || strikes(options_.unreadable)) {
    return Error{.code = ErrorCode::unavailable, .retryable = true, .message = "simulated"};
  }
  return inner_.version();
}

}  // namespace trued::sim
