// Copies the files of a running cluster into packs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <stop_token>
#include <string>
#include <vector>

#include "backup/environment.h"
#include "postgres/control_file.h"
#include "postgres/lsn.h"
#include "repository/manifest.h"
#include "repository/pack_writer.h"

namespace backstay::backup {

struct DamagedPage {
  std::string file = {};
  std::uint32_t block = 0;
};

struct CopyRequest {
  std::filesystem::path data_directory = {};
  /// Pages older than this must have a right checksum, if the cluster has checksums at all.
  postgres::Lsn start = {};
  bool checksums = true;
  unsigned workers = 2;
};

struct ClusterCopy {
  /// In path order; global/pg_control without its content, which is read later.
  std::vector<repository::FileEntry> entries = {};
  std::uint64_t bytes = 0;
  std::uint64_t pages_checked = 0;
  std::uint64_t pages_failed = 0;
  /// The first of them.
  std::vector<DamagedPage> damaged = {};
};

/// Walks the directory and copies every file but pg_control. A file that vanished meanwhile has no entry; one that
/// shrank is as short as it was found. Only the cluster's own files are read, whatever its superuser puts in their
/// place meanwhile (see walk_cluster). Every writer is finished on return; the uploader is not.
ClusterCopy copy_cluster(const Environment& environment, const CopyRequest& request, repository::PackUploader& uploader,
                         const ProgressCallback& progress, std::stop_token stop);

/// The bytes of global/pg_control, read again until its checksum holds: the server may be writing it.
core::Bytes read_control_file(core::Clock& clock, const std::filesystem::path& data_directory, std::stop_token stop);

}  // namespace backstay::backup
