#include "postgres/page_effects.h"

#include <optional>

#include <fmt/format.h>

#include "postgres/record_reader.h"

namespace backstay::postgres {
namespace {

constexpr std::size_t kRecordHeader = 24;
constexpr std::uint16_t kMagic15 = 0xD110;
constexpr std::uint16_t kMagic17 = 0xD116;

// What may stand where a block's header would.
constexpr std::uint8_t kMostBlock = 32;
constexpr std::uint8_t kTopLevelXid = 252;
constexpr std::uint8_t kOrigin = 253;
constexpr std::uint8_t kLongData = 254;
constexpr std::uint8_t kShortData = 255;

// Of a block's header.
constexpr std::uint8_t kForkMask = 0x0F;
constexpr std::uint8_t kHasImage = 0x10;
constexpr std::uint8_t kHasData = 0x20;
constexpr std::uint8_t kSameRelation = 0x80;
constexpr std::uint8_t kInitFork = 3;

// Of an image's: since 15 there is a bit for each way to compress.
constexpr std::uint8_t kImageHasHole = 0x01;
constexpr std::uint8_t kImageCompressed14 = 0x02;
constexpr std::uint8_t kImageCompressed15 = 0x04 | 0x08 | 0x10;

// Resource managers whose records say something beyond the blocks that they name.
constexpr std::uint8_t kXlog = 0;
constexpr std::uint8_t kStorage = 2;
constexpr std::uint8_t kDatabase = 4;
constexpr std::uint8_t kTablespace = 5;
constexpr std::uint8_t kRelationMap = 7;
/// All from here on are extensions' own.
constexpr std::uint8_t kManagers = 22;

constexpr std::uint8_t kKindMask = 0xF0;

/// Fills `blocks`; the main data, as far as the head holds it; nothing if the record is not well-formed.
std::optional<core::ByteSpan> read_headers(const WalRecord& record, std::vector<BlockReference>& blocks) {
  if (record.head.size() < kRecordHeader) return std::nullopt;
  RecordReader reader(record.head.subspan(kRecordHeader));
  // What the record has of bytes not read yet, and which of them the headers so far speak of.
  const auto left = [&] { return record.length - (record.head.size() - reader.rest().size()); };
  std::uint64_t data = 0;
  std::uint64_t main = 0;
  int last = -1;
  RelationFork of;
  bool known = false;
  while (!reader.overrun() && left() > data && main == 0) {
    const auto id = reader.take<std::uint8_t>();
    if (id == kShortData || id == kLongData) {
      main = id == kShortData ? reader.take<std::uint8_t>() : reader.take<std::uint32_t>();
      data += main;
      if (main == 0) break;
    } else if (id == kOrigin) {
      reader.skip(sizeof(std::uint16_t));
    } else if (id == kTopLevelXid) {
      reader.skip(sizeof(std::uint32_t));
    } else if (id <= kMostBlock && id > last) {
      last = id;
      const auto flags = reader.take<std::uint8_t>();
      const auto length = reader.take<std::uint16_t>();
      if (((flags & kHasData) != 0) != (length > 0)) return std::nullopt;
      data += length;
      if ((flags & kHasImage) != 0) {
        data += reader.take<std::uint16_t>();
        reader.skip(sizeof(std::uint16_t));
        const auto image = reader.take<std::uint8_t>();
        const std::uint8_t compressed = record.page_magic >= kMagic15 ? kImageCompressed15 : kImageCompressed14;
        if ((image & kImageHasHole) != 0 && (image & compressed) != 0) reader.skip(sizeof(std::uint16_t));
      }
      if ((flags & kSameRelation) == 0) {
        of.tablespace = reader.take<std::uint32_t>();
        of.database = reader.take<std::uint32_t>();
        of.relation = reader.take<std::uint32_t>();
        known = true;
      }
      of.fork = flags & kForkMask;
      if (!known || of.fork > kInitFork) return std::nullopt;
      blocks.push_back({of, reader.take<std::uint32_t>()});
    } else {
      return std::nullopt;
    }
  }
  if (reader.overrun() || left() != data) return std::nullopt;
  const std::uint64_t begin = record.length - main;
  return begin <= record.head.size() ? record.head.subspan(static_cast<std::size_t>(begin)) : core::ByteSpan{};
}

RelationFork take_relation(RecordReader& reader) {
  RelationFork of;
  of.tablespace = reader.take<std::uint32_t>();
  of.database = reader.take<std::uint32_t>();
  of.relation = reader.take<std::uint32_t>();
  return of;
}

void refuse_minimal(std::uint32_t wal_level, const WalRecord& record, PageEffects& effects) {
  if (wal_level != 0) return;
  effects.unknown = fmt::format("the server ran with wal_level=minimal from {} on", format_lsn(record.start));
}

// Each returns false for a kind of record that is not known.

bool read_xlog(const WalRecord& record, RecordReader& main, PageEffects& effects) {
  constexpr std::uint8_t kParameterChange = 0x60;
  constexpr std::uint8_t kUnused = 0xC0;
  constexpr std::uint8_t kCheckpointRedo = 0xE0;
  constexpr std::uint8_t kLater = 0xF0;
  constexpr std::size_t kWalLevelAt = 20;  // of the parameters
  const auto kind = static_cast<std::uint8_t>(record.info & kKindMask);
  if (kind == kParameterChange) {
    main.skip(kWalLevelAt);
    refuse_minimal(main.take<std::uint32_t>(), record, effects);
  }
  if (kind != kCheckpointRedo) return kind != kUnused && kind != kLater;
  refuse_minimal(main.take<std::uint32_t>(), record, effects);
  return record.page_magic >= kMagic17;
}

bool read_storage(const WalRecord& record, RecordReader& main, PageEffects& effects) {
  constexpr std::uint8_t kCreate = 0x10;
  constexpr std::uint8_t kTruncate = 0x20;
  constexpr std::uint32_t kTruncatesMain = 0x01;
  switch (record.info & kKindMask) {
    case kCreate: {
      RelationFork of = take_relation(main);
      const auto fork = main.take<std::uint32_t>();
      of.fork = static_cast<std::uint8_t>(fork);
      effects.new_from.push_back({of, 0});
      return fork <= kInitFork;
    }
    case kTruncate: {
      const auto block = main.take<std::uint32_t>();
      const RelationFork of = take_relation(main);
      if ((main.take<std::uint32_t>() & kTruncatesMain) != 0) effects.new_from.push_back({of, block});
      return true;
    }
    default: return false;
  }
}

void read_dropped_database(RecordReader& main, PageEffects& effects) {
  const auto database = main.take<std::uint32_t>();
  const auto count = main.take<std::uint32_t>();
  for (std::uint32_t i = 0; i < count && !main.overrun(); ++i) {
    effects.databases.emplace_back(main.take<std::uint32_t>(), database);
  }
}

bool read_database(const WalRecord& record, RecordReader& main, PageEffects& effects) {
  constexpr std::uint8_t kCreateByCopy = 0x00;
  constexpr std::uint8_t kCreateByLog = 0x10;  // since 15; before, this was the number of a drop
  constexpr std::uint8_t kDrop = 0x20;
  const auto kind = static_cast<std::uint8_t>(record.info & kKindMask);
  const std::uint8_t drop = record.page_magic >= kMagic15 ? kDrop : kCreateByLog;
  if (kind == drop) {
    read_dropped_database(main, effects);
    return true;
  }
  if (kind != kCreateByCopy && kind != kCreateByLog) return false;
  const auto database = main.take<std::uint32_t>();
  effects.databases.emplace_back(main.take<std::uint32_t>(), database);
  return true;
}

bool read_tablespace(const WalRecord& record, RecordReader& main, PageEffects& effects) {
  constexpr std::uint8_t kMostKind = 0x10;  // created, dropped
  effects.tablespaces.push_back(main.take<std::uint32_t>());
  return (record.info & kKindMask) <= kMostKind;
}

/// What a record without blocks of its own says. The other managers change pages by the blocks that they name alone:
/// of relations that a transaction drops nothing is left, and what comes in their place is made by a record.
bool read_main(const WalRecord& record, RecordReader& main, PageEffects& effects) {
  switch (record.resource_manager) {
    case kXlog: return read_xlog(record, main, effects);
    case kStorage: return read_storage(record, main, effects);
    case kDatabase: return read_database(record, main, effects);
    case kTablespace: return read_tablespace(record, main, effects);
    case kRelationMap: return (record.info & kKindMask) == 0;
    default: return record.resource_manager < kManagers;
  }
}

}  // namespace

void PageEffects::clear() {
  blocks.clear();
  new_from.clear();
  databases.clear();
  tablespaces.clear();
  unknown.clear();
}

void read_page_effects(const WalRecord& record, PageEffects& effects) {
  effects.clear();
  const auto data = read_headers(record, effects.blocks);
  RecordReader main(data.value_or(core::ByteSpan{}));
  const bool known = data && read_main(record, main, effects);
  if (known && !main.overrun()) return;
  const bool readable = data && !main.overrun();
  effects.unknown = fmt::format("the record at {} {} (resource manager {}, kind {:#04x})", format_lsn(record.start),
                                readable ? "is of a kind that is not known" : "cannot be read", record.resource_manager,
                                record.info & kKindMask);
}

}  // namespace backstay::postgres
