#include "backup/laid_dump.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"
#include "os/file.h"

namespace backstay::backup {
namespace {

constexpr std::size_t kWriteSize = 1U << 20;
constexpr std::string_view kContentsFile = "contents.list";

}  // namespace

LaidDump::LaidDump(const Environment& environment, const StoredDump& from)
    : environment_(environment),
      from_(from),
      record_(require_dump(from.repository, from.instance, from.backup_id, from.installation.major)),
      scratch_(environment, from.scratch, record_.data_size, from.identity),
      files_(scratch_.path()) {
  if (const auto problem = postgres::dump_problem(from.installation)) {
    throw core::Error(core::Code::kNotSupported, *problem).with_hint("install the client programs of that version");
  }
}

void LaidDump::lay(const ProgressCallback& progress, const std::stop_token& stop) {
  repository::ManifestReader manifest(from_.repository, record_);
  repository::PackCache packs(from_.repository);
  repository::PackReader reader(packs);
  buffer_.resize(kWriteSize);
  while (const auto entry = manifest.next()) {
    if (stop.stop_requested()) throw core::Error(core::Code::kCancelled, "the work was stopped");
    if (entry->type != repository::EntryType::kFile || entry->path.find('/') != std::string::npos) {
      throw core::Error(core::Code::kCorruptData, fmt::format("a dump cannot have '{}'", entry->path));
    }
    write(reader, *entry);
    if (progress) progress({.phase = "restore", .done = laid_, .total = record_.data_size});
  }
}

void LaidDump::write(repository::PackReader& reader, const repository::FileEntry& entry) {
  const os::Descriptor file = files_.create(entry.path, from_.identity);
  for (std::uint64_t at = 0; at < entry.size;) {
    const core::MutableByteSpan piece(buffer_.data(), std::min<std::uint64_t>(buffer_.size(), entry.size - at));
    reader.read_file(entry.extents, at, piece);
    os::write_at(file.get(), at, piece);
    at += piece.size();
    laid_ += piece.size();
    check_room();
  }
}

std::filesystem::path LaidDump::put_contents(std::span<const std::string> extensions,
                                             std::span<const std::string> schemas, const std::stop_token& stop) const {
  const std::string contents =
      postgres::whole_contents(environment_.processes.run(postgres::contents_command(task()), stop));
  const std::string kept = postgres::without_made(contents, extensions, schemas);
  const os::Descriptor file = files_.create(std::string(kContentsFile), from_.identity);
  os::write_all(file.get(), core::as_bytes(kept));
  return scratch_.path() / kContentsFile;
}

}  // namespace backstay::backup
