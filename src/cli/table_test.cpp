#include "cli/table.h"

#include <gtest/gtest.h>

namespace backstay::cli {
namespace {

TEST(TableTest, AlignsColumnsToTheirWidestCell) {
  Table table({"NAME", "STATE"});
  table.add({"orders", "synchronized"});
  table.add({"a", "creating"});
  EXPECT_EQ(table.render("none"),
            "NAME    STATE\n"
            "orders  synchronized\n"
            "a       creating\n");
}

TEST(TableTest, CountsCodePointsNotBytes) {
  Table table({"NAME", "X"});
  table.add({"Kürbis", "1"});
  EXPECT_EQ(table.render("none"), "NAME    X\nKürbis  1\n");
}

TEST(TableTest, ShowsAnEmptyCellAndAnEmptyTable) {
  Table table({"NAME", "STATE"});
  EXPECT_EQ(table.render("no services"), "no services\n");
  table.add({"", "x"});
  table.add({"only one"});
  EXPECT_EQ(table.render("no services"), "NAME      STATE\n-         x\nonly one  -\n");
}

TEST(TableTest, KeepsControlCharactersFromTheTerminal) {
  Table table({"BODY"});
  table.add({"a\x1b[2Jb\nc"});
  EXPECT_EQ(table.render(""), "BODY\na [2Jb c\n");
}

TEST(TableTest, AlignsPairs) { EXPECT_EQ(render_pairs({{"id", "7"}, {"provider", ""}}), "id        7\nprovider  -\n"); }

}  // namespace
}  // namespace backstay::cli
