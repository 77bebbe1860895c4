// A dump taken into a running server: recognised by its content, unpacked in scratch space, read as a stranger's, and
// loaded as the role that owns the database, in one transaction.
//
// Archives become SQL first (pg_restore without ownership and privileges), so that whatever was sent goes one way in.
#pragma once

#include <optional>
#include <stop_token>
#include <string>

#include "backup/dump_format.h"
#include "backup/environment.h"
#include "backup/scratch.h"
#include "os/untrusted_directory.h"
#include "postgres/script_filter.h"
#include "postgres/script_load.h"

namespace backstay::backup {

struct ImportRequest {
  /// The file, or the directory that pg_dump made, is `path` below it.
  const os::UntrustedDirectory& root;
  std::string path;
  /// What its sender says it is; another content is refused.
  std::optional<DumpFormat> format = {};
  /// How long it may become when it is unpacked; nothing: as long as the disk has room.
  std::optional<std::uint64_t> most_bytes = {};
  ScratchSpace scratch = {};
  /// `script` is set here. Its installation and identity are pg_restore's too.
  postgres::ScriptLoad load;
};

struct ImportResult {
  DumpFormat format = DumpFormat::kPlain;
  /// As SQL.
  std::uint64_t bytes = 0;
  std::uint64_t statements = 0;
  postgres::LeftOut left_out = {};
  /// An earlier attempt had loaded it; nothing else is known then.
  bool loaded_before = false;
};

/// Throws Error(import_refused) for what cannot be imported, naming the line or the object, and for the tar
/// and directory forms where there is no identity; disk_full; what postgres::load_script throws. After an error nothing
/// of the dump is in the database, but for database_unavailable, where the next attempt finds out.
ImportResult import_dump(const Environment& environment, const ImportRequest& request, const ProgressCallback& progress,
                         std::stop_token stop);

}  // namespace backstay::backup
