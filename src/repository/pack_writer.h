// Packs: where the bytes of backed-up files go.
//
//   worker 1: PackWriter ─┐
//   worker 2: PackWriter ─┴─> PackUploader (bounded queue, N threads) ─> store
//
// Each worker compresses and seals into a pack of its own; a full pack is handed to the uploader, which sends it while
// the worker goes on. Memory: one pack a worker, one a sending thread, and those in the queue.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "core/bounded_queue.h"
#include "core/mutex.h"
#include "repository/container_writer.h"
#include "repository/repository.h"

namespace backstay::repository {

/// A place inside a pack: the group, and the offset in its raw bytes.
struct Position {
  ObjectId pack{};
  std::uint32_t group = 0;
  std::uint32_t offset = 0;
  friend bool operator==(const Position&, const Position&) = default;
};

/// A run of a file's bytes. It begins at `position` and goes on through the raw bytes of the following groups of the
/// same pack.
struct Extent {
  std::uint64_t file_offset = 0;
  std::uint64_t length = 0;
  Position position;
  friend bool operator==(const Extent&, const Extent&) = default;
};

struct PackOptions {
  /// A pack is closed once it has this many stored bytes.
  std::size_t target_size = 16 * 1024 * 1024;
  codec::Compression compression = codec::Compression::kZstd;
  int level = 1;
  unsigned upload_threads = 2;
  /// Finished packs that wait for a sending thread.
  std::size_t queued_packs = 1;
};

/// Sends finished packs. Shared by the writers of one backup; safe for any thread.
class PackUploader {
 public:
  /// `repository` must outlive it.
  explicit PackUploader(Repository& repository, PackOptions options = {});
  /// Unfinished: packs in the queue are dropped, those being sent are waited for.
  ~PackUploader();
  PackUploader(const PackUploader&) = delete;
  PackUploader& operator=(const PackUploader&) = delete;

  /// Waits until everything is in the store. Throws the first error of any upload. Call it after every writer's finish.
  void finish();
  [[nodiscard]] std::uint64_t packs_stored() const { return packs_stored_; }
  [[nodiscard]] std::uint64_t bytes_stored() const { return bytes_stored_; }

 private:
  friend class PackWriter;
  struct Pack {
    std::string key;
    core::Bytes content;
  };
  /// Waits for room; throws the first error of any upload so far.
  void submit(Pack pack);
  core::Bytes take_buffer();
  void send_all();
  void rethrow_error();

  Repository& repository_;
  const PackOptions options_;
  core::BoundedQueue<Pack> queue_;
  core::Mutex mutex_;
  std::exception_ptr error_ GUARDED_BY(mutex_);
  std::vector<core::Bytes> free_buffers_ GUARDED_BY(mutex_);
  std::atomic<std::uint64_t> packs_stored_{0};
  std::atomic<std::uint64_t> bytes_stored_{0};
  std::vector<std::jthread> threads_;
};

/// One thread at a time.
class PackWriter {
 public:
  /// `uploader` must outlive it.
  explicit PackWriter(PackUploader& uploader);

  /// Stores bytes of a file. `extents` gets one more extent or has its last one made longer, as the bytes lie; call it
  /// with growing file offsets. Bytes of several files share groups; long runs are cut into groups of kGroupSize.
  void add(std::uint64_t file_offset, core::ByteSpan bytes, std::vector<Extent>& extents);
  /// Hands over what is left. The extents are durable once PackUploader::finish has returned.
  void finish();
  [[nodiscard]] std::uint64_t raw_bytes() const { return raw_bytes_; }

 private:
  void note_extent(std::uint64_t file_offset, std::size_t length, std::vector<Extent>& extents);
  /// The extent's end as an offset in the raw bytes of its pack.
  static std::uint64_t end_of(const Extent& extent);
  void seal_gathered();
  void seal_group(core::ByteSpan raw);
  void close_pack();

  PackUploader& uploader_;
  ContainerWriter container_;
  core::Bytes gathered_;
  bool open_ = false;
  std::uint64_t raw_bytes_ = 0;
};

}  // namespace backstay::repository
