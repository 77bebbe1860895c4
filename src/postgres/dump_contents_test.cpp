#include "postgres/dump_contents.h"

#include <gmock/gmock.h>

namespace backstay::postgres {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> texts(const std::vector<DumpEntry>& entries) {
  std::vector<std::string> texts;
  for (const auto& entry : entries) texts.push_back(entry.text);
  return texts;
}

TEST(DumpContentsTest, WhatARestoreBringsBack) {
  const auto entries = comparable_entries(
      ";\n; Archive created at 2026-01-01\n;     TOC Entries: 9\n;\n"
      "3; 3079 16385 EXTENSION - pg_trgm \n"
      "5; 2615 2200 SCHEMA - public app\n"
      "3400; 0 0 COMMENT - SCHEMA public app\n"
      "215; 1259 16390 TABLE public orders app\n"
      "3401; 0 0 ACL public TABLE orders app\n"
      "3402; 0 0 DEFAULT ACL public DEFAULT PRIVILEGES FOR TABLES app\n"
      "3395; 0 16390 TABLE DATA public orders app\n"
      "3396; 2613 4711 BLOB - 4711 app\n"
      "3397; 0 0 BLOBS - BLOBS \n");
  EXPECT_THAT(texts(entries),
              ElementsAre("EXTENSION - pg_trgm ", "TABLE public orders app", "TABLE DATA public orders app"));
  EXPECT_EQ(entries.back().id, "3395");
  EXPECT_TRUE(entries.back().has_data());
  EXPECT_FALSE(entries.front().has_data());
}

TEST(DumpContentsTest, TheSameThingWhoeverOwnsIt) {
  const std::vector<DumpEntry> wanted{{"1", "TABLE public my orders the old owner"},
                                      {"2", "EXTENSION - pg_trgm "},
                                      {"3", "TABLE public orders app"},
                                      {"4", "INDEX public orders_id app"}};
  const std::vector<DumpEntry> found{
      {"7", "EXTENSION - pg_trgm "}, {"8", "TABLE public orders new"}, {"9", "TABLE public my orders new"}};
  EXPECT_THAT(match_entries(wanted, found, {"new", ""}), ElementsAre(2, 0, 1, -1));
}

TEST(DumpContentsTest, NothingIsFoundTwice) {
  const std::vector<DumpEntry> wanted{{"1", "VIEW public a b app"},
                                      {"2", "VIEW public a app"},
                                      {"3", "OPERATOR public === app"},
                                      {"4", "OPERATOR public === app"},
                                      {"5", "OPERATOR public === app"}};
  const std::vector<DumpEntry> found{
      {"7", "OPERATOR public === new"}, {"8", "OPERATOR public === new"}, {"9", "VIEW public a new"}};
  EXPECT_THAT(match_entries(wanted, found, {"new", ""}), ElementsAre(-1, 2, 0, 1, -1));
}

}  // namespace
}  // namespace backstay::postgres
