#include "backup/dump_format.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "core/error.h"

namespace backstay::backup {
namespace {

using namespace std::string_view_literals;

constexpr std::size_t kTarMagicAt = 257;
/// pg_dump's header: "PGDMP", three bytes of version, the sizes of two types, the format.
constexpr std::size_t kArchiveFormatAt = 10;
constexpr char kCustomArchive = 1;

/// What is often sent and not taken.
constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kOthers{{{"\xFD\x37zXZ\0"sv, "xz"},
                                                                                {"BZh"sv, "bzip2"},
                                                                                {"\x04\x22\x4D\x18"sv, "lz4"},
                                                                                {"PK\x03\x04"sv, "zip"},
                                                                                {"7z\xBC\xAF"sv, "7z"},
                                                                                {"Rar!"sv, "rar"},
                                                                                {"SQLite format 3"sv, "SQLite"},
                                                                                {"%PDF"sv, "PDF"}}};

[[noreturn]] void refuse(const std::string& message, const std::string& hint) {
  throw core::Error(core::Code::kImportRefused, message).with_hint(hint);
}

DumpFormat archive_format(std::string_view head) {
  if (head.size() <= kArchiveFormatAt || head[kArchiveFormatAt] == kCustomArchive) return DumpFormat::kCustom;
  refuse("it is the table of contents of a dump in directory form, without the directory",
         "send the whole directory as a tar, or name its path");
}

bool is_binary(std::string_view head) {
  const auto odd = [](unsigned char c) { return c < 0x20 && (c < '\t' || c > '\r') && c != 0x1B; };
  return std::ranges::any_of(head, odd);
}

}  // namespace

std::string_view to_text(DumpFormat format) {
  switch (format) {
    case DumpFormat::kPlain: return "plain";
    case DumpFormat::kCustom: return "custom";
    case DumpFormat::kTar: return "tar";
    case DumpFormat::kDirectory: return "directory";
  }
  return "";
}

DumpFormat dump_format_from_text(std::string_view text) {
  for (const auto format : {DumpFormat::kPlain, DumpFormat::kCustom, DumpFormat::kTar, DumpFormat::kDirectory}) {
    if (to_text(format) == text) return format;
  }
  throw core::Error(core::Code::kInvalidArgument, fmt::format("'{}' is no format of a dump", text))
      .with_field("/format", "must be plain, custom, tar or directory");
}

RecognisedDump recognise_dump(core::ByteSpan bytes) {
  const std::string_view head = core::as_text(bytes);
  const std::string hint = "send SQL, or what pg_dump makes as custom, tar or directory, also under gzip or zstd";
  if (head.empty()) refuse("the dump is empty", hint);
  if (head.starts_with("\x1F\x8B")) return {.compression = codec::StreamFormat::kGzip};
  if (head.starts_with("\x28\xB5\x2F\xFD")) return {.compression = codec::StreamFormat::kZstd};
  if (head.starts_with("PGDMP")) return {.compression = {}, .format = archive_format(head)};
  if (head.size() > kTarMagicAt && head.substr(kTarMagicAt).starts_with("ustar")) {
    return {.compression = {}, .format = DumpFormat::kTar};
  }
  for (const auto& [magic, name] : kOthers) {
    if (head.starts_with(magic)) refuse(fmt::format("it is {}, not a dump", name), hint);
  }
  if (head.starts_with("\xFF\xFE") || head.starts_with("\xFE\xFF")) {
    refuse("it is text in UTF-16", "send it in UTF-8");
  }
  if (is_binary(head)) refuse("it is neither text nor an archive of pg_dump", hint);
  return {.compression = {}, .format = DumpFormat::kPlain};
}

}  // namespace backstay::backup
