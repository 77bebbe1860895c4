#include "postgres/wal_parser.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "codec/crc32c.h"
#include "core/error.h"

namespace backstay::postgres {
namespace {

using core::Code;
using core::Error;

// XLogPageHeaderData, padded; the first page of a segment has the long form.
constexpr std::size_t kShortHeader = 24;
constexpr std::size_t kLongHeader = 40;
constexpr std::size_t kPageInfoAt = 2;
constexpr std::size_t kPageTimelineAt = 4;
constexpr std::size_t kPageAddressAt = 8;
constexpr std::size_t kPageRemainingAt = 16;
constexpr std::uint16_t kFirstIsContinuation = 0x0001;
constexpr std::uint16_t kFirstIsOverwrite = 0x0008;

// PostgreSQL 13, 14, 15, 16, 17, 18.
constexpr std::array<std::uint16_t, 6> kMagics = {0xD106, 0xD10D, 0xD110, 0xD113, 0xD116, 0xD118};

// XLogRecord.
constexpr std::size_t kRecordHeader = 24;
constexpr std::size_t kRecordXidAt = 4;
constexpr std::size_t kRecordInfoAt = 16;
constexpr std::size_t kRecordManagerAt = 17;
constexpr std::size_t kRecordChecksumAt = 20;
constexpr std::uint64_t kAlignment = 8;

constexpr std::uint8_t kXlogManager = 0;
constexpr std::uint8_t kSwitch = 0x40;
constexpr std::uint8_t kInfoMask = 0xF0;

std::uint64_t padding_after(Lsn at) { return (kAlignment - at.value % kAlignment) % kAlignment; }

[[noreturn]] void corrupt(Lsn at, std::string_view what) {
  throw Error(Code::kCorruptData, fmt::format("the WAL at {} {}", format_lsn(at), what));
}

}  // namespace

struct WalParser::State {
  enum class Mode {
    kSkipping,  ///< over the rest of a record that began before the first page
    kBetween,   ///< padding
    kRecord,    ///< in a record, perhaps before its first byte
    kSwitched,  ///< over the rest of a segment
    kEnd,       ///< nothing more is written here
  };

  State(std::uint64_t size, OnRecord callback) : segment_size(size), on_record(std::move(callback)) {
    head.reserve(kHeadSize);
  }

  void feed(core::ByteSpan bytes) {
    while (!bytes.empty()) {
      if (mode == Mode::kEnd) {
        advance(bytes, bytes.size());
      } else if (mode == Mode::kSwitched) {
        skip_segment(bytes);
      } else if (position->value % kWalPageSize < header_size()) {
        collect_page_header(bytes);
      } else {
        collect_payload(bytes);
      }
    }
  }

  void advance(core::ByteSpan& bytes, std::size_t count) {
    *position += count;
    bytes = bytes.subspan(count);
  }

  [[nodiscard]] Lsn page_start() const { return {position->value - position->value % kWalPageSize}; }
  [[nodiscard]] std::size_t header_size() const {
    return page_start().value % segment_size == 0 ? kLongHeader : kShortHeader;
  }

  void skip_segment(core::ByteSpan& bytes) {
    const auto left = segment_size - position->value % segment_size;
    const auto count = std::min<std::uint64_t>(left, bytes.size());
    advance(bytes, static_cast<std::size_t>(count));
    if (count == left) begin_record();
  }

  void collect_page_header(core::ByteSpan& bytes) {
    const auto wanted = header_size() - page_header.size();
    const auto count = std::min(wanted, bytes.size());
    core::append(page_header, bytes.first(count));
    const auto page = page_start();
    advance(bytes, count);
    if (count < wanted) return;
    read_page_header(page);
    page_header.clear();
  }

  void read_page_header(Lsn page) {
    const auto found_magic = core::load_le<std::uint16_t>(page_header, 0);
    if (found_magic == 0) return meet_zeros();
    if (std::find(kMagics.begin(), kMagics.end(), found_magic) == kMagics.end()) {
      corrupt(page, fmt::format("has the unknown page magic {:04X}", found_magic));
    }
    const Lsn address{core::load_le<std::uint64_t>(page_header, kPageAddressAt)};
    if (address != page) corrupt(page, fmt::format("is a page of {}", format_lsn(address)));
    magic = found_magic;
    timeline = {core::load_le<std::uint32_t>(page_header, kPageTimelineAt)};
    const auto info = core::load_le<std::uint16_t>(page_header, kPageInfoAt);
    continue_record(page, info, core::load_le<std::uint32_t>(page_header, kPageRemainingAt));
  }

  /// Zeros before any record: we began in what a switch left empty. Later ones are the end of the WAL.
  void meet_zeros() { mode = last_start ? Mode::kEnd : Mode::kSwitched; }

  /// What the page says it begins with must be what is expected.
  void continue_record(Lsn page, std::uint16_t info, std::uint32_t rest) {
    const bool continues = (info & kFirstIsContinuation) != 0;
    if (!synchronized) {
      synchronized = true;
      if (continues) {
        mode = Mode::kSkipping;
        remaining = rest;
      } else {
        begin_record();
      }
      return;
    }
    const bool inside = mode == Mode::kSkipping || (mode == Mode::kRecord && !head.empty());
    if ((info & kFirstIsOverwrite) != 0) {
      begin_record();  // a crash cut the record off, and this replaces its rest
    } else if (inside != continues || (inside && rest != remaining)) {
      corrupt(page, inside ? "does not continue the record before it" : "continues a record that does not exist");
    }
  }

  void collect_payload(core::ByteSpan& bytes) {
    const auto in_page = kWalPageSize - position->value % kWalPageSize;
    const auto available = static_cast<std::size_t>(std::min<std::uint64_t>(in_page, bytes.size()));
    switch (mode) {
      case Mode::kSkipping: {
        const auto count = std::min<std::size_t>(remaining, available);
        remaining -= static_cast<std::uint32_t>(count);
        passed_over += count;
        advance(bytes, count);
        if (remaining == 0) begin_record();
        break;
      }
      case Mode::kBetween: {
        const auto count = std::min(static_cast<std::size_t>(padding_after(*position)), available);
        advance(bytes, count);
        if (padding_after(*position) == 0) mode = Mode::kRecord;
        break;
      }
      default: collect_record(bytes, available);
    }
  }

  void begin_record() {
    head.clear();
    total = 0;
    remaining = 0;
    checksum = 0;
    mode = padding_after(*position) == 0 ? Mode::kRecord : Mode::kBetween;
  }

  void collect_record(core::ByteSpan& bytes, std::size_t available) {
    if (total == 0) {
      if (head.empty()) record_start = *position;
      const auto count = std::min(sizeof total - head.size(), available);
      core::append(head, bytes.first(count));
      advance(bytes, count);
      if (head.size() == sizeof total) read_length();
      return;
    }
    const auto count = std::min<std::size_t>(remaining, available);
    add_to_record(bytes.first(count));
    advance(bytes, count);
    if (remaining == 0) finish_record();
  }

  void read_length() {
    total = core::load_le<std::uint32_t>(head, 0);
    if (total == 0) {
      meet_zeros();
    } else if (total < kRecordHeader) {
      corrupt(record_start, fmt::format("has a record of {} bytes", total));
    } else {
      remaining = total - static_cast<std::uint32_t>(sizeof total);
    }
  }

  /// The checksum covers what follows the header first, and then the header; only the head of the record is kept.
  void add_to_record(core::ByteSpan piece) {
    const auto done = total - remaining;
    if (head.size() < kHeadSize) core::append(head, piece.first(std::min(kHeadSize - head.size(), piece.size())));
    const auto header_part = done < kRecordHeader ? std::min<std::size_t>(kRecordHeader - done, piece.size()) : 0;
    checksum = codec::crc32c(piece.subspan(header_part), checksum);
    remaining -= static_cast<std::uint32_t>(piece.size());
  }

  void finish_record() {
    checksum = codec::crc32c(core::ByteSpan(head).first(kRecordChecksumAt), checksum);
    if (checksum != core::load_le<std::uint32_t>(head, kRecordChecksumAt)) {
      corrupt(record_start, "has a record whose checksum does not hold");
    }
    WalRecord record;
    record.start = record_start;
    record.end = *position + padding_after(*position);
    record.resource_manager = std::to_integer<std::uint8_t>(head[kRecordManagerAt]);
    record.info = std::to_integer<std::uint8_t>(head[kRecordInfoAt]);
    record.xid = core::load_le<std::uint32_t>(head, kRecordXidAt);
    record.length = total;
    record.page_magic = magic;
    record.head = head;
    last_start = record.start;
    last_end = record.end;
    const bool switched = record.resource_manager == kXlogManager && (record.info & kInfoMask) == kSwitch;
    on_record(record);
    begin_record();
    if (switched && position->value % segment_size != 0) mode = Mode::kSwitched;
  }

  const std::uint64_t segment_size;
  const OnRecord on_record;
  Mode mode = Mode::kRecord;
  bool synchronized = false;
  std::uint64_t passed_over = 0;
  std::optional<Lsn> position;
  core::Bytes page_header;
  std::uint16_t magic = 0;
  TimelineId timeline;
  Lsn record_start;
  core::Bytes head;
  std::uint32_t total = 0;
  std::uint32_t remaining = 0;
  std::uint32_t checksum = 0;
  std::optional<Lsn> last_start;
  std::optional<Lsn> last_end;
};

WalParser::WalParser(std::uint64_t segment_size, OnRecord on_record)
    : state_(std::make_unique<State>(segment_size, std::move(on_record))) {}
WalParser::~WalParser() = default;
WalParser::WalParser(WalParser&&) noexcept = default;
WalParser& WalParser::operator=(WalParser&&) noexcept = default;

void WalParser::feed(Lsn at, core::ByteSpan bytes) {
  auto& position = state_->position;
  if (position ? at != *position : at.value % kWalPageSize != 0) {
    throw Error(Code::kInternal, fmt::format("the WAL parser was fed {} out of order", format_lsn(at)));
  }
  position = at;
  state_->feed(bytes);
}

void WalParser::restart() { state_ = std::make_unique<State>(state_->segment_size, state_->on_record); }

std::optional<Lsn> WalParser::position() const { return state_->position; }
std::optional<Lsn> WalParser::last_record_start() const { return state_->last_start; }
std::optional<Lsn> WalParser::last_record_end() const { return state_->last_end; }
TimelineId WalParser::timeline() const { return state_->timeline; }
std::uint64_t WalParser::passed_over() const { return state_->passed_over; }
bool WalParser::at_end() const { return state_->mode == State::Mode::kEnd; }

}  // namespace backstay::postgres
