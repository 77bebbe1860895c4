#include "backup/gap_map.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "codec/crc32c.h"
#include "core/error.h"
#include "core/log.h"
#include "os/file_system.h"
#include "repository/varint.h"

namespace backstay::backup {
namespace {

using repository::detail::FieldReader;
using repository::detail::put_number;
using repository::detail::put_text;

constexpr const char* kFile = "gap";
constexpr std::string_view kMagic = "backstay gap 1";
constexpr mode_t kFileMode = 0600;
constexpr core::Duration kInterval = std::chrono::milliseconds(200);
/// Of the time that keeping takes, how much more passes until the next one.
constexpr int kRest = 4;
/// How long a disk that does not let the file go is left alone.
constexpr core::Duration kRemoveRetry = std::chrono::minutes(1);

core::Bytes encode(const GapRecord& record) {
  core::Bytes bytes;
  put_number(bytes, record.system_identifier);
  put_number(bytes, record.timeline.value);
  put_number(bytes, record.from.value);
  put_number(bytes, static_cast<std::uint64_t>(record.since.time_since_epoch().count()));
  put_number(bytes, record.acknowledged.value);
  put_number(bytes, record.changes.size());
  for (const ChangedStretch& stretch : record.changes) {
    put_number(bytes, stretch.timeline.value);
    put_number(bytes, stretch.from.value);
    put_number(bytes, stretch.to.value);
    put_text(bytes, core::as_text(stretch.changes.encode()));
  }
  core::Bytes file;
  put_text(file, kMagic);
  put_number(file, codec::crc32c(bytes));
  core::append(file, bytes);
  return file;
}

std::uint32_t small(FieldReader& reader) { return static_cast<std::uint32_t>(reader.number()); }

GapRecord decode(core::ByteSpan file) {
  FieldReader reader(file, 0);
  if (reader.text() != kMagic || reader.number() != codec::crc32c(file.subspan(reader.at()))) {
    throw core::Error(core::Code::kCorruptData, "its checksum does not hold, or it is of another version");
  }
  GapRecord record;
  record.system_identifier = reader.number();
  record.timeline = {small(reader)};
  record.from = {reader.number()};
  record.since = core::Timestamp(core::Duration(static_cast<std::int64_t>(reader.number())));
  record.acknowledged = {reader.number()};
  for (std::uint64_t left = reader.number(); left > 0; --left) {
    ChangedStretch& stretch = record.changes.emplace_back();
    stretch.timeline = {small(reader)};
    stretch.from = {reader.number()};
    stretch.to = {reader.number()};
    stretch.changes = PageChanges::decode(core::as_bytes(reader.text()));
  }
  return record;
}

}  // namespace

GapMap::GapMap(const Environment& environment, std::filesystem::path directory)
    : environment_(environment), directory_(std::move(directory)) {}

void GapMap::clean_directory() {
  if (!environment_.files.stat(directory_)) return;
  for (const auto& entry : environment_.files.list(directory_)) {
    if (entry.name != kFile) environment_.files.remove_all(directory_ / entry.name);
  }
}

std::optional<GapRecord> GapMap::load() {
  const auto path = directory_ / kFile;
  try {
    if (!environment_.files.stat(path)) return std::nullopt;
    return decode(environment_.files.read_file(path));
  } catch (const core::Error& e) {
    if (e.code() != core::Code::kCorruptData) throw;
    core::log_warning("wal.gap_map_unreadable", "what changed in a gap is not known any more",
                      {{"file", path.string()}, {"error", e.what()}});
    close({});
    return std::nullopt;
  }
}

bool GapMap::is_due(bool far_behind) const { return environment_.clock.steady_now() >= (far_behind ? soonest_ : due_); }

postgres::Lsn GapMap::keep(GapRecord head, ChangeKeeper& changes, postgres::Lsn received) {
  const core::SteadyTime begun = environment_.clock.steady_now();
  changes.cut();
  // WAL that cannot be read as such is no reason to stop the database.
  const postgres::Lsn parsed = changes.tracker().reached().value_or(received);
  head.acknowledged = std::max(head.acknowledged, std::min(parsed, received));
  head.changes = changes.held();
  const core::Bytes content = encode(head);
  {
    const core::LockGuard one(file_mutex_);
    closed_at_.reset();
    environment_.files.write_file_durably(directory_ / kFile, content, kFileMode);
  }
  const core::SteadyTime now = environment_.clock.steady_now();
  soonest_ = now + (now - begun);
  due_ = now + std::max(kInterval, std::chrono::duration_cast<core::Duration>(kRest * (now - begun)));
  return head.acknowledged;
}

void GapMap::close(postgres::Lsn end) {
  const core::LockGuard one(file_mutex_);
  closed_at_ = end;
}

void GapMap::look(const ChangeKeeper& changes) {
  const core::LockGuard one(file_mutex_);
  const core::SteadyTime now = environment_.clock.steady_now();
  if (!closed_at_ || now < remove_at_ || changes.holds(*closed_at_)) return;
  try {
    environment_.files.remove(directory_ / kFile);
    closed_at_.reset();
  } catch (const core::Error& e) {
    core::log_warning("wal.gap_map_not_removed", "the map of a gap that is over cannot be removed",
                      {{"file", (directory_ / kFile).string()}, {"error", e.what()}});
    remove_at_ = now + kRemoveRetry;
  }
}

}  // namespace backstay::backup
