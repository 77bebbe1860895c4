// The write-ahead log: bytes as they are, and records of any content on pages that hold together.
#include <vector>

#include "codec/crc32c.h"
#include "fuzz.h"
#include "postgres/page_effects.h"
#include "postgres/wal_parser.h"

namespace {

using namespace backstay;  // NOLINT(google-build-using-namespace)
using postgres::Lsn;

constexpr std::uint64_t kSegment = 1U << 20;
constexpr std::size_t kMostWal = 1U << 18;
constexpr std::size_t kHeader = 24;
constexpr std::uint16_t kMagics[] = {0xD106, 0xD10D, 0xD110, 0xD113, 0xD116, 0xD118};

/// Puts records on pages, as PostgreSQL does.
class MadeWal {
 public:
  explicit MadeWal(std::uint16_t magic) : magic_(magic) {}

  void add(core::ByteSpan record) {
    while (wal_.size() % 8 != 0) wal_.push_back(std::byte{0});
    while (!record.empty()) {
      if (wal_.size() % postgres::kWalPageSize == 0) begin_page(begun_ ? record.size() : 0);
      if (!begun_) starts_.push_back({kSegment + wal_.size()});
      begun_ = true;
      const auto room = postgres::kWalPageSize - wal_.size() % postgres::kWalPageSize;
      core::append(wal_, record.first(std::min(room, record.size())));
      record = record.subspan(std::min(room, record.size()));
    }
    begun_ = false;
  }
  [[nodiscard]] core::Bytes& wal() { return wal_; }
  [[nodiscard]] const std::vector<Lsn>& starts() const { return starts_; }

 private:
  void begin_page(std::size_t rest) {
    const bool first = wal_.empty();
    const auto at = wal_.size();
    core::append_le<std::uint16_t>(wal_, magic_);
    core::append_le<std::uint16_t>(wal_, static_cast<std::uint16_t>((first ? 2 : 0) | (rest != 0 ? 1 : 0)));
    core::append_le<std::uint32_t>(wal_, 1);
    core::append_le<std::uint64_t>(wal_, kSegment + at);
    core::append_le<std::uint32_t>(wal_, static_cast<std::uint32_t>(rest));
    wal_.resize(at + (first ? 40 : kHeader));
  }

  const std::uint16_t magic_;
  core::Bytes wal_;
  std::vector<Lsn> starts_;
  bool begun_ = false;
};

core::Bytes make_record(fuzz::Input& input) {
  const auto manager = input.byte();
  const auto info = input.byte();
  const std::uint32_t length = input.u16() % 20'000U;
  core::Bytes record;
  core::append_le<std::uint32_t>(record, static_cast<std::uint32_t>(kHeader + length));
  core::append_le<std::uint32_t>(record, input.byte());
  record.resize(kHeader);
  record[16] = std::byte{info};
  record[17] = std::byte{manager};
  core::append(record, input.bytes(length));
  record.resize(kHeader + length);
  const core::ByteSpan span(record);
  const auto checksum = codec::crc32c(span.first(20), codec::crc32c(span.subspan(kHeader)));
  core::store_le(core::MutableByteSpan(record), 20, checksum);
  return record;
}

bool is_switch(const core::Bytes& record) {
  return record[17] == std::byte{0} && (record[16] & std::byte{0xF0}) == std::byte{0x40};
}

std::vector<Lsn> read(Lsn from, core::ByteSpan wal, std::size_t piece) {
  std::vector<Lsn> starts;
  postgres::PageEffects effects;
  postgres::WalParser parser(kSegment, [&](const postgres::WalRecord& record) {
    starts.push_back(record.start);
    fuzz::require(record.end > record.start && record.length >= kHeader, "a record has a length");
    (void)postgres::decode_event(record);
    postgres::read_page_effects(record, effects);
  });
  for (std::size_t at = 0; at < wal.size(); at += piece) {
    parser.feed(from + at, wal.subspan(at, std::min(piece, wal.size() - at)));
  }
  return starts;
}

void read_any(fuzz::Input& input, std::size_t piece) {
  const auto wal = input.rest();
  if (wal.size() < kHeader) return;
  const auto address = core::load_le<std::uint64_t>(wal, 8) / postgres::kWalPageSize * postgres::kWalPageSize;
  if (address > UINT64_MAX / 2) return;
  fuzz::parses({core::Code::kCorruptData}, [&] { read({address}, wal, piece); });
}

void read_made(fuzz::Input& input, std::uint16_t magic, std::size_t piece, bool damaged) {
  MadeWal made(magic);
  const std::size_t damage = damaged ? input.u16() : 0;
  while (!input.empty() && made.wal().size() < kMostWal) {
    const auto record = make_record(input);
    made.add(record);
    if (is_switch(record)) break;
  }
  core::Bytes& wal = made.wal();
  if (wal.empty()) return;
  if (!damaged) {
    fuzz::require(read({kSegment}, wal, piece) == made.starts(), "every record is found where it begins");
    return;
  }
  wal[damage % wal.size()] ^= std::byte{0x10};
  fuzz::parses({core::Code::kCorruptData}, [&] { read({kSegment}, wal, piece); });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const unsigned mode = input.byte();
  const std::size_t piece = 1 + std::size_t{input.byte()} * 97;
  if (mode % 8 == 7) {
    read_any(input, piece);
  } else {
    read_made(input, kMagics[mode % 8 % 6], piece, mode >= 0xC0);
  }
  return 0;
}
