// What a dump is, told by its first bytes and never by its name.
#pragma once

#include <optional>
#include <string_view>

#include "codec/stream_decompressor.h"
#include "core/bytes.h"

namespace backstay::backup {

enum class DumpFormat { kPlain, kCustom, kTar, kDirectory };
std::string_view to_text(DumpFormat format);
/// Throws Error(invalid_argument) at "/format" for another word than to_text knows.
DumpFormat dump_format_from_text(std::string_view text);

/// As many bytes as tell it.
inline constexpr std::size_t kDumpHead = 512;

/// What a file begins with: a compression around the dump, or the dump.
struct RecognisedDump {
  std::optional<codec::StreamFormat> compression;
  /// Never kDirectory. Not known under a compression.
  DumpFormat format = DumpFormat::kPlain;
};

/// `head`: the first kDumpHead bytes, or all if it is shorter. Throws Error(import_refused) for what is no dump, or in
/// a form that is not taken, saying what it looks like.
RecognisedDump recognise_dump(core::ByteSpan head);

}  // namespace backstay::backup
