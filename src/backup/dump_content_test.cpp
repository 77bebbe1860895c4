#include "backup/dump_content.h"

#include <gmock/gmock.h>

namespace backstay::backup {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

DumpedRows rows_of(std::string_view text, std::size_t piece = 1000) {
  RowReader reader;
  for (; !text.empty(); text.remove_prefix(std::min(piece, text.size()))) {
    reader.add(core::as_bytes(text.substr(0, piece)));
  }
  return reader.finish();
}

DumpContent content(std::string id, std::string_view rows) {
  return {.entries = {{"1", "TABLE public t app"}, {id, "TABLE DATA public t app"}},
          .data = {{id + ".dat", rows_of(rows)}, {"blob_7.dat", rows_of("one")}}};
}

TEST(DumpContentTest, RowsAreTheSameInAnyOrderAndNoOthers) {
  const auto rows = rows_of("1\ta\n2\tb\n\\.\n\n\n");
  EXPECT_EQ(rows.rows, 2U);
  EXPECT_EQ(rows_of("1\ta\n2\tb\n\\.\n\n\n", 1), rows) << "however it is read";
  EXPECT_EQ(rows_of("2\tb\n1\ta\n\\.\n\n\n"), rows);
  EXPECT_EQ(rows_of("a\t1\nb\t2\n\\.\n\n\n"), rows) << "a child's columns may be in another order";
  for (const char* other : {"1\tb\n2\ta\n\\.\n\n\n", "1\ta\n2\tc\n\\.\n\n\n", "1\ta\n2\tb\n2\tb\n\\.\n\n\n",
                            "1\ta\t\n2\tb\n\\.\n\n\n", "1a\n2b\n\\.\n\n\n", "1\ta2\n\tb\n\\.\n\n\n"}) {
    EXPECT_NE(rows_of(other), rows) << other;
  }
  EXPECT_NE(rows_of("an object"), rows_of("an objecT"));
}

TEST(DumpContentTest, WhatTheCopyLacksIsNamed) {
  const auto wanted = content("20", "1\ta\n2\tb\n\\.\n\n\n");
  const auto same = compare_dumps(wanted, content("30", "2\tb\n1\ta\n\\.\n\n\n"), {"app"}, true);
  EXPECT_THAT(same.problems, IsEmpty());
  EXPECT_EQ(same.tables, 1U);
  EXPECT_EQ(same.rows_found, 2U);
  EXPECT_THAT(compare_dumps(wanted, content("30", "2\tb\n\\.\n\n\n"), {"app"}, true).problems,
              ElementsAre("table public t app: the dump has 2 rows, and the copy 1"));
  const auto other = content("30", "1\ta\n2\tc\n\\.\n\n\n");
  EXPECT_THAT(compare_dumps(wanted, other, {"app"}, true).problems,
              ElementsAre("table public t app: rows of the copy are not those of the dump"));
  EXPECT_THAT(compare_dumps(wanted, other, {"app"}, false).problems, IsEmpty()) << "values may be written in two ways";
  auto bare = content("30", "1\ta\n2\tb\n\\.\n\n\n");
  bare.entries.erase(bare.entries.begin());
  bare.data["blob_7.dat"] = rows_of("two");
  EXPECT_THAT(compare_dumps(wanted, bare, {"app"}, true).problems,
              ElementsAre("TABLE public t app: it is in the dump, and was not restored",
                          "large object 7.dat: the copy has another content"));
}

TEST(DumpContentTest, RowsThatLieInAnotherPartitionAreThere) {
  DumpContent wanted{.entries = {{"1", "TABLE DATA public a app"}, {"2", "TABLE DATA public b app"}},
                     .data = {{"1.dat", rows_of("1\n")}, {"2.dat", rows_of("2\n3\n")}}};
  DumpContent found = wanted;
  found.data = {{"1.dat", rows_of("1\n2\n")}, {"2.dat", rows_of("3\n")}};
  EXPECT_THAT(compare_dumps(wanted, found, {"app"}, true).problems, IsEmpty());
}

}  // namespace
}  // namespace backstay::backup
