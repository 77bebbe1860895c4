#include "backup/dump_format.h"

#include <gtest/gtest.h>

#include "backup/tar_reader.h"
#include "core/error.h"

namespace backstay::backup {
namespace {

using namespace std::string_literals;

std::string tar_head() {
  std::string head(512, '\0');
  head.replace(0, 7, "toc.dat");
  head.replace(257, 5, "ustar");
  return head;
}

std::string recognised(std::string_view head) {
  const auto result = recognise_dump(core::as_bytes(head).first(std::min(head.size(), kDumpHead)));
  if (result.compression) return *result.compression == codec::StreamFormat::kGzip ? "gzip" : "zstd";
  return std::string(to_text(result.format));
}

TEST(DumpFormatTest, IsToldByTheContent) {
  const std::vector<std::pair<std::string, std::string>> heads{{"SELECT 1;", "plain"},
                                                               {"--\n-- PostgreSQL database dump\n--\n", "plain"},
                                                               {"\xEF\xBB\xBFSELECT 1;", "plain"},
                                                               {"INSERT INTO t VALUES ('\xE4\xF6');", "plain"},
                                                               {"\n\t\r\f SELECT", "plain"},
                                                               {"\x1F\x8B\x08\x00"s, "gzip"},
                                                               {"\x28\xB5\x2F\xFD\x04"s, "zstd"},
                                                               {"PGDMP\x01\x0E\x00\x04\x08\x01"s, "custom"},
                                                               {tar_head(), "tar"},
                                                               {"PK is not zip", "plain"}};
  for (const auto& [head, told] : heads) EXPECT_EQ(recognised(head), told) << head;
}

TEST(DumpFormatTest, RefusesWhatIsNoneSayingWhatItLooksLike) {
  const std::vector<std::pair<std::string, std::string>> heads{{"", "empty"},
                                                               {"\x00\x01"s, "neither text"},
                                                               {"SELECT 1;\x00"s, "neither text"},
                                                               {"\x7F"
                                                                "ELF\x02\x01"s,
                                                                "neither text"},
                                                               {"\x89PNG\r\n\x1A\n", "neither text"},
                                                               {"\xFD\x37zXZ\x00"s, "xz"},
                                                               {"BZh91AY", "bzip2"},
                                                               {"\x04\x22\x4D\x18", "lz4"},
                                                               {"PK\x03\x04", "zip"},
                                                               {"SQLite format 3\x00"s, "SQLite"},
                                                               {"\xFF\xFES\x00"s, "UTF-16"},
                                                               {"PGDMP\x01\x0E\x00\x04\x08\x03"s, "table of contents"}};
  for (const auto& [head, told] : heads) {
    try {
      recognised(head);
      FAIL() << told;
    } catch (const core::Error& error) {
      EXPECT_EQ(error.code(), core::Code::kImportRefused);
      EXPECT_NE(error.message().find(told), std::string::npos) << error.message();
    }
  }
}

TEST(DumpFormatTest, KnowsTheWordsOfRequests) {
  for (const auto format : {DumpFormat::kPlain, DumpFormat::kCustom, DumpFormat::kTar, DumpFormat::kDirectory}) {
    EXPECT_EQ(dump_format_from_text(to_text(format)), format);
  }
  EXPECT_THROW(dump_format_from_text("zip"), core::Error);
}

std::string member(const std::string& name, const std::string& content, char type = '0') {
  std::string head(512, '\0');
  head.replace(0, name.size(), name);
  head.replace(124, 11, fmt::format("{:011o}", content.size()));
  head[156] = type;
  head.replace(257, 5, "ustar");
  head.replace(148, 8, "        ");
  unsigned sum = 0;
  for (const char c : head) sum += static_cast<unsigned char>(c);
  head.replace(148, 7, fmt::format("{:06o}", sum) + '\0');
  std::string padded = content;
  padded.resize((content.size() + 511) / 512 * 512);
  return head + padded;
}

/// "name=content;" of each file.
std::string read_tar(const std::string& tar, std::size_t piece) {
  std::string told;
  TarReader reader(
      {.begin = [&](const std::string& name, std::uint64_t size) { told += fmt::format(";{}:{}=", name, size); },
       .content = [&](core::ByteSpan bytes) { told += core::as_text(bytes); }});
  for (std::size_t at = 0; at < tar.size(); at += piece) {
    reader.feed(core::as_bytes(std::string_view(tar).substr(at, piece)));
  }
  reader.finish();
  return told;
}

TEST(TarReaderTest, ReadsFilesInPiecesOfAnySize) {
  const auto tar = member("d/", "", '5') + member("d/toc.dat", std::string(700, 'x')) + member("x", "meta", 'x') +
                   member("empty", "") + member("1.dat", "abc") + std::string(1024, '\0') + "what follows the end";
  for (const std::size_t piece : {1U, 511U, 512U, 513U, 1U << 20}) {
    EXPECT_EQ(read_tar(tar, piece), ";d/toc.dat:700=" + std::string(700, 'x') + ";empty:0=;1.dat:3=abc");
  }
}

TEST(TarReaderTest, RefusesWhatIsDamagedCutOrNoFile) {
  auto damaged = member("toc.dat", "abc");
  damaged[3] = 'X';
  auto large = member("toc.dat", "abc");
  large.replace(124, 12, "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF");
  for (const auto& tar :
       {damaged, large, member("toc.dat", "abc").substr(0, 514), member("toc.dat", "abc").substr(0, 100),
        member("link", "", '2'), member("hard", "", '1'), member("device", "", '3')}) {
    EXPECT_THROW(read_tar(tar, 100), core::Error);
  }
}

}  // namespace
}  // namespace backstay::backup
