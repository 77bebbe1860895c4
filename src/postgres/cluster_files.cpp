#include "postgres/cluster_files.h"

#include <array>
#include <set>

#include <fcntl.h>

#include <fmt/format.h>

#include "core/bytes.h"
#include "core/error.h"
#include "core/text.h"
#include "postgres/page_checksum.h"

namespace backstay::postgres {
namespace {

namespace fs = std::filesystem;
using Found = os::UntrustedDirectory::Entry;

constexpr std::size_t kVersionLimit = 64;
/// Files of a directory that are looked at together.
constexpr std::size_t kLookedAt = 512;

constexpr std::array<std::string_view, 8> kEmptiedDirectories = {
    "pg_wal", "pg_replslot", "pg_dynshmem", "pg_notify", "pg_serial", "pg_snapshots", "pg_stat_tmp", "pg_subtrans"};

constexpr std::array<std::string_view, 9> kLeftOutFiles = {
    "postmaster.pid",     "postmaster.opts", "backup_label",     "backup_label.old",        "tablespace_map",
    "tablespace_map.old", "backup_manifest", "current_logfiles", "postgresql.auto.conf.tmp"};

template <typename List>
bool contains(const List& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

bool is_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

/// "t3_16384", with fork and segment: a temporary relation of backend 3.
bool is_temporary_relation(std::string_view name) {
  if (!name.starts_with('t')) return false;
  const auto underscore = name.find('_');
  return underscore != std::string_view::npos && is_digits(name.substr(1, underscore - 1)) &&
         parse_relation_file(name.substr(underscore + 1)).has_value();
}

bool is_left_out_everywhere(std::string_view name) {
  return name.starts_with("pgsql_tmp") || name.starts_with("pg_internal.init");
}

/// "base/16384", "global" and "pg_tblspc/16400/PG_15_202209061/16384" hold relations.
bool holds_relations(const std::vector<std::string>& parts) {
  if (parts.size() == 1) return parts[0] == "global";
  if (parts.size() == 2) return parts[0] == "base" && is_digits(parts[1]);
  return parts.size() == 4 && parts[0] == "pg_tblspc" && is_digits(parts[3]);
}

/// A directory that can be walked on its own: the data directory or a tablespace.
struct Tree {
  std::shared_ptr<const os::UntrustedDirectory> directory;
  /// Of what lies in it, as the backup names it: "", "pg_tblspc/16400/".
  std::string prefix;

  [[nodiscard]] std::string name_of(const std::string& path) const { return path.substr(prefix.size()); }
};

class Walk {
 public:
  Walk(const fs::path& root, std::stop_token stop, const std::function<void(const ClusterEntry&)>& each)
      : root_{std::make_shared<const os::UntrustedDirectory>(root), ""}, stop_(std::move(stop)), each_(each) {
    const auto version = root_.directory->read_file("PG_VERSION", kVersionLimit);
    tablespace_prefix_ = fmt::format("PG_{}_", core::trim(core::as_text(version)));
  }

  void run() { directory(root_, ""); }

 private:
  /// `path` as the backup names it.
  void directory(const Tree& tree, const std::string& path) {
    if (stop_.stop_requested())
      throw core::Error(core::Code::kCancelled, "the walk of the data directory was cancelled");
    // A tablespace itself is named without the separator at the prefix's end.
    const auto name = path.size() < tree.prefix.size() ? "" : tree.name_of(path);
    const auto names = if_there(path, [&] { return tree.directory->names(name); });
    if (!names) return;
    const auto parts = path.empty() ? std::vector<std::string>{} : core::split(path, '/');
    const auto unlogged = holds_relations(parts) ? unlogged_relations(*names) : std::set<std::uint32_t>{};
    // What is held at once does not grow with what a directory holds, but for the names.
    for (std::size_t i = 0; i < names->size(); i += kLookedAt) {
      const std::size_t count = std::min(kLookedAt, names->size() - i);
      const auto entries = if_there(path, [&] { return tree.directory->look(name, *names, i, count); });
      if (!entries) return;
      for (const auto& found : *entries) choose(tree, path, parts, found, unlogged);
    }
  }

  void choose(const Tree& tree, const std::string& path, const std::vector<std::string>& parts, const Found& found,
              const std::set<std::uint32_t>& unlogged) {
    if (leave_out(parts, found.name)) return;
    const auto file = holds_relations(parts) ? parse_relation_file(found.name) : std::nullopt;
    if (file && file->fork != "init" && unlogged.contains(file->node)) return;
    visit(tree, path.empty() ? found.name : path + '/' + found.name, parts, found, file);
  }

  /// A database or a tablespace may be dropped during the walk: then nothing.
  template <typename Look>
  static auto if_there(const std::string& path, const Look& look) -> std::optional<decltype(look())> {
    try {
      return look();
    } catch (const core::Error& e) {
      if (e.code() != core::Code::kNotFound || path.empty()) throw;
      return std::nullopt;
    }
  }

  void visit(const Tree& tree, const std::string& path, const std::vector<std::string>& parts, const Found& found,
             const std::optional<RelationFile>& file) {
    const auto& info = found.info;
    ClusterEntry entry{path, EntryType::kFile, info.size,         info.mode, info.modified, {},
                       {},   tree.directory,   tree.prefix.size()};
    const bool tablespace = parts.size() == 1 && parts[0] == "pg_tblspc";
    if (info.type == os::FileType::kDirectory || (path == "pg_wal" && info.type == os::FileType::kSymlink)) {
      emit_directory(tree, entry, parts.empty() && contains(kEmptiedDirectories, found.name));
    } else if (info.type == os::FileType::kSymlink && tablespace) {
      emit_tablespace(entry);
    } else if (info.type == os::FileType::kFile) {
      if (file) entry.first_block = file->segment * kRelationSegmentBlocks;
      each_(entry);
    }
  }

  void emit_directory(const Tree& tree, ClusterEntry& entry, bool emptied) {
    entry.type = EntryType::kDirectory;
    entry.size = 0;
    if (entry.path == "pg_wal") entry.mode = 0700;  // also where it is a symlink
    each_(entry);
    if (!emptied) return directory(tree, entry.path);
    if (entry.path == "pg_wal") {
      entry.path += "/archive_status";
      each_(entry);
    }
  }

  void emit_tablespace(ClusterEntry& entry) {
    entry.type = EntryType::kSymlink;
    entry.size = 0;
    const auto target = root_.directory->read_link(entry.path);
    entry.link_target = target.string();
    each_(entry);
    if (const auto opened = open_tablespace(target)) directory({opened, entry.path + '/'}, entry.path);
  }

  /// PostgreSQL makes a tablespace in a directory of its own user only.
  std::shared_ptr<const os::UntrustedDirectory> open_tablespace(const fs::path& target) const {
    std::shared_ptr<const os::UntrustedDirectory> opened;
    try {
      opened = std::make_shared<const os::UntrustedDirectory>(root_.directory->path() / "pg_tblspc" / target);
    } catch (const core::Error& e) {
      if (e.code() == core::Code::kNotFound) return nullptr;  // dropped during the walk
      throw;
    }
    if (opened->owner() == root_.directory->owner()) return opened;
    throw core::Error(core::Code::kPathNotAllowed,
                      fmt::format("the tablespace directory '{}' belongs to another user than the data directory '{}'",
                                  target.string(), root_.directory->path().string()))
        .with_hint("remove the link from pg_tblspc, or give the directory to the user that the server runs as");
  }

  bool leave_out(const std::vector<std::string>& parts, const std::string& name) const {
    if (is_left_out_everywhere(name)) return true;
    if (parts.empty()) return contains(kLeftOutFiles, name);
    // A tablespace may also hold the files of another major version.
    if (parts.size() == 2 && parts[0] == "pg_tblspc") return !name.starts_with(tablespace_prefix_);
    return holds_relations(parts) && is_temporary_relation(name);
  }

  static std::set<std::uint32_t> unlogged_relations(const os::DirectoryNames& names) {
    std::set<std::uint32_t> result;
    for (std::size_t i = 0; i < names.size(); ++i) {
      const auto file = parse_relation_file(names[i]);
      if (file && file->fork == "init") result.insert(file->node);
    }
    return result;
  }

  const Tree root_;
  const std::stop_token stop_;
  const std::function<void(const ClusterEntry&)>& each_;
  std::string tablespace_prefix_;
};

}  // namespace

os::Descriptor ClusterEntry::open() const { return directory->open(path.substr(name_begin), O_RDONLY); }

void walk_cluster(const fs::path& data_directory, std::stop_token stop,
                  const std::function<void(const ClusterEntry&)>& each) {
  Walk(data_directory, std::move(stop), each).run();
}

std::optional<RelationFile> parse_relation_file(std::string_view name) {
  RelationFile file;
  if (const auto dot = name.find('.'); dot != std::string_view::npos) {
    const auto segment = core::parse_int(name.substr(dot + 1));
    if (!is_digits(name.substr(dot + 1)) || !segment || *segment > UINT32_MAX / kRelationSegmentBlocks) {
      return std::nullopt;
    }
    file.segment = static_cast<std::uint32_t>(*segment);
    name = name.substr(0, dot);
  }
  if (const auto underscore = name.find('_'); underscore != std::string_view::npos) {
    file.fork = name.substr(underscore + 1);
    if (file.fork != "fsm" && file.fork != "vm" && file.fork != "init") return std::nullopt;
    name = name.substr(0, underscore);
  }
  const auto node = is_digits(name) ? core::parse_int(name) : std::nullopt;
  if (!node || *node > UINT32_MAX) return std::nullopt;
  file.node = static_cast<std::uint32_t>(*node);
  return file;
}

}  // namespace backstay::postgres
