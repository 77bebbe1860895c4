#include "backup/tar_reader.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"

namespace backstay::backup {
namespace {

constexpr std::size_t kBlock = 512;
constexpr std::size_t kChecksumAt = 148;
constexpr std::size_t kChecksumSize = 8;
/// Larger than any disk, and far from the end of the type.
constexpr std::uint64_t kLargestFile = std::uint64_t{1} << 50;

[[noreturn]] void refuse(const std::string& why) {
  throw core::Error(core::Code::kImportRefused, "the tar " + why).with_hint("make or send it again");
}

std::string text_at(std::string_view header, std::size_t at, std::size_t size) {
  const auto field = header.substr(at, size);
  return std::string(field.substr(0, field.find('\0')));
}

std::uint64_t number_at(std::string_view header, std::size_t at, std::size_t size) {
  const auto field = header.substr(at, size);
  std::uint64_t value = 0;
  if ((static_cast<unsigned char>(field[0]) & 0x80U) != 0) {  // GNU: big-endian binary
    value = static_cast<unsigned char>(field[0]) & 0x7FU;
    for (const char c : field.substr(1)) value = value << 8U | static_cast<unsigned char>(c);
  } else {
    for (const char c : field) {
      if (c >= '0' && c <= '7') value = value << 3U | static_cast<std::uint64_t>(c - '0');
      if (c == '\0' && value > 0) break;
    }
  }
  if (value > kLargestFile) refuse("names a size that no file has");
  return value;
}

bool checksum_fits(std::string_view header) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < kBlock; ++i) {
    const bool in_field = i >= kChecksumAt && i < kChecksumAt + kChecksumSize;
    sum += in_field ? std::uint64_t{' '} : static_cast<unsigned char>(header[i]);
  }
  return sum == number_at(header, kChecksumAt, kChecksumSize);
}

}  // namespace

void TarReader::feed(core::ByteSpan data) {
  while (!data.empty() && !ended_) {
    if (content_left_ > 0) {
      const auto piece = data.first(std::min<std::uint64_t>(data.size(), content_left_));
      if (passed_on_) sink_.content(piece);
      content_left_ -= piece.size();
      data = data.subspan(piece.size());
    } else if (padding_left_ > 0) {
      const auto skipped = std::min<std::uint64_t>(data.size(), padding_left_);
      padding_left_ -= skipped;
      data = data.subspan(skipped);
    } else {
      const auto piece = data.first(std::min(data.size(), kBlock - block_.size()));
      block_.insert(block_.end(), piece.begin(), piece.end());
      data = data.subspan(piece.size());
      if (block_.size() == kBlock) read_header();
    }
  }
}

void TarReader::read_header() {
  const std::string header(core::as_text(block_));
  block_.clear();
  if (std::ranges::all_of(header, [](char c) { return c == '\0'; })) {
    ended_ = true;
    return;
  }
  if (!checksum_fits(header)) refuse("is damaged: a header's checksum is wrong");
  const char type = header[156];
  const std::string name = text_at(header, 0, 100);
  content_left_ = number_at(header, 124, 12);
  padding_left_ = (kBlock - content_left_ % kBlock) % kBlock;
  passed_on_ = type == '0' || type == '\0';
  if (passed_on_) return sink_.begin(name, content_left_);
  // Directories, and what says more about the next entry: names that long are none of a dump's.
  if (type == '5' || type == 'x' || type == 'g' || type == 'L' || type == 'K') return;
  refuse(fmt::format("holds '{}', which is no file", name));
}

void TarReader::finish() const {
  if (content_left_ > 0 || !block_.empty()) refuse("ends in the middle");
}

}  // namespace backstay::backup
