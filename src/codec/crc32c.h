// CRC-32C (Castagnoli), as in PostgreSQL's WAL records and control file.
#pragma once

#include <cstdint>

#include "core/bytes.h"

namespace backstay::codec {

/// The finished checksum of `data`. To go on with more data, pass the checksum so far.
std::uint32_t crc32c(core::ByteSpan data, std::uint32_t so_far = 0);

namespace detail {
/// The two ways, both for tests: crc32c() takes the processor's instruction where there is one.
std::uint32_t crc32c_table(core::ByteSpan data, std::uint32_t so_far);
bool crc32c_has_hardware();
}  // namespace detail

}  // namespace backstay::codec
