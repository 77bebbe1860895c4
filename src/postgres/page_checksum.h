// The checksum of PostgreSQL's data pages.
#pragma once

#include <cstdint>

#include "core/bytes.h"
#include "postgres/lsn.h"

namespace backstay::postgres {

inline constexpr std::size_t kPageSize = 8192;
/// Blocks in one file of a relation: 1 GiB.
inline constexpr std::uint32_t kRelationSegmentBlocks = 131'072;

enum class PageState {
  kValid,
  kNew,      ///< all zeros: not yet written
  kInvalid,  ///< the checksum does not hold: damaged, or torn because it is being written
};

/// The checksum of a page of kPageSize bytes that is block `block` of its relation (counted over all its files).
std::uint16_t page_checksum(core::ByteSpan page, std::uint32_t block);
/// What the page's own checksum says of it.
PageState check_page(core::ByteSpan page, std::uint32_t block);
/// The LSN of the last change of the page.
Lsn page_lsn(core::ByteSpan page);

}  // namespace backstay::postgres
