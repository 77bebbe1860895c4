// The files of a backup on their way: from the list of the walk, through the workers that copy them, to the list of
// what was copied. However many there are, only those that are at work are held.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "backup/base_manifest.h"
#include "backup/byte_range.h"
#include "backup/scratch_list.h"
#include "core/mutex.h"
#include "postgres/cluster_files.h"
#include "repository/manifest.h"

namespace backstay::backup {

struct CopiedFile {
  postgres::ClusterEntry source = {};
  /// What is read of it. The rest is in the base, if there is any.
  std::vector<ByteRange> reads = {};
  /// Of a file that is known by its pieces: those of the base.
  bool by_pieces = false;
  std::vector<repository::ContentId> base_pieces = {};
  /// What the base has, if anything may be taken over from it.
  std::optional<repository::FileEntry> earlier = {};

  /// The queue's own: what it takes of the memory, about; its parts that are not finished; what is written of it in
  /// the end, nothing if it vanished.
  std::size_t weight = 0;
  std::atomic<std::size_t> parts{1};
  bool finished = false;
  std::optional<repository::FileEntry> result = {};

  core::Mutex mutex;
  /// Set by whichever worker found it gone.
  bool vanished GUARDED_BY(mutex) = false;
  /// Where it was found to end, if that was before its size at the walk.
  std::uint64_t cut_at GUARDED_BY(mutex) = UINT64_MAX;
  std::vector<repository::Extent> extents GUARDED_BY(mutex);
  /// Pieces that were read, and found to be those of the base.
  std::vector<ByteRange> kept GUARDED_BY(mutex);
  std::vector<repository::ContentId> pieces GUARDED_BY(mutex);
};

/// Whether its content is copied with it: global/pg_control's is read later.
bool is_copied_now(const postgres::ClusterEntry& entry);

/// Safe for any thread. Files come and go in path order; one that takes long holds up no other, as long as not too much
/// waits behind it.
class CopyQueue {
 public:
  /// Says of a file what is read of it; asked of one file after the other, in their order, by one thread at a time.
  using Plan = std::function<void(CopiedFile&)>;
  /// `walked` is at its begin. All three outlive the queue.
  CopyQueue(WalkList& walked, EntryList& copied, const Plan& plan) : walked_(walked), copied_(copied), plan_(plan) {}

  /// Whole files, or a part of the only one.
  struct Item {
    std::vector<CopiedFile*> files = {};
    std::optional<ByteRange> part = {};
  };
  /// What to copy next; nothing at the end, or after abort.
  std::optional<Item> take() EXCLUDES(mutex_);
  /// Everything of the item was copied: its files are not to be touched any more.
  void finish(const Item& item) EXCLUDES(mutex_);
  /// Releases who waits.
  void abort() EXCLUDES(mutex_);

 private:
  using Files = std::deque<std::unique_ptr<CopiedFile>>;

  Item next_part() REQUIRES(mutex_);
  Files read_files();
  Item give_out(Files files) REQUIRES(mutex_);
  Files take_finished() REQUIRES(mutex_);
  void write_finished() EXCLUDES(mutex_);

  // Of the one whose turn it is to read, and of the one whose turn it is to write.
  WalkList& walked_;
  EntryList& copied_;
  const Plan& plan_;

  core::Mutex mutex_;
  core::Condition changed_;
  bool reading_ GUARDED_BY(mutex_) = false;
  bool writing_ GUARDED_BY(mutex_) = false;
  bool aborted_ GUARDED_BY(mutex_) = false;
  /// In path order: everything that was given out, or is finished behind what is not.
  Files files_ GUARDED_BY(mutex_);
  std::size_t weight_ GUARDED_BY(mutex_) = 0;
  /// The last of them, if it is given out in parts, and where the next begins.
  CopiedFile* large_ GUARDED_BY(mutex_) = nullptr;
  std::uint64_t next_part_ GUARDED_BY(mutex_) = 0;
};

}  // namespace backstay::backup
