#include "backup/scratch_list.h"

#include <algorithm>
#include <utility>

#include "backup/scratch.h"
#include "core/error.h"
#include "core/random.h"
#include "repository/entry_codec.h"
#include "repository/varint.h"

namespace backstay::backup {
namespace {

using repository::detail::FieldReader;
using repository::detail::put_number;

constexpr std::size_t kBlockSize = 256 * 1024;

repository::EntryType type_of(postgres::EntryType type) {
  switch (type) {
    case postgres::EntryType::kDirectory: return repository::EntryType::kDirectory;
    case postgres::EntryType::kSymlink: return repository::EntryType::kSymlink;
    case postgres::EntryType::kFile: break;
  }
  return repository::EntryType::kFile;
}

postgres::EntryType type_of(repository::EntryType type) {
  switch (type) {
    case repository::EntryType::kDirectory: return postgres::EntryType::kDirectory;
    case repository::EntryType::kSymlink: return postgres::EntryType::kSymlink;
    case repository::EntryType::kFile: break;
  }
  return postgres::EntryType::kFile;
}

}  // namespace

ScratchList::ScratchList(const Environment& environment, std::filesystem::path directory)
    : environment_(environment), directory_(std::move(directory)) {}

void ScratchList::add(core::ByteSpan record) {
  put_number(last_, record.size());
  core::append(last_, record);
  if (last_.size() >= kBlockSize) put_block();
}

void ScratchList::put_block() {
  if (!writer_) make_file();
  compressed_.resize(compressor_.bound(last_.size()));
  const std::size_t size = compressor_.compress(last_, compressed_);
  writer_->append(core::ByteSpan(compressed_).first(size));
  blocks_.push_back({.offset = end_, .stored = size, .raw = last_.size()});
  end_ += size;
  last_.clear();
}

void ScratchList::make_file() {
  auto& files = environment_.files;
  files.make_directories(directory_, kScratchParentMode);
  const auto path = directory_ / (environment_.random.uuid() + ".list");
  writer_ = files.create_new(path, 0600);
  reader_ = files.open_read(path);
  files.remove(path);
}

void ScratchList::rewind() {
  next_block_ = 0;
  left_ = {};
}

std::optional<core::ByteSpan> ScratchList::next() {
  while (left_.empty()) {
    if (next_block_ > blocks_.size()) return std::nullopt;
    if (next_block_ < blocks_.size()) load_block(blocks_[next_block_]);
    left_ = next_block_ < blocks_.size() ? loaded_ : last_;
    ++next_block_;
  }
  FieldReader in(left_, 0);
  const core::ByteSpan record = in.bytes(in.number());
  left_ = left_.subspan(in.at());
  return record;
}

void ScratchList::load_block(const Block& block) {
  compressed_.resize(block.stored);
  if (reader_->read_at(block.offset, compressed_) != block.stored) {
    throw core::Error(core::Code::kIoError, "a scratch file is shorter than it was");
  }
  loaded_.resize(block.raw);
  decompressor_.decompress(codec::Compression::kZstd, compressed_, loaded_);
}

repository::FileEntry entry_of(const postgres::ClusterEntry& found) {
  repository::FileEntry entry;
  entry.path = found.path;
  entry.type = type_of(found.type);
  entry.mode = found.mode;
  entry.modified = found.modified;
  entry.link_target = found.link_target;
  return entry;
}

void WalkList::add(const postgres::ClusterEntry& entry) {
  const auto tree = std::ranges::find(trees_, entry.directory) - trees_.begin();
  if (static_cast<std::size_t>(tree) == trees_.size()) trees_.push_back(entry.directory);
  record_.clear();
  repository::encode_entry(record_, entry_of(entry), {}, packs_);
  put_number(record_, entry.size);
  put_number(record_, entry.first_block ? std::uint64_t{*entry.first_block} + 1 : 0);
  put_number(record_, static_cast<std::uint64_t>(tree));
  put_number(record_, entry.name_begin);
  records_.add(record_);
}

std::optional<postgres::ClusterEntry> WalkList::next() {
  const auto record = records_.next();
  if (!record) return std::nullopt;
  std::size_t at = 0;
  auto known = repository::decode_entry(*record, at, packs_.packs(), {});
  FieldReader in(*record, at);
  postgres::ClusterEntry entry;
  entry.path = std::move(known.path);
  entry.type = type_of(known.type);
  entry.mode = known.mode;
  entry.modified = known.modified;
  entry.link_target = std::move(known.link_target);
  entry.size = in.number();
  if (const std::uint64_t block = in.number(); block > 0) entry.first_block = static_cast<std::uint32_t>(block - 1);
  entry.directory = trees_.at(in.number());
  entry.name_begin = in.number();
  return entry;
}

void EntryList::add(const repository::FileEntry& entry) {
  record_.clear();
  repository::encode_entry(record_, entry, {}, packs_);
  records_.add(record_);
}

std::optional<repository::FileEntry> EntryList::next() {
  const auto record = records_.next();
  if (!record) return std::nullopt;
  std::size_t at = 0;
  return repository::decode_entry(*record, at, packs_.packs(), {});
}

}  // namespace backstay::backup
