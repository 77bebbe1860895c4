#include "simulation/receiver.h"

#include <algorithm>

#include <fmt/format.h>

#include "postgres/lsn.h"

namespace backstay::simulation {
namespace {

constexpr unsigned kUploadsAtOnce = 6;

std::uint64_t align_up(std::uint64_t lsn) { return (lsn + kSegmentSize - 1) / kSegmentSize * kSegmentSize; }

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
  const bool after_gap = start < server_.kept_from;
  if (after_gap) {
    oracle_.gaps.emplace_back(stored, align_up(server_.kept_from));
    start = stored = align_up(server_.kept_from);
  }
  changes_ = std::make_unique<backup::ChangeKeeper>(actor_.environment(), actor_.repository(), server_.instance(),
                                                    kSegmentSize, epoch_);
  changes_->tracker().begin_anew(postgres::TimelineId{1});
  // A record that was on its way there begins in the archive; after a gap it is lost.
  const auto first = std::ranges::find_if(server_.records(), [&](const ModelRecord& record) {
    return (after_gap ? record.start.value : record.end.value - 1) >= start;
  });
  record_ = static_cast<std::size_t>(first - server_.records().begin());
  start_upload(start, stored);
}

void Receiver::start_upload(std::uint64_t start, std::uint64_t stored) {
  next_ = start;
  backup::WalUploaderConfig config{.spool_directory = spool_, .spool_segments = 4, .threads = 0, .lease_epoch = epoch_};
  uploader_ = std::make_unique<backup::WalUploader>(actor_.environment(), *wal_, config);
  uploader_->begin(postgres::TimelineId{1}, postgres::Lsn{start}, postgres::Lsn{stored});
}

void Receiver::step(std::uint64_t bytes) {
  if (!uploader_ && gap_from_ == 0) begin();
  if (letting_go_) pass_over(bytes);
  if (uploader_) {
    const std::uint64_t end = std::max(next_, std::min(server_.lsn(), next_ + bytes));
    while (next_ < end && uploader_->wait_for_room({}))
      append(std::min(end - next_, outside_.dice.between(1, 400'000)));
    if (outside_.dice.chance(700)) uploader_->want(postgres::Lsn{next_});
    for (unsigned i = 0; i < kUploadsAtOnce && !actor_.process.dead && uploader_->upload_next({}); ++i) {
    }
  }
  note_records();
  if (outside_.dice.chance(600)) changes_->cut();
  changes_->put(true);
  if (actor_.process.dead || !uploader_) return;
  const std::uint64_t stored = uploader_->stored().value;
  oracle_.acknowledged = std::max(oracle_.acknowledged, stored);
  server_.slot = std::max(server_.slot, stored);
}

/// What is received is acknowledged and goes nowhere but into the map, until a segment begins that can be stored whole.
void Receiver::pass_over(std::uint64_t bytes) {
  if (uploader_) {
    gap_from_ = uploader_->stored().value;
    uploader_.reset();
    next_ = std::max(next_, gap_from_);
  }
  const std::uint64_t end = std::min(server_.lsn(), next_ + bytes);
  const std::uint64_t begin = align_up(next_);
  next_ = std::max(next_, std::min(end, begin));
  server_.slot = server_.kept_from = std::max(server_.kept_from, next_);
  if (next_ != begin) return;
  oracle_.gaps.emplace_back(gap_from_, begin);
  letting_go_ = false;
  gap_from_ = 0;
  start_upload(begin, begin);
}

void Receiver::note_records() {
  const auto& records = server_.records();
  for (; record_ < records.size() && records[record_].end.value <= next_; ++record_) {
    records[record_].read([&](const postgres::WalRecord& record) { changes_->tracker().note(record); });
    changes_->look();
  }
}

void Receiver::append(std::uint64_t bytes) {
  const std::uint64_t count = std::min(bytes, kSegmentSize - next_ % kSegmentSize);
  uploader_->append(server_.wal(next_, next_ + count), [&] { return ModelServer::index(next_, next_ + count); });
  next_ += count;
}

}  // namespace backstay::simulation
