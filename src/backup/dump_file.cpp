#include "backup/dump_file.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"
#include "core/text.h"

namespace backstay::backup {
namespace {

constexpr std::size_t kBufferSize = 4 * repository::kLargestChunk;
constexpr std::uint32_t kFileMode = 0600;

/// An entry of a manifest is one group of at most 64 MiB, and a chunk takes up to 40 bytes of it.
constexpr std::size_t kMostChunks = 1'500'000;

}  // namespace

repository::KnownChunks chunks_of_last_dump(repository::Repository& repository, const std::string& instance) {
  const auto records = repository.backups(instance);
  const auto last =
      std::find_if(records.rbegin(), records.rend(), [](const auto& record) { return record.mechanism == "logical"; });
  // What a restore of it found is said of the database, not of what lies in the store.
  if (last == records.rend() || !last->confirmed || !last->problem.empty()) return {};
  return {repository, *last};
}

DumpFileTaker::DumpFileTaker(const repository::ContentChunker& chunker, const repository::KnownChunks& known,
                             repository::PackWriter& writer)
    : chunker_(chunker), known_(known), writer_(writer), buffer_(kBufferSize) {}

repository::FileEntry DumpFileTaker::take(const os::Descriptor& file, const std::string& name,
                                          std::atomic<std::uint64_t>& done, const std::stop_token& stop) {
  repository::FileEntry entry{.path = name, .mode = kFileMode};
  std::uint64_t read_to = 0;
  std::size_t held = 0;
  for (bool at_end = false; !stop.stop_requested() && !(at_end && held == 0);) {
    const core::MutableByteSpan rest = core::MutableByteSpan(buffer_).subspan(held);
    const std::size_t got = os::read_at(file.get(), read_to, rest);
    at_end = got < rest.size();
    read_to += got;
    done += got;
    held += got;
    core::ByteSpan bytes = core::ByteSpan(buffer_).first(held);
    while (!bytes.empty() && (at_end || bytes.size() >= repository::kLargestChunk)) {
      const std::size_t length = chunker_.cut(bytes);
      add_chunk(bytes.first(length), entry);
      bytes = bytes.subspan(length);
    }
    held = bytes.size();
    std::ranges::copy(bytes, buffer_.begin());
  }
  return entry;
}

void DumpFileTaker::add_chunk(core::ByteSpan bytes, repository::FileEntry& entry) {
  if (entry.chunks.size() == kMostChunks) {
    throw core::Error(core::Code::kNotSupported,
                      fmt::format("the table in '{}' is larger than {}, which is more than a logical backup takes",
                                  entry.path, core::format_bytes(entry.size)))
        .with_hint("use physical backups, which have no such limit");
  }
  const auto content = chunker_.identify(bytes);
  std::vector<repository::Extent> extents;
  if (const auto position = known_.find(content, bytes.size())) {
    extents.push_back({.file_offset = entry.size, .length = bytes.size(), .position = *position});
    reused_ += bytes.size();
  } else {
    writer_.add(entry.size, bytes, extents);
  }
  entry.chunks.push_back({.extents = static_cast<std::uint32_t>(extents.size()), .content = content});
  entry.extents.insert(entry.extents.end(), extents.begin(), extents.end());
  entry.size += bytes.size();
}

}  // namespace backstay::backup
