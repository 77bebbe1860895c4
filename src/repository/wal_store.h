// The WAL archive of one instance.
//
// A segment is stored whole, or, while it fills, as tails that cover ranges of it. Every writer has an epoch (its
// lease's), which is in the name of each object it writes: an old writer cannot destroy what a new one wrote. Objects
// under the same prefix that are none of ours are ignored.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/mutex.h"
#include "repository/container_writer.h"
#include "repository/repository.h"
#include "repository/segment_index.h"

namespace backstay::repository {

/// PostgreSQL's name of a segment, e.g. "00000001000000000000002A". `segment` is LSN / segment size.
std::string segment_name(std::uint32_t timeline, std::uint64_t segment, std::uint64_t segment_size);

struct StoredTail {
  std::uint64_t epoch = 0;
  std::uint64_t from = 0;  // offsets in the segment
  std::uint64_t to = 0;
  std::string key = {};
};

/// What the archive has of one segment.
struct StoredSegment {
  std::uint64_t segment = 0;
  std::vector<std::string> complete = {};  // keys of the whole ones; more than one if several writers stored it
  std::vector<StoredTail> tails = {};      // by `from`
  /// How much can be read without a gap: the segment size if it is complete.
  [[nodiscard]] std::uint64_t contiguous(std::uint64_t segment_size) const;
};

/// The tails that lead from the segment's start without a gap, each reaching further than the one before.
std::vector<StoredTail> tail_chain(const StoredSegment& stored);

/// What tells one content of a segment from another. Within the repository's key only: the bytes are authenticated by
/// their container anyway, and this is fifteen times as fast as a digest that anybody may compute.
std::string wal_content_mac(const DataKey& data_key, core::ByteSpan content);
/// The same of a WAL object, as its meta tells.
std::string stored_content_mac(const Layout& layout);

struct WindowEnd {
  core::Timestamp time = {};  // the server's clock
  std::uint64_t lsn = 0;      // everything before it is in the archive
};

struct SegmentData {
  core::Bytes bytes = {};  // from offset 0 on; shorter than the segment if only tails are there
  bool complete = false;
};

/// Safe for any thread.
class WalStore {
 public:
  /// `repository` must outlive it.
  WalStore(Repository& repository, std::string instance, std::uint64_t segment_size = 16 * 1024 * 1024);

  [[nodiscard]] std::uint64_t segment_size() const { return segment_size_; }
  [[nodiscard]] const std::string& instance() const { return instance_; }

  /// Stores a whole segment and removes the tails that it replaces, whoever wrote them. False if the same content is
  /// there already and can be read. Throws store_conflict if another content is: then two servers write one timeline,
  /// or the wrong one does.
  bool put_segment(core::ByteSpan content, const SegmentIndex& index, std::uint64_t epoch);
  /// The same by a writer() of the caller's, whose buffers serve one segment after another instead of being found anew
  /// for each. They are as large as what is stored of one.
  bool put_segment(core::ByteSpan content, const SegmentIndex& index, std::uint64_t epoch, ContainerWriter& writer);
  [[nodiscard]] ContainerWriter writer() const { return {repository_.data_key(), repository_.random()}; }
  /// Stores the range [from, from + content.size()) of a segment that is still filling. `index` is of that range.
  void put_tail(core::ByteSpan content, std::uint64_t from, const SegmentIndex& index, std::uint64_t epoch);
  /// Removes the tails of a segment whose whole range lies in [from, to), whoever wrote them. Only for ranges that a
  /// whole segment or another tail covers.
  void remove_tails(std::uint32_t timeline, std::uint64_t segment, std::uint64_t from, std::uint64_t to,
                    const std::string& keep_key = {});

  /// What is there of the segments [from, to], in order; absent ones are left out. One that takes the place of its
  /// tails at this moment may be: a listing can pass its place before it is stored, and theirs after they were removed.
  [[nodiscard]] std::vector<StoredSegment> list(std::uint32_t timeline, std::uint64_t from = 0,
                                                std::uint64_t to = UINT64_MAX);
  /// The same where all before the position `end` (and all between those that are there) should be there: what is not
  /// is looked for twice, so that nothing that was stored before is missed.
  [[nodiscard]] std::vector<StoredSegment> list_expected(std::uint32_t timeline, std::uint64_t from, std::uint64_t to,
                                                         std::uint64_t end);
  /// The first segment that lacks any of the bytes [from, to); nothing if all are there. Looks twice, too.
  [[nodiscard]] std::optional<std::uint64_t> first_missing(std::uint32_t timeline, std::uint64_t from,
                                                           std::uint64_t to);
  /// The segment, whole or as far as its tails reach without a gap. Nothing if there is not even a tail at its start.
  /// A damaged object is passed by if others hold the same bytes. Throws corrupt_data if not, store_conflict if two
  /// objects disagree about a byte.
  [[nodiscard]] std::optional<SegmentData> read_segment(std::uint32_t timeline, std::uint64_t segment);
  [[nodiscard]] std::optional<SegmentData> read_segment(std::uint32_t timeline, const StoredSegment& stored);

  /// The index of one segment (of its contiguous tails if it is not complete), from the cache if it is known.
  [[nodiscard]] std::optional<SegmentIndex> segment_index(std::uint32_t timeline, std::uint64_t segment);
  /// The indexes of everything readable in [from, to], in order. Complete segments are read once and kept: first the
  /// roll-ups, then the footers of what they lack, several at a time. The tails of filling ones are read each time. A
  /// damaged roll-up only costs requests; a segment whose own index is damaged has an incomplete one.
  [[nodiscard]] std::vector<SegmentIndex> segment_indexes(std::uint32_t timeline, std::uint64_t from = 0,
                                                          std::uint64_t to = UINT64_MAX);
  /// The same of what a listing has shown, without another.
  [[nodiscard]] std::vector<SegmentIndex> segment_indexes(std::uint32_t timeline,
                                                          const std::vector<StoredSegment>& listed);

  /// Timeline history files; timeline 1 has none. Storing the same again is fine, another content is store_conflict.
  void put_history(std::uint32_t timeline, core::ByteSpan content);
  [[nodiscard]] std::optional<core::Bytes> get_history(std::uint32_t timeline);
  /// Timelines with WAL or a history file, ascending.
  [[nodiscard]] std::vector<std::uint32_t> timelines();

  /// Completeness up to a time, as the server's keepalives prove it. A small object, overwritten.
  void put_window_end(std::uint32_t timeline, const WindowEnd& end);
  /// None if it is damaged: what it proves is then not known, and everything else is.
  [[nodiscard]] std::optional<WindowEnd> window_end(std::uint32_t timeline);

 private:
  struct Known {
    std::map<std::uint64_t, SegmentIndex> complete;  // by segment number
    bool rollups_read = false;
  };
  std::string timeline_prefix(std::uint32_t timeline) const;
  std::string segment_key(std::uint32_t timeline, std::uint64_t segment) const;
  ObjectName history_name(std::uint32_t timeline) const;
  [[nodiscard]] std::optional<std::uint64_t> first_hole(const std::vector<StoredSegment>& listed, std::uint64_t from,
                                                        std::uint64_t end) const;
  void put_new_segment(core::ByteSpan content, const SegmentIndex& index, const std::string& mac, std::uint64_t epoch,
                       ContainerWriter& writer);
  /// Whether a whole one is there and sound; listed ones that have gone or are damaged do not count. Throws
  /// store_conflict if one has another content.
  bool is_stored(const StoredSegment& stored, const std::string& mac);
  /// Throws store_conflict if an earlier writer's tail says anything else: the server is not the one that it was.
  void check_tails(const StoredSegment& stored, core::ByteSpan content, std::uint64_t epoch);
  /// Nothing if an object went away meanwhile.
  std::optional<core::Bytes> read_stored(const StoredSegment& stored);
  std::optional<core::Bytes> read_complete(const StoredSegment& stored);
  std::optional<core::Bytes> assemble(const StoredSegment& stored);

  void read_rollups(std::uint32_t timeline);
  void write_rollup(std::uint32_t timeline, std::uint64_t segment, std::uint64_t epoch);
  /// Makes the indexes of all whole ones known.
  void read_missing(std::uint32_t timeline, const std::vector<StoredSegment>& listed);
  void read_footer(std::uint32_t timeline, const StoredSegment& stored);
  std::optional<SegmentIndex> tails_index(std::uint32_t timeline, const StoredSegment& stored);
  std::optional<SegmentIndex> known(std::uint32_t timeline, std::uint64_t segment);
  void remember(const SegmentIndex& index);

  Repository& repository_;
  const std::string instance_;
  const std::uint64_t segment_size_;
  core::Mutex mutex_;
  std::map<std::uint32_t, Known> known_ GUARDED_BY(mutex_);
};

}  // namespace backstay::repository
