#include "postgres/instance_paths.h"

#include <unistd.h>

#include "core/bytes.h"
#include "os/untrusted_directory.h"

namespace backstay::postgres {
namespace {

namespace fs = std::filesystem;

void make_directory(os::FileSystem& files, const fs::path& path, mode_t mode, std::optional<os::Identity> owner) {
  files.make_directories(path, mode);
  if (owner) files.set_owner(path, owner->uid, owner->gid);
  files.set_mode(path, mode);
}

}  // namespace

void prepare_directories(os::FileSystem& files, const InstancePaths& paths,
                         const std::optional<os::Identity>& identity) {
  std::optional<os::Identity> ours;
  if (identity) ours = os::Identity{::geteuid(), identity->gid};
  const mode_t readable = identity ? 0750 : 0700;
  make_directory(files, paths.root, readable, ours);
  make_directory(files, paths.config(), readable, ours);
  make_directory(files, paths.tls(), readable, ours);
  make_directory(files, paths.log(), readable, ours);
  for (const auto& path : {paths.socket(), paths.recovery(), paths.tablespaces()}) {
    make_directory(files, path, 0700, identity);
  }
}

void give_to(os::FileSystem& files, const fs::path& path, const std::optional<os::Identity>& identity) {
  if (!identity) return;
  const auto info = files.stat(path);
  if (!info) return;
  if (info->type == os::FileType::kDirectory) return os::UntrustedDirectory(path).give_to(*identity);
  files.set_owner(path, identity->uid, identity->gid);
}

void write_readable_file(os::FileSystem& files, const fs::path& path, std::string_view content,
                         const std::optional<os::Identity>& identity) {
  files.write_file_durably(path, core::as_bytes(content), identity ? 0640 : 0600);
  if (identity) files.set_owner(path, ::geteuid(), identity->gid);
}

void write_passing_file(os::FileSystem& files, const fs::path& path, std::string_view content,
                        const std::optional<os::Identity>& identity) {
  const fs::path temporary = path.string() + ".new";
  files.remove(temporary);
  const auto file = files.create(temporary, identity ? 0640 : 0600);
  file->append(core::as_bytes(content));
  file->close();
  if (identity) files.set_owner(temporary, ::geteuid(), identity->gid);
  files.rename(temporary, path);
}

}  // namespace backstay::postgres
