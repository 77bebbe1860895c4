#include "simulation/model_server.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

namespace backstay::simulation {
namespace {

constexpr std::uint64_t kStretch = 512;

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

void ModelServer::work(Dice& dice, std::uint64_t wal) {
  lsn_ += wal;
  for (std::uint64_t changes = dice.below(6); changes > 0; --changes) {
    ModelFile& file = files_[dice.below(files_.size())];
    if (!file.pages.empty()) ++file.pages[dice.below(file.pages.size())];
  }
  if (dice.chance(150)) {
    files_.push_back(make_file(dice, next_file_++));
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
