#include "backup/page_verifier.h"

#include <chrono>

#include "os/file.h"
#include "postgres/page_checksum.h"

namespace backstay::backup {
namespace {

constexpr int kReads = 5;
constexpr core::Duration kBetweenReads = std::chrono::milliseconds(10);

}  // namespace

bool PageVerifier::acceptable(core::ByteSpan page, std::uint32_t block) const {
  return postgres::check_page(page, block) != postgres::PageState::kInvalid || postgres::page_lsn(page) >= start_;
}

std::vector<std::uint32_t> PageVerifier::verify(int fd, core::MutableByteSpan data, std::uint64_t offset,
                                                std::uint32_t first_block, std::stop_token stop) {
  std::vector<std::uint32_t> damaged;
  const auto first = first_block + static_cast<std::uint32_t>(offset / postgres::kPageSize);
  for (std::uint32_t i = 0; (i + 1) * postgres::kPageSize <= data.size(); ++i) {
    const core::MutableByteSpan page = data.subspan(i * postgres::kPageSize, postgres::kPageSize);
    bool good = acceptable(page, first + i);
    for (int read = 1; !good && read < kReads && clock_.wait(stop, kBetweenReads); ++read) {
      const std::size_t got = os::read_at(fd, offset + i * postgres::kPageSize, page);
      // A file that was truncated meanwhile has no such page any more: replay repeats the truncation.
      good = got < page.size() || acceptable(page, first + i);
    }
    if (!good) damaged.push_back(first + i);
  }
  return damaged;
}

}  // namespace backstay::backup
