// Copies the files of a running cluster into packs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <stop_token>
#include <string>
#include <vector>

#include "backup/base_manifest.h"
#include "backup/environment.h"
#include "backup/pace.h"
#include "backup/page_changes.h"
#include "backup/scratch_list.h"
#include "postgres/control_file.h"
#include "postgres/lsn.h"
#include "repository/content_chunks.h"
#include "repository/manifest.h"
#include "repository/pack_writer.h"
#include "repository/records.h"

namespace backstay::backup {

struct DamagedPage {
  std::string file = {};
  std::uint32_t block = 0;
};

/// What need not be read, because the store has it.
struct CopyBase {
  repository::Repository& repository;
  repository::BackupRecord record = {};
  /// By the WAL from the base's start to the start of the copy.
  PageChanges changes = {};
};

struct CopyRequest {
  std::filesystem::path data_directory = {};
  /// Where a list of very many files lies meanwhile.
  std::filesystem::path scratch_directory = {};
  /// Pages older than this must have a right checksum, if the cluster has checksums at all.
  postgres::Lsn start = {};
  bool checksums = true;
  unsigned workers = 2;
  /// Knows the pieces of files that are no relations' main forks again; null: they get no identities.
  const repository::ContentChunker* chunker = nullptr;
  /// Null: everything is read.
  const CopyBase* base = nullptr;
  /// Null: as fast as it goes.
  Pace* pace = nullptr;
};

struct ClusterCopy {
  /// What was read.
  std::uint64_t bytes = 0;
  std::uint64_t pages_kept = 0;
  /// Why the base was not used, though there was one: what its pages or its manifest were found to be.
  std::string mismatch = {};
  /// It is the base itself that was found damaged.
  bool base_damaged = false;
  /// What the base's manifest was found to be after files had been taken upon it; those behind were copied whole.
  std::string late_damage = {};
  std::uint64_t pages_checked = 0;
  std::uint64_t pages_failed = 0;
  /// The first of them.
  std::vector<DamagedPage> damaged = {};
};

/// Walks the directory and copies every file but pg_control; `copied` gets what the manifest says of them, in its
/// order, and pg_control without its content, which is read later. However many files there are, a few thousand are
/// held at once. A file that vanished meanwhile has no entry; one that shrank is as short as it was found. Only the
/// cluster's own files are read, whatever its superuser puts in their place meanwhile (see walk_cluster). Every writer
/// is finished on return; the uploader is not.
///
/// With a base, pages that the WAL proves unchanged are not read: their file has the base's extents of them. A sample
/// of them is compared with what the base holds; if they differ, or if the base cannot be read, everything is copied,
/// and `mismatch` says so. If its manifest is damaged meanwhile, files are copied whole from there on, and
/// `late_damage` says so.
ClusterCopy copy_cluster(const Environment& environment, const CopyRequest& request, repository::PackUploader& uploader,
                         EntryList& copied, const ProgressCallback& progress, std::stop_token stop);

/// The bytes of global/pg_control, read again until its checksum holds: the server may be writing it.
core::Bytes read_control_file(core::Clock& clock, const std::filesystem::path& data_directory, std::stop_token stop);

}  // namespace backstay::backup
