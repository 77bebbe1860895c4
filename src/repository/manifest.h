// The manifest of a backup: every file in path order, and where its bytes lie. Streamed both ways.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "repository/container_reader.h"
#include "repository/container_writer.h"
#include "repository/pack_writer.h"
#include "repository/repository.h"

namespace backstay::repository {

/// What the bytes of a chunk are known by: equal in one repository exactly where the bytes are.
using ContentId = std::array<std::byte, 16>;

/// A run of a file's bytes that was cut where its content says, so that a later backup finds it again.
struct Chunk {
  /// How many of the file's extents it consists of.
  std::uint32_t extents = 1;
  ContentId content{};
  friend bool operator==(const Chunk&, const Chunk&) = default;
};

/// The values are part of the format.
enum class EntryType : std::uint8_t { kFile = 1, kDirectory = 2, kSymlink = 3 };

struct FileEntry {
  /// Relative, components joined by "/", none of them empty, "." or "..".
  std::string path = {};
  EntryType type = EntryType::kFile;
  std::uint32_t mode = 0;
  core::Timestamp modified = {};
  std::uint64_t size = 0;            // files only
  std::string link_target = {};      // symlinks only
  std::vector<Extent> extents = {};  // files only; sorted, not overlapping, within size; what none covers is zeros
  std::vector<Chunk> chunks = {};    // files only; none, or all extents in order
};

/// The order of entries: by components, so that a directory comes directly before what is in it.
bool path_less(std::string_view a, std::string_view b);

/// The packs that entries name by number, in the order in which they were met.
class PackTable {
 public:
  std::uint64_t number_of(const ObjectId& pack);
  [[nodiscard]] const std::vector<ObjectId>& packs() const { return packs_; }

 private:
  std::map<ObjectId, std::uint64_t> numbers_;
  std::vector<ObjectId> packs_;
};

/// One thread at a time. Nothing is visible before finish.
class ManifestWriter {
 public:
  ManifestWriter(Repository& repository, const std::string& instance, const std::string& backup,
                 const ObjectId& attempt);
  ~ManifestWriter();
  ManifestWriter(const ManifestWriter&) = delete;
  ManifestWriter& operator=(const ManifestWriter&) = delete;

  /// Throws Error(invalid_argument) for an entry out of order, twice, or with a path or extents that break the rules.
  void add(const FileEntry& entry);
  struct Result {
    ObjectId id;
    std::uint64_t entries = 0;
    std::uint64_t files = 0;
    std::uint64_t data_size = 0;    // sum of the files' sizes
    std::uint64_t stored_size = 0;  // of the manifest itself
  };
  /// The packs must be in the store by now.
  Result finish();

 private:
  void check(const FileEntry& entry) const;
  void seal_group();
  core::Bytes encode_meta() const;

  Repository& repository_;
  ContainerWriter container_;
  std::unique_ptr<blob::Upload> upload_;
  core::Bytes group_;
  std::string last_path_;
  std::string group_path_;  // what the next path in this group shares its beginning with
  PackTable packs_;
  Result result_{};
};

/// One thread at a time.
class ManifestReader {
 public:
  /// Throws store_object_missing if there is no manifest, corrupt_data if it is damaged or not the one that the record
  /// belongs to, but an old one that somebody has put back.
  ManifestReader(Repository& repository, const BackupRecord& record);
  /// Whatever record it belongs to.
  ManifestReader(Repository& repository, const ObjectName& name);

  /// The packs that the backup needs.
  [[nodiscard]] const std::vector<ObjectId>& packs() const { return packs_; }
  [[nodiscard]] const ObjectId& id() const { return layout_.id; }
  [[nodiscard]] std::uint64_t entry_count() const { return entry_count_; }
  [[nodiscard]] std::uint64_t data_size() const { return data_size_; }
  [[nodiscard]] std::uint64_t stored_size() const { return layout_.object_size; }
  /// The next entry in path order; nothing at the end. Throws corrupt_data for one that the writer would have refused:
  /// whoever has the key can make a manifest that says anything.
  std::optional<FileEntry> next();
  /// Starts again at the first entry.
  void rewind();

 private:
  bool load_group();
  void fetch_groups();
  void decode_meta();

  Repository& repository_;
  ContainerReader container_;
  Layout layout_;
  std::vector<ObjectId> packs_;
  std::uint64_t entry_count_ = 0;
  std::uint64_t data_size_ = 0;
  core::Bytes fetched_;  // stored bytes of several groups
  std::uint64_t fetched_offset_ = 0;
  std::uint32_t next_group_ = 0;
  core::Bytes group_;
  std::size_t at_ = 0;
  std::string group_path_;
  std::string last_path_;
};

}  // namespace backstay::repository
