// Lists that take no memory however long they are: what a backup knows of each file, while it is at work.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backup/environment.h"
#include "codec/compression.h"
#include "os/file_system.h"
#include "postgres/cluster_files.h"
#include "repository/manifest.h"

namespace backstay::backup {

/// Records of bytes: added one after the other, then read in that order. What is more than a block of them lies
/// compressed in a file that has no name, so that a crash leaves nothing. One thread at a time.
class ScratchList {
 public:
  /// The file is made in `directory`, which is made too, when it is needed.
  ScratchList(const Environment& environment, std::filesystem::path directory);

  /// Throws what the disk does: disk_full, io_error.
  void add(core::ByteSpan record);
  /// Reads from the first record on. Nothing can be added any more.
  void rewind();
  /// Nothing at the end. Good until the next call.
  std::optional<core::ByteSpan> next();

 private:
  struct Block {
    std::uint64_t offset = 0;
    std::size_t stored = 0;
    std::size_t raw = 0;
  };
  void put_block();
  void make_file();
  void load_block(const Block& block);

  const Environment& environment_;
  const std::filesystem::path directory_;
  std::unique_ptr<os::WritableFile> writer_;
  std::unique_ptr<os::ReadableFile> reader_;
  codec::Compressor compressor_{codec::Compression::kZstd};
  codec::Decompressor decompressor_;
  std::vector<Block> blocks_;
  std::uint64_t end_ = 0;
  /// While records are added: those of no block yet; they are the last to be read.
  core::Bytes last_;
  core::Bytes compressed_;
  /// Of the block that is being read.
  core::Bytes loaded_;
  core::ByteSpan left_ = {};
  std::size_t next_block_ = 0;
};

/// What a walk of the data directory found, in its order.
class WalkList {
 public:
  WalkList(const Environment& environment, std::filesystem::path directory)
      : records_(environment, std::move(directory)) {}
  void add(const postgres::ClusterEntry& entry);
  void rewind() { records_.rewind(); }
  std::optional<postgres::ClusterEntry> next();

 private:
  ScratchList records_;
  repository::PackTable packs_;
  /// The data directory and the tablespaces.
  std::vector<std::shared_ptr<const os::UntrustedDirectory>> trees_;
  core::Bytes record_;
};

/// The entries of a manifest that is not written yet.
class EntryList {
 public:
  EntryList(const Environment& environment, std::filesystem::path directory)
      : records_(environment, std::move(directory)) {}
  void add(const repository::FileEntry& entry);
  void rewind() { records_.rewind(); }
  std::optional<repository::FileEntry> next();

 private:
  ScratchList records_;
  repository::PackTable packs_;
  core::Bytes record_;
};

/// What the manifest says of what was found, but for a file's content: its size and extents are of those who read it.
repository::FileEntry entry_of(const postgres::ClusterEntry& found);

}  // namespace backstay::backup
