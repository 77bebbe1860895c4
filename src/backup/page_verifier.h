// Checks the page checksums of what a base backup reads, while the server goes on writing.
#pragma once

#include <cstdint>
#include <stop_token>
#include <vector>

#include "core/bytes.h"
#include "core/time.h"
#include "postgres/lsn.h"

namespace backstay::backup {

class PageVerifier {
 public:
  /// `start` is the backup's start: a page changed since then is written anew by replay, whatever was read of it.
  PageVerifier(core::Clock& clock, postgres::Lsn start) : clock_(clock), start_(start) {}

  /// Checks the whole pages in `data`, which was read from `fd` at `offset`; the file's first page is block
  /// `first_block` of its relation. A page that fails is read again a few times, for it may be one that is being
  /// written, and replaced in `data` by what was read last. Returns the blocks that stay damaged.
  std::vector<std::uint32_t> verify(int fd, core::MutableByteSpan data, std::uint64_t offset, std::uint32_t first_block,
                                    std::stop_token stop);

 private:
  [[nodiscard]] bool acceptable(core::ByteSpan page, std::uint32_t block) const;

  core::Clock& clock_;
  const postgres::Lsn start_;
};

}  // namespace backstay::backup
