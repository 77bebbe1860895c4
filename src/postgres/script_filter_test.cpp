#include "postgres/script_filter.h"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

#include "core/error.h"
#include "core/testing/seed.h"

namespace backstay::postgres {
namespace {

struct Filtered {
  std::string text;
  LeftOut left_out;
  std::uint64_t statements = 0;
};

/// `piece`: how much of it comes at a time.
Filtered filter(std::string_view sql, std::size_t piece = 1U << 20) {
  Filtered result;
  ScriptFilter under_test([&](std::string_view part) { result.text += part; });
  for (std::size_t at = 0; at < sql.size(); at += piece) under_test.write(sql.substr(at, piece));
  under_test.finish();
  result.left_out = under_test.left_out();
  result.statements = under_test.statements();
  return result;
}

/// The message of the refusal; empty if there is none.
std::string refusal(std::string_view sql, std::size_t piece = 1U << 20) {
  try {
    filter(sql, piece);
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::Code::kImportRefused);
    return error.message();
  }
  return {};
}

std::int64_t lines(std::string_view text) { return std::ranges::count(text, '\n'); }

TEST(ScriptFilterTest, LeavesWhatIsHarmlessAsItIs) {
  const std::vector<std::string> texts{
      "",
      "\n\n-- only a comment\n",
      "SELECT 1;",
      "SELECT 'a\\b', 'it''s', \"col\\umn\", \"a\"\"\\b\";\n",
      "SELECT E'a\\'\\\\', e'\\n';\n",
      "SELECT E'a'\n  'b\\'c';\n",
      "SELECT E'a' -- why\n-- not\n 'b\\'c';\n",
      "SELECT U&'\\0041', U&\"d\\0061t\", X'1F', B'01', N'x\\';\n",
      "SELECT $$ \\! id $$, $a$ $b$ \\! $b$ $$ $a$, $a_1$\\$a_1$;\n",
      "SELECT a$$b FROM t$1; SELECT $1;\n",
      "/* \\! /* nested \\c */ still \\q */ SELECT 1; -- \\! id\n",
      "SELECT 4 -- \\!\r\n;\n",
      "SELECT 1 /*\\!*/+/*'*/ 2;\n",
      "COPY public.t (a, b) FROM stdin;\n1\t\\N\n\\\\!\tid\n\\! id\n\\.x\n\\.\nSELECT 1;\n",
      "copy t from STDIN with (format csv); -- data\r\na'\"$$,\\!\n\\.\r\nSELECT ';';\n",
      "COPY \"from stdin\" FROM STDOUT;\n\\!\n\\.\n",
      "COPY t FROM stdin;\n\\.\n",
      "COPY (SELECT 1) TO STDOUT;\nSELECT 1;\n",
      "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 2 END; END;\nSELECT 2;\n",
      "CREATE OR REPLACE PROCEDURE p() BEGIN ATOMIC ROLLBACK; END;\n",
      "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; ROLLBACK; SELECT 2);\n",
      "ROLLBACK TO SAVEPOINT s; ROLLBACK WORK TO s;\n",
      "SELECT 'GRANT ALL ON t TO x;';\n",
      "ALTER TABLE t ADD COLUMN owner text; ALTER TABLE t RENAME COLUMN owner TO owned;\n",
      "COMMENT ON TABLE t IS 'GRANT';\n",
      "CREATE SCHEMA publican; CREATE SCHEMA IF NOT EXISTS public;\n",
      "INSERT INTO t VALUES ('\\'), (E'\\'');\n"};
  for (const auto& text : texts) {
    for (const std::size_t piece : {1U, 2U, 3U, 7U, 1U << 20}) {
      EXPECT_EQ(filter(text, piece).text, text) << "in pieces of " << piece;
    }
  }
}

TEST(ScriptFilterTest, RefusesCommandsOfPsqlWithTheirLine) {
  const std::vector<std::pair<std::string, std::string>> texts{
      {"\\! id\n", "line 1: the psql command '\\!'"},
      {"SELECT 1;\n\n  \\! id", "line 3: the psql command '\\!'"},
      {"SELECT 1 \\gexec\n", "line 1: the psql command '\\gexec'"},
      {"SELECT 1 \\; SELECT 2;\n", "line 1: the psql command '\\;'"},
      {"CREATE DATABASE x;\n\\connect x\n", "line 2: the psql command '\\connect'"},
      {"\\c\n", "line 1: the psql command '\\c'"},
      {"SELECT 'a' \\! 'b';", "line 1: the psql command '\\!'"},
      {"SELECT 'a\\' \\! id --'';", "line 1: the psql command '\\!'"},
      {"SELECT E'a\\'' \\! id", "line 1: the psql command '\\!'"},
      {"SELECT E'a' '\\' \\! id --';", "line 1: the psql command '\\!'"},
      {"SELECT E'a' /* */\n '\\' \\! id", "line 2: the psql command '\\!'"},
      {"SELECT the'a\\' \\! id --';", "line 1: the psql command '\\!'"},
      {"SELECT $$ $$ \\! id", "line 1: the psql command '\\!'"},
      {"SELECT $a$ $a$ \\! $a$", "line 1: the psql command '\\!'"},
      {"SELECT x$a$ \\! $a$", "line 1: the psql command '\\!'"},
      {"SELECT $1$ \\! $1$", "line 1: the psql command '\\!'"},
      {"-- comment\r\\! id\n", "line 1: the psql command '\\!'"},
      {"/* /* */ */ \\! id", "line 1: the psql command '\\!'"},
      {"COPY t FROM stdin;\n1\n\\.\n\\! id\n", "line 4: the psql command '\\!'"},
      {"COPY t TO stdout;\n\\! id\n\\.\n", "line 2: the psql command '\\!'"},
      {"COPY t FROM 'stdin';\n\\! id\n\\.\n", "line 2: the psql command '\\!'"},
      {"COPY t FROM \"stdin\";\n\\!\n\\.\n", "line 2: the psql command '\\!'"},
      {"COPY (SELECT a FROM stdin) TO stdout;\n\\! id\n\\.\n", "line 2: the psql command '\\!'"},
      {"SELECT 1; \\restrict abc\n", "line 1: the psql command '\\restrict'"},
      {"SELECT 1\n\\unrestrict abc\n", "line 2: the psql command '\\unrestrict'"},
      {"\\restrict abc \\! id\n", "line 1: the psql command '\\restrict'"},
      {"\\restrict `id`\n", "line 1: the psql command '\\restrict'"},
      {"\\.\n", "line 1: the psql command '\\.'"}};
  for (const auto& [text, message] : texts) {
    for (const std::size_t piece : {1U, 3U, 1U << 20}) {
      EXPECT_TRUE(refusal(text, piece).starts_with(message)) << text << " -> " << refusal(text, piece);
    }
  }
}

TEST(ScriptFilterTest, RefusesWhatCanBeReadInTwoWays) {
  EXPECT_EQ(refusal("COPY t FROM stdin; SELECT 'a';\n"), "line 1: more SQL on the line of a COPY … FROM stdin");
  EXPECT_EQ(refusal("COPY t FROM stdin; /*\n"), "line 1: more SQL on the line of a COPY … FROM stdin");
  EXPECT_NE(refusal("SELECT 1e'\\';\n"), "");
  EXPECT_NE(refusal("SELECT $1e'\\';\n"), "");
}

TEST(ScriptFilterTest, RefusesWhatIsNotWhole) {
  EXPECT_EQ(refusal("SELECT 1;\nCOPY t FROM stdin;\n1\n2"),
            "line 4: the dump ends within the COPY data that begin in line 3");
  EXPECT_EQ(refusal("COPY t FROM stdin;"), "line 1: the dump ends within the COPY data that begin in line 1");
  EXPECT_EQ(refusal("SELECT\n'a\n"), "line 3: the dump ends within a quote or a comment that begins in line 2");
  EXPECT_NE(refusal("SELECT $a$ $"), "");
  EXPECT_NE(refusal("/* /* */"), "");
  EXPECT_EQ(refusal("SELECT 1;\n\nSELECT\n2"), "line 4: the dump ends within the statement that begins in line 3");
  EXPECT_EQ(refusal("--\n-- PostgreSQL database dump\n--\nSELECT 1;\n"),
            "line 5: the dump ends before pg_dump's closing words");
  EXPECT_EQ(refusal("--\n-- PostgreSQL database dump\n--\n--\n-- PostgreSQL database dump complete\n--\n"), "");
  EXPECT_EQ(refusal(std::string_view("SELECT 1;\nSELECT '\0';", 21)), "line 2: a byte of value 0, which no SQL has");
  EXPECT_EQ(refusal("INSERT INTO t VALUES (1);\nROLLBACK;\n"),
            "line 2: a dump that takes back what it did cannot be imported");
}

TEST(ScriptFilterTest, LeavesOutWhatIsNotItsToSay) {
  const std::vector<std::string> left_out{"\\restrict aB3\n",
                                          "\\unrestrict aB3\r\n",
                                          "ALTER TABLE public.t OWNER TO postgres;\n",
                                          "ALTER FUNCTION f(integer,\n  text) OWNER TO \"Some One\";\n",
                                          "alter default privileges for role x grant all on tables to y;\n",
                                          "GRANT ALL ON TABLE t TO x;\n",
                                          "REVOKE ALL ON t FROM x;\n",
                                          "SET SESSION AUTHORIZATION 'x';\n",
                                          "SET default_tablespace = fast;\n",
                                          "COMMENT ON EXTENSION plpgsql IS 'PL/pgSQL;\nGRANT';\n",
                                          "CREATE SCHEMA public;\n",
                                          "BEGIN;\n",
                                          "START TRANSACTION;\n",
                                          "COMMIT;\n"};
  for (const auto& text : left_out) {
    const auto after = filter("SELECT 1;\n" + text + "SELECT 2;\n").text;
    EXPECT_EQ(lines(after), lines(text) + 2) << text;
    std::string words = after;
    std::erase(words, '\n');
    EXPECT_EQ(words, "SELECT 1;SELECT 2;") << text;
  }
  const auto all = filter("GRANT a TO b; ALTER TABLE t OWNER TO x; COMMIT; BEGIN; CREATE SCHEMA public; SELECT 1;");
  EXPECT_EQ(all.left_out.ownership, 2u);
  EXPECT_EQ(all.left_out.transactions, 2u);
  EXPECT_EQ(all.left_out.made_already, 1u);
  EXPECT_EQ(all.statements, 6u);
}

TEST(ScriptFilterTest, PassesALongStatementOfASuspectKindOn) {
  const std::string text = "CREATE VIEW v AS SELECT '" + std::string(300'000, 'x') + "';\n";
  EXPECT_EQ(filter(text).text, text);
}

TEST(ScriptFilterTest, JudgesWhatIsHiddenBehindALongComment) {
  const std::string comment = "/*" + std::string(100'000, 'x') + "*/";
  for (const auto* statement : {"COMMIT", "ROLLBACK", "GRANT a TO b", "SET SESSION AUTHORIZATION x", "BEGIN"}) {
    const std::string text(statement);
    const auto space = text.find(' ');
    const auto long_one =
        text.substr(0, space) + comment + (space == std::string::npos ? "" : text.substr(space)) + ";";
    EXPECT_THROW(filter("SELECT 1;\n" + long_one), core::Error) << statement;
  }
}

TEST(ScriptFilterTest, DropsAByteOrderMark) { EXPECT_EQ(filter("\xEF\xBB\xBFSELECT 1;").text, "SELECT 1;"); }

/// Makes SQL of which it knows where a command of psql stands outside everything.
class RandomScript {
 public:
  explicit RandomScript(std::uint64_t seed) : random_(seed) {}

  std::string statement() {
    std::string text = "SELECT 1";
    for (std::uint64_t i = 0; i < number(4); ++i) text += ", " + piece();
    return text + ";" + (number(2) == 0 ? "\n" : " ");
  }
  std::uint64_t number(std::uint64_t below) {
    return std::uniform_int_distribution<std::uint64_t>(0, below - 1)(random_);
  }

 private:
  /// Text full of what would mean something elsewhere.
  std::string poison(const std::string& without) {
    static const std::vector<std::string> parts{"\\!", "'", "\"",  "$$", "--", "/*",    "*/",    "\\", "\n",
                                                "x",   ";", "$a$", "(",  ")",  "COPY ", "stdin", " ",  "E"};
    std::string text;
    for (std::uint64_t i = 0; i < number(8); ++i) {
      const auto& part = parts[number(parts.size())];
      if (part.find_first_of(without) == std::string::npos) text += part;
    }
    return text;
  }
  static std::string doubled(const std::string& text, char quote) {
    std::string result;
    for (const char c : text) result += c == quote ? std::string(2, c) : std::string(1, c);
    return result;
  }
  static std::string escaped(const std::string& text) {
    std::string result;
    for (const char c : text) result += c == '\'' || c == '\\' ? std::string{'\\', c} : std::string(1, c);
    return result;
  }
  std::string piece() {
    switch (number(6)) {
      case 0: return "'" + doubled(poison(""), '\'') + "'";
      case 1: return "E'" + escaped(poison("")) + "'";
      case 2: return "\"" + doubled(poison("") + "x", '"') + "\"";
      case 3: return "$tag$" + poison("$") + "$a$" + poison("$") + "$tag$";
      case 4: return "/* " + poison("/*") + " /* " + poison("/*") + " */ */ 2";
      default: return "-- " + poison("\n") + "\n 3";
    }
  }

  std::mt19937_64 random_;
};

TEST(ScriptFilterTest, FindsEachRandomlyPlacedCommand) {
  RandomScript script(core::testing::seed());
  for (int round = 0; round < 400; ++round) {
    std::string text;
    for (std::uint64_t i = 0; i < script.number(6); ++i) text += script.statement();
    const std::size_t piece = 1 + script.number(20);
    ASSERT_EQ(filter(text, piece).text, text);
    const auto at = lines(text) + 1;
    ASSERT_EQ(refusal(text + "\\! id\n" + script.statement(), piece),
              "line " + std::to_string(at) + ": the psql command '\\!' cannot be imported")
        << text;
  }
}

}  // namespace
}  // namespace backstay::postgres
