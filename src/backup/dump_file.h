// One file of a dump on its way into packs: cut by content, what is known already left out.
#pragma once

#include <atomic>
#include <cstdint>
#include <stop_token>
#include <string>

#include "os/file.h"
#include "repository/content_chunks.h"
#include "repository/manifest.h"
#include "repository/pack_writer.h"

namespace backstay::backup {

/// The chunks of the instance's newest logical backup, if it was confirmed and nothing was found against it: what
/// rests on a damaged pack would be damaged, too. To be called with the mark of the new backup in place.
repository::KnownChunks chunks_of_last_dump(repository::Repository& repository, const std::string& instance);

/// One thread at a time. `chunker`, `known` and `writer` must outlive it.
class DumpFileTaker {
 public:
  DumpFileTaker(const repository::ContentChunker& chunker, const repository::KnownChunks& known,
                repository::PackWriter& writer);

  /// The whole file; `done` grows by what was read. Ends early on a stop. Throws not_supported for a file with more
  /// chunks than a manifest takes.
  repository::FileEntry take(const os::Descriptor& file, const std::string& name, std::atomic<std::uint64_t>& done,
                             const std::stop_token& stop);
  /// Bytes that were not stored again.
  [[nodiscard]] std::uint64_t reused() const { return reused_; }

 private:
  void add_chunk(core::ByteSpan bytes, repository::FileEntry& entry);

  const repository::ContentChunker& chunker_;
  const repository::KnownChunks& known_;
  repository::PackWriter& writer_;
  core::Bytes buffer_;
  std::uint64_t reused_ = 0;
};

}  // namespace backstay::backup
