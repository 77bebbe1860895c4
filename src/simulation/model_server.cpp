#include "simulation/model_server.h"

#include <algorithm>
#include <cstring>
#include <span>

#include <fmt/format.h>

#include "backup/change_tracker.h"

namespace backstay::simulation {
namespace {

constexpr std::uint64_t kStretch = 512;
constexpr std::uint64_t kLeastRecord = 32;
constexpr std::size_t kRecordHeader = 24;
constexpr std::uint8_t kStorage = 2;
constexpr std::uint8_t kHeap = 10;
constexpr std::uint16_t kPageMagic = 0xD110;

std::uint64_t mix(std::uint64_t value) {
  value ^= value >> 33U;
  value *= 0xff51afd7ed558ccdULL;
  value ^= value >> 33U;
  value *= 0xc4ceb9fe1a85ec53ULL;
  return value ^ (value >> 33U);
}

/// A few bytes that say which stretch it is, then one byte over and over.
void fill_stretch(std::uint64_t what, std::byte* out) {
  const std::uint64_t value = mix(what);
  std::memcpy(out, &value, sizeof value);
  std::memset(out + sizeof value, static_cast<int>(value & 0xffU), kStretch - sizeof value);
}

void fill_bytes(std::uint64_t what, std::uint64_t from, core::MutableByteSpan out) {
  std::array<std::byte, kStretch> stretch{};
  for (std::size_t done = 0; done < out.size();) {
    const std::uint64_t at = from + done;
    fill_stretch(what + at / kStretch, stretch.data());
    const std::size_t count = std::min<std::size_t>(kStretch - at % kStretch, out.size() - done);
    std::memcpy(out.data() + done, stretch.data() + at % kStretch, count);
    done += count;
  }
}

ModelFile make_file(Dice& dice, std::uint64_t id) {
  ModelFile file{.path = fmt::format("base/{}/{:04}", id % 3, id), .id = id};
  const bool large = dice.chance(80);
  const bool whole_pages = dice.chance(500);
  file.size = large ? dice.between(250'000, 600'000) : dice.below(4) * kPageSize;
  if (!whole_pages) file.size += dice.below(5000);
  file.pages.resize((file.size + kPageSize - 1) / kPageSize, 1);
  return file;
}

bool in_path_order(const ModelFile& a, const ModelFile& b) { return a.path < b.path; }

}  // namespace

postgres::RelationFork ModelFile::fork() const {
  const auto number = static_cast<std::uint32_t>(id);
  return {.tablespace = 1663, .database = number % 3 + 1, .relation = number + 16384};
}

/// Of the heap, naming a block; of the storage, making a relation; of the heap, naming nothing.
void ModelRecord::read(const std::function<void(const postgres::WalRecord&)>& use) const {
  core::Bytes head(kRecordHeader);
  const auto put = [&](const auto value) { core::append(head, core::ByteSpan(std::as_bytes(std::span(&value, 1)))); };
  const auto put_relation = [&] {
    put(of->tablespace);
    put(of->database);
    put(of->relation);
  };
  const bool creates = of && !page;
  if (creates) {
    put(std::uint8_t{255});  // main data of up to 255 bytes
    put(std::uint8_t{16});
    put_relation();
    put(std::uint32_t{0});
  } else if (of) {
    put(std::uint32_t{0});  // block 0, the main fork, without data
    put_relation();
    put(*page);
  }
  use({.start = start,
       .end = end,
       .resource_manager = static_cast<std::uint8_t>(creates ? kStorage : kHeap),
       .info = static_cast<std::uint8_t>(creates ? 0x10 : 0),
       .length = static_cast<std::uint32_t>(head.size()),
       .page_magic = kPageMagic,
       .head = head});
}

std::uint64_t ModelFile::page_length(std::uint64_t page) const { return std::min(kPageSize, size - page * kPageSize); }

void ModelFile::fill(std::uint64_t page, core::MutableByteSpan out) const {
  fill_bytes(mix(mix(id) + (page << 24U) + pages[page]), 0, out);
}

core::Bytes ModelFile::content() const {
  core::Bytes bytes(size);
  for (std::uint64_t page = 0; page < pages.size(); ++page) {
    fill(page, core::MutableByteSpan(bytes).subspan(page * kPageSize, page_length(page)));
  }
  return bytes;
}

ModelServer::ModelServer(Dice& dice, std::string instance)
    : instance_(std::move(instance)),
      seed_(dice.number()),
      first_lsn_(dice.between(10, 16) * kSegmentSize + dice.below(kSegmentSize)),
      lsn_(first_lsn_) {
  slot = first_lsn_;
  for (std::uint64_t count = dice.between(4, 14); next_file_ < count; ++next_file_) {
    files_.push_back(make_file(dice, next_file_));
  }
  std::ranges::sort(files_, in_path_order);
}

void ModelServer::write(std::uint64_t wal, std::optional<postgres::RelationFork> of,
                        std::optional<std::uint32_t> page) {
  const auto start = backup::first_record_from({lsn_}, kSegmentSize);
  lsn_ = std::max(lsn_ + wal, start.value + kLeastRecord);
  records_.push_back({.start = start, .end = {lsn_}, .of = of, .page = page});
}

void ModelServer::work(Dice& dice, std::uint64_t wal) {
  if (wal == 0) return;
  write(wal, {}, {});
  for (std::uint64_t changes = dice.below(6); changes > 0; --changes) {
    ModelFile& file = files_[dice.below(files_.size())];
    if (file.pages.empty()) continue;
    const auto page = static_cast<std::uint32_t>(dice.below(file.pages.size()));
    ++file.pages[page];
    write(dice.below(5000), file.fork(), page);
  }
  if (dice.chance(150)) {
    files_.push_back(make_file(dice, next_file_++));
    write(kLeastRecord, files_.back().fork(), {});
    std::ranges::sort(files_, in_path_order);
  }
  if (dice.chance(100) && files_.size() > 2) {
    files_.erase(files_.begin() + static_cast<std::ptrdiff_t>(dice.below(files_.size())));
  }
}

core::Bytes ModelServer::wal(std::uint64_t from, std::uint64_t to) const {
  core::Bytes bytes(to - from);
  fill_bytes(seed_, from, bytes);
  return bytes;
}

repository::SegmentIndex ModelServer::index(std::uint64_t from, std::uint64_t to) {
  repository::SegmentIndex index{.timeline = 1, .segment = from / kSegmentSize};
  const std::uint64_t first = from / kPageSize + 1;
  const std::uint64_t last = to / kPageSize;
  if (last < first) return index;
  const auto time = [](std::uint64_t commit) { return core::Timestamp(std::chrono::seconds(commit)); };
  index.commits = last - first + 1;
  index.first_commit_time = index.min_commit_time = time(first);
  index.last_commit_time = index.max_commit_time = time(last);
  index.first_commit_lsn = first * kPageSize - 100;
  index.last_commit_lsn = index.last_record_lsn = last * kPageSize - 100;
  index.last_record_end = last * kPageSize;
  return index;
}

}  // namespace backstay::simulation
