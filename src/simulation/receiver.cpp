#include "simulation/receiver.h"

#include <algorithm>

#include <fmt/format.h>

#include "postgres/lsn.h"

namespace backstay::simulation {
namespace {

constexpr unsigned kUploadsAtOnce = 6;

}  // namespace

Receiver::Receiver(Outside& outside, ModelServer& server, Oracle& oracle, std::filesystem::path spool,
                   std::uint64_t epoch)
    : outside_(outside),
      server_(server),
      oracle_(oracle),
      spool_(std::move(spool)),
      epoch_(epoch),
      actor_(outside, fmt::format("receiver {}", epoch)) {}

/// Behind the last segment of the store, or where the slot says if that is earlier.
void Receiver::begin() {
  wal_ = std::make_unique<repository::WalStore>(actor_.repository(), server_.instance(), kSegmentSize);
  std::uint64_t start = server_.slot / kSegmentSize * kSegmentSize;
  std::uint64_t stored = start;
  const auto segments = wal_->list(1);
  if (!segments.empty()) {
    const std::uint64_t last = segments.back().segment * kSegmentSize;
    const std::uint64_t there = segments.back().contiguous(kSegmentSize);
    const std::uint64_t next = there == kSegmentSize ? last + kSegmentSize : last;
    if (server_.slot >= next) {
      start = next;
      stored = last + there;
    }
  }
  next_ = start;
  backup::WalUploaderConfig config{.spool_directory = spool_, .spool_segments = 4, .threads = 0, .lease_epoch = epoch_};
  uploader_ = std::make_unique<backup::WalUploader>(actor_.environment(), *wal_, config);
  uploader_->begin(postgres::TimelineId{1}, postgres::Lsn{start}, postgres::Lsn{stored});
}

void Receiver::step(std::uint64_t bytes) {
  if (!uploader_) begin();
  const std::uint64_t end = std::min(server_.lsn(), next_ + bytes);
  while (next_ < end && uploader_->wait_for_room({})) append(std::min(end - next_, outside_.dice.between(1, 400'000)));
  if (outside_.dice.chance(700)) uploader_->want(postgres::Lsn{next_});
  for (unsigned i = 0; i < kUploadsAtOnce && !actor_.process.dead && uploader_->upload_next({}); ++i) {
  }
  if (actor_.process.dead) return;
  const std::uint64_t stored = uploader_->stored().value;
  oracle_.acknowledged = std::max(oracle_.acknowledged, stored);
  server_.slot = std::max(server_.slot, stored);
}

void Receiver::append(std::uint64_t bytes) {
  const std::uint64_t count = std::min(bytes, kSegmentSize - next_ % kSegmentSize);
  uploader_->append(server_.wal(next_, next_ + count), [&] { return ModelServer::index(next_, next_ + count); });
  next_ += count;
}

}  // namespace backstay::simulation
