// The manifest of the backup that a new one is taken upon, read along with the files in their order, never held whole.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "backup/byte_range.h"
#include "repository/manifest.h"
#include "repository/records.h"
#include "repository/repository.h"

namespace backstay::backup {

/// One thread at a time.
class BaseManifest {
 public:
  /// Throws store_object_missing if there is none, corrupt_data if it is damaged or not the record's.
  BaseManifest(repository::Repository& repository, const repository::BackupRecord& base);

  /// The file of that path, if the base has one; ask for paths in their order (repository::path_less). Good until the
  /// next question.
  const repository::FileEntry* find(const std::string& path);
  /// Begins again: paths are asked for from the first on.
  void rewind();

 private:
  repository::ManifestReader reader_;
  std::optional<repository::FileEntry> entry_;
};

/// The parts of `extents`, which are in order, that lie in `range`. A position may count on beyond its group's end:
/// extents go on through the groups of their pack.
std::vector<repository::Extent> clip(const std::vector<repository::Extent>& extents, ByteRange range);

/// True if the parts, which are in order and lie in `range`, leave nothing of it out.
bool covers(const std::vector<repository::Extent>& parts, ByteRange range);

/// A file of a backup, and which of its bytes are taken over from the base.
struct CopiedEntry {
  /// The extents of what was read and stored anew.
  repository::FileEntry file = {};
  /// They do not overlap. Behind the file's end they count for nothing: it may have been found after they were.
  std::vector<ByteRange> kept = {};
  /// Identities of consecutive pieces of kPieceSize bytes, if the file was identified.
  std::vector<repository::ContentId> pieces = {};
};

/// Files that are no main forks of relations are known again by pieces of this size.
inline constexpr std::uint64_t kPieceSize = 512 * 1024;

/// Puts the extents of what is kept in, and the chunks where the pieces cover the file. `base` is the base's entry,
/// null if nothing is kept.
void complete(CopiedEntry& entry, const repository::FileEntry* base);
/// The identities of the pieces of a file of an earlier backup; nothing if it was not identified so.
std::vector<repository::ContentId> pieces_of(const repository::FileEntry& entry);

}  // namespace backstay::backup
