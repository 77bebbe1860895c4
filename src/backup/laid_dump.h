// A logical backup's files, brought from the store into scratch space, where PostgreSQL's programs read them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <stop_token>
#include <string>

#include "backup/dump_restore.h"
#include "os/untrusted_directory.h"
#include "postgres/dump_programs.h"
#include "repository/manifest.h"
#include "repository/pack_reader.h"
#include "repository/records.h"

namespace backstay::backup {

/// Gone with its files when this goes. `from` outlives it.
class LaidDump {
 public:
  /// Throws disk_full, not_supported without the programs, and what require_dump throws.
  LaidDump(const Environment& environment, const StoredDump& from);

  /// All of its files. Throws corrupt_data for what no dump has, disk_full, cancelled, and the store's errors.
  void lay(const ProgressCallback& progress, const std::stop_token& stop);
  /// A file with the entries to restore, without what was made before.
  [[nodiscard]] std::filesystem::path put_contents(std::span<const std::string> extensions,
                                                   std::span<const std::string> schemas,
                                                   const std::stop_token& stop) const;

  [[nodiscard]] postgres::DumpTask task() const {
    return {.installation = from_.installation, .directory = scratch_.path(), .identity = from_.identity};
  }
  [[nodiscard]] const repository::BackupRecord& record() const { return record_; }
  /// Throws disk_full when the reserve is touched.
  void check_room() { scratch_.check_room(laid_); }

 private:
  void write(repository::PackReader& reader, const repository::FileEntry& entry);

  const Environment& environment_;
  const StoredDump& from_;
  const repository::BackupRecord record_;
  ScratchDirectory scratch_;
  const os::UntrustedDirectory files_;
  core::Bytes buffer_;
  std::uint64_t laid_ = 0;
};

}  // namespace backstay::backup
