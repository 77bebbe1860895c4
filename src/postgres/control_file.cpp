#include "postgres/control_file.h"

#include <fmt/format.h>

#include "codec/crc32c.h"
#include "core/error.h"

namespace backstay::postgres {
namespace {

// Offsets in PostgreSQL's struct ControlFileData on 64-bit little-endian machines. 18 has one more byte before the
// nonce, which moves the checksum.
constexpr std::uint32_t kVersion13To16 = 1300;
constexpr std::uint32_t kVersion17 = 1700;
constexpr std::uint32_t kVersion18 = 1800;
constexpr std::size_t kChecksumAt13 = 288;
constexpr std::size_t kChecksumAt18 = 292;

/// Of the year 9999, as the last one that can be written down.
constexpr std::int64_t kLastSecond = 253'402'300'799;

core::Timestamp from_unix_seconds(std::int64_t seconds) {
  if (seconds < 0 || seconds > kLastSecond) {
    throw core::Error(core::Code::kCorruptData, fmt::format("pg_control names the impossible time {}", seconds));
  }
  return core::Timestamp(std::chrono::seconds(seconds));
}

ReplayLimits read_limits(core::ByteSpan bytes) {
  return {core::load_le<std::int32_t>(bytes, 180), core::load_le<std::int32_t>(bytes, 184),
          core::load_le<std::int32_t>(bytes, 188), core::load_le<std::int32_t>(bytes, 192),
          core::load_le<std::int32_t>(bytes, 196)};
}

void check_integrity(core::ByteSpan bytes) {
  if (bytes.size() < kChecksumAt18 + sizeof(std::uint32_t)) {
    throw core::Error(core::Code::kCorruptData, fmt::format("pg_control has only {} bytes", bytes.size()));
  }
  const auto version = core::load_le<std::uint32_t>(bytes, 8);
  if (version != kVersion13To16 && version != kVersion17 && version != kVersion18) {
    throw core::Error(core::Code::kUnsupportedFormat, fmt::format("pg_control has version {}", version))
        .with_hint("PostgreSQL 13 to 18 are supported");
  }
  const auto at = version == kVersion18 ? kChecksumAt18 : kChecksumAt13;
  if (codec::crc32c(bytes.first(at)) != core::load_le<std::uint32_t>(bytes, at)) {
    throw core::Error(core::Code::kCorruptData, "the checksum of pg_control does not hold");
  }
}

}  // namespace

ControlFile parse_control_file(core::ByteSpan bytes) {
  check_integrity(bytes);
  const auto lsn = [&](std::size_t at) { return Lsn{core::load_le<std::uint64_t>(bytes, at)}; };
  const auto u32 = [&](std::size_t at) { return core::load_le<std::uint32_t>(bytes, at); };
  ControlFile file;
  file.system_identifier = core::load_le<std::uint64_t>(bytes, 0);
  file.version = u32(8);
  file.catalog_version = u32(12);
  file.state = static_cast<ClusterState>(u32(16));
  file.written = from_unix_seconds(core::load_le<std::int64_t>(bytes, 24));
  file.checkpoint = lsn(32);
  file.checkpoint_redo = lsn(40);
  file.checkpoint_timeline = {u32(48)};
  file.checkpoint_time = from_unix_seconds(core::load_le<std::int64_t>(bytes, 104));
  file.min_recovery_point = lsn(136);
  file.min_recovery_timeline = {u32(144)};
  file.backup_start = lsn(152);
  file.backup_end = lsn(160);
  file.backup_end_required = bytes[168] != std::byte{0};
  file.limits = read_limits(bytes);
  file.block_size = u32(216);
  file.relation_segment_blocks = u32(220);
  file.wal_segment_size = u32(228);
  file.data_checksum_version = u32(252);
  return file;
}

}  // namespace backstay::postgres
