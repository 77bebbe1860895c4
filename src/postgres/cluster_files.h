// Which files of a data directory belong into a physical backup.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "core/time.h"
#include "os/untrusted_directory.h"

namespace backstay::postgres {

enum class EntryType { kDirectory, kFile, kSymlink };

struct ClusterEntry {
  std::string path;  ///< below the data directory, '/'-separated; tablespaces below pg_tblspc/<oid>/
  EntryType type = EntryType::kFile;
  std::uint64_t size = 0;  ///< at the time of the walk; it may grow, shrink or vanish
  std::uint32_t mode = 0;  ///< permission bits
  core::Timestamp modified;
  std::string link_target;  ///< of a kSymlink: the tablespace's location
  /// Set for a relation's file, whose pages carry checksums if the cluster has them (see ControlFile): the number of
  /// its first block in the relation.
  std::optional<std::uint32_t> first_block;
  /// Where it lies: the data directory or a tablespace's, and where in `path` its name in there begins.
  std::shared_ptr<const os::UntrustedDirectory> directory;
  std::size_t name_begin = 0;

  /// Opens a kFile for reading. Throws not_found if it vanished, and path_not_allowed, as UntrustedDirectory does.
  [[nodiscard]] os::Descriptor open() const;
};

/// Calls `each` for every entry in component-wise path order, a directory before what is in it. Left out is what
/// pg_basebackup leaves out, the main forks of unlogged relations, and temporary relations; directories whose content
/// is left out are there, empty. A tablespace gives its kSymlink entry and then its content below it. Files that vanish
/// during the walk are passed over. global/pg_control is there like any other; who copies it does so last.
///
/// The cluster's superuser may exchange any of its files and directories meanwhile, and may link a tablespace to any
/// place: nothing outside of the data directory and of tablespaces that belong to the same user is looked at.
/// Throws Error(cancelled) at a stop, path_not_allowed for what leads elsewhere.
void walk_cluster(const std::filesystem::path& data_directory, std::stop_token stop,
                  const std::function<void(const ClusterEntry&)>& each);

/// The name of a file in a relation's directory, taken apart: "16384_fsm.2" is {16384, "fsm", 2}.
struct RelationFile {
  std::uint32_t node = 0;
  std::string fork;  ///< empty for the main fork
  std::uint32_t segment = 0;
};
/// Nothing for a name that is not a relation's file.
std::optional<RelationFile> parse_relation_file(std::string_view name);

}  // namespace backstay::postgres
