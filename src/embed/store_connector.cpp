#include "embed/store_connector.h"

#include <exception>

namespace trued::embed {
namespace {

EffectKind kind_of(v1::Acknowledgement::Kind kind) {
  switch (kind) {
    case v1::Acknowledgement::Kind::acknowledged:
      return EffectKind::acknowledged;
    case v1::Acknowledgement::Kind::rejected_retryable:
      return EffectKind::rejected_retryable;
    case v1::Acknowledgement::Kind::rejected_final:
      return EffectKind::rejected_final;
    case v1::Acknowledgement::Kind::unknown:
      return EffectKind::unknown;
  }
  return EffectKind::unknown;
}

RawRead raw_of(v1::Found found) {
  RawRead read;
  switch (found.kind) {
    case v1::Found::Kind::content:
      read.seen = Seen::found;
      read.content = std::move(found.content);
      break;
    case v1::Found::Kind::absent:
      read.seen = Seen::absent;
      break;
    case v1::Found::Kind::unreadable:
      read.detail = std::move(found.reason);
      break;
  }
  return read;
}

}  // namespace

EffectResult StoreConnector::perform(const EffectRequest& request) {
  std::vector<v1::Artifact> artifacts;
  for (const ArtifactIntent& meant : request.intent->artifacts) {
    artifacts.push_back(
        {meant.name, meant.absent ? std::nullopt : std::optional<std::string>(meant.content)});
  }
  EffectResult result;
  try {
    v1::Acknowledgement said = store_->write(to_string(request.operation), artifacts);
    result.ended.kind = kind_of(said.kind);
    result.ended.changed = result.ended.kind == EffectKind::acknowledged;
    result.ended.version = std::move(said.version);
    result.ended.reason = std::move(said.reason);
  } catch (const std::exception& e) {
    result.ended.kind = EffectKind::unknown;
    result.ended.reason = std::string("the store failed: ") + e.what();
  }
  return result;
}

std::vector<RawRead> StoreConnector::read(const ReadRequest& request) {
  std::vector<RawRead> reads;
  for (const std::uint32_t index : request.artifacts) {
    try {
      reads.push_back(raw_of(store_->read(request.intent->artifacts.at(index).name)));
    } catch (const std::exception& e) {
      RawRead failed;
      failed.detail = std::string("the store failed: ") + e.what();
      reads.push_back(std::move(failed));
    }
  }
  return reads;
}

}  // namespace trued::embed
