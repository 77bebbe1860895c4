// Restoring files: a backup's manifest becomes a data directory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>

#include "backup/environment.h"
#include "os/process.h"
#include "repository/repository.h"

namespace backstay::backup {

struct RestoreRequest {
  repository::Repository& repository;
  std::string instance = {};
  std::string backup_id = {};
  /// Its record, if it has just been read.
  std::optional<repository::BackupRecord> record = {};
  /// The data directory to make; it must not exist or be empty. Made with mode 0700.
  std::filesystem::path data_directory = {};
  /// Tablespaces go to `<this>/<oid>` and are linked from pg_tblspc, wherever they lay at the source.
  std::filesystem::path tablespace_directory = {};
  /// Who owns the files; the caller itself if absent.
  std::optional<os::Identity> identity = {};
  unsigned workers = 4;
};

struct RestoreResult {
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
};

/// Restores every file of a stored backup; returns when all is on disk. global/pg_control is put in place last, so that
/// a directory without it is one that was not finished. Every byte is authenticated on the way. Nothing but new files,
/// directories (0600, 0700) and the tablespaces' links is made, and nothing outside of the two directories, whatever
/// the manifest says: who has the recovery key can write one. Throws Error: conflict if the directory is not empty,
/// not_found if no such backup is stored, cancelled on stop, and the store's and the disk's errors. What was written
/// stays; the caller removes it.
RestoreResult restore_files(const Environment& environment, const RestoreRequest& request,
                            const ProgressCallback& progress, std::stop_token stop);

}  // namespace backstay::backup
