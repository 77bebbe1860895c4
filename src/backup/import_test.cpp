#include "backup/import.h"

#include <fstream>

#include <gtest/gtest.h>
#include <zlib.h>

#include "core/error.h"
#include "postgres/testing/test_cluster.h"

namespace backstay::backup {
namespace {

class DumpImportTest : public ::testing::Test {
 protected:
  DumpImportTest() {
    std::ofstream(cluster_.paths().config() / "pg_hba.conf", std::ios::app) << "local app,source app trust\n";
    cluster_.server().reload();
    cluster_.query("CREATE ROLE app LOGIN");
    cluster_.query("CREATE DATABASE app OWNER app");
  }

  std::filesystem::path put(const std::string& name, const std::string& content) {
    std::ofstream(directory_.path() / name, std::ios::binary) << content;
    return directory_.path() / name;
  }
  ImportResult import(const std::string& name, std::optional<DumpFormat> format = {},
                      std::optional<std::uint64_t> most_bytes = {}) {
    const os::UntrustedDirectory root(directory_.path());
    ImportRequest request{
        .root = root,
        .path = name,
        .format = format,
        .most_bytes = most_bytes,
        .scratch = {.parent = scratch_, .reserve = 0},
        .load = {.installation = cluster_.installation(),
                 .identity = identity_,
                 .connection = cluster_.target("app"),
                 .connect_as_superuser = [this](const std::string& database) { return cluster_.connect(database); },
                 .name = "backstay import test",
                 .mark = mark_,
                 .note = [this](const std::string& mark) { mark_ = mark; }}};
    request.load.connection.user = "app";
    return import_dump({clock_, random_, files_, processes_}, request,
                       [this](const Progress& progress) { phases_[progress.phase] = progress.done; }, {});
  }
  std::string refusal(const std::string& name, std::optional<DumpFormat> format = {},
                      std::optional<std::uint64_t> most_bytes = {}) {
    mark_.clear();
    try {
      import(name, format, most_bytes);
    } catch (const core::Error& error) {
      EXPECT_EQ(error.code(), core::Code::kImportRefused);
      EXPECT_TRUE(std::filesystem::is_empty(scratch_));
      return error.message();
    }
    return "imported";
  }
  std::string ask(const std::string& sql) { return cluster_.connect("app").query(sql).text(0, 0); }
  void dump(const std::string& database, const std::string& format, const std::string& name) {
    os::Command command;
    command.argv = {cluster_.installation().program("pg_dump").string(), "--format=" + format,
                    "--file=" + (directory_.path() / name).string(), "--dbname=" + database};
    const auto target = cluster_.target(database);
    command.environment = {{"PGHOST", target.socket_directory.string()},
                           {"PGPORT", std::to_string(target.port)},
                           {"PGUSER", target.user},
                           {"PGPASSWORD", target.password.reveal()}};
    os::run_checked(processes_, command, {});
  }

  postgres::testing::TestCluster cluster_;
  postgres::testing::TemporaryDirectory directory_;
  std::filesystem::path scratch_ = directory_.path() / "scratch";
  core::SystemClock clock_;
  core::SystemRandom random_;
  os::RealFileSystem files_;
  os::SystemProcessRunner processes_;
  std::optional<os::Identity> identity_ = cluster_.identity();
  std::string mark_;
  std::map<std::string, std::uint64_t> phases_;
};

std::string gzipped(const std::string& text) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string in = text;
  std::string out(deflateBound(&stream, static_cast<uLong>(text.size())), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(in.data());
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

TEST_F(DumpImportTest, ToldTwiceItIsLoadedOnce) {
  put("a", gzipped("CREATE TABLE t (a int);\nINSERT INTO t VALUES (1);\n"));
  const auto first = import("a");
  EXPECT_EQ(first.format, DumpFormat::kPlain);
  EXPECT_EQ(first.statements, 2u);
  EXPECT_EQ(phases_.at("load"), 0u);
  EXPECT_TRUE(phases_.contains("unpack") || first.bytes < kDumpHead);
  EXPECT_TRUE(import("a").loaded_before);
  EXPECT_EQ(ask("SELECT count(*) FROM t"), "1");
  EXPECT_TRUE(std::filesystem::is_empty(scratch_));
}

TEST_F(DumpImportTest, ABombIsRefusedBeforeItIsLarge) {
  put("bomb", gzipped("--" + std::string(8'000'000, '-') + "\n"));
  EXPECT_LT(std::filesystem::file_size(directory_.path() / "bomb"), 100'000u);
  EXPECT_NE(refusal("bomb", {}, 1'000'000).find("longer than"), std::string::npos);
  put("twice", gzipped(gzipped("SELECT 1;\n")));
  EXPECT_EQ(refusal("twice"), "the dump is compressed twice");
}

/// One regular file of a tar.
std::string tar_entry(const std::string& name, const std::string& content) {
  std::string header(512, '\0');
  header.replace(0, name.size(), name);
  header.replace(100, 7, "0000600");
  header.replace(124, 11, fmt::format("{:011o}", content.size()));
  header.replace(148, 8, "        ");
  header[156] = '0';
  header.replace(257, 8, std::string("ustar\00000", 8));
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  header.replace(148, 7, fmt::format("{:06o}", sum) + '\0');
  return header + content + std::string((512 - content.size() % 512) % 512, '\0');
}

TEST_F(DumpImportTest, ABombInWhatIsPassedOverIsOneToo) {
  if (!identity_) GTEST_SKIP() << "tars are for services with a user of their own";
  put("bomb", gzipped(tar_entry("holiday.jpg", std::string(8'000'000, 'x')) + std::string(1024, '\0')));
  EXPECT_NE(refusal("bomb", {}, 1'000'000).find("longer than"), std::string::npos);
}

TEST_F(DumpImportTest, WhatItIsSaidToBeMustBeTrue) {
  put("a", "SELECT 1;\n");
  EXPECT_EQ(refusal("a", DumpFormat::kCustom), "it is a dump in plain form, not in custom form");
  std::filesystem::create_directory(directory_.path() / "d");
  EXPECT_EQ(refusal("d", DumpFormat::kPlain), "it is a directory");
  if (identity_) {
    EXPECT_NE(refusal("d").find("no toc.dat"), std::string::npos);
  }
}

TEST_F(DumpImportTest, AnArchiveThatFailsNamesTheObject) {
  cluster_.query("CREATE DATABASE source");
  cluster_.connect("source").query("CREATE TABLE t (a int); ");
  dump("source", "custom", "a");
  cluster_.connect("app").query("CREATE TABLE t (b text)");
  const auto message = refusal("a");
  EXPECT_TRUE(message.starts_with("Name: t; Type: TABLE; Schema: public; Owner: ")) << message;
  EXPECT_NE(message.find("relation \"t\" already exists"), std::string::npos) << message;
}

TEST_F(DumpImportTest, AnArchivesOwnWordsAreReadAsAStrangers) {
  cluster_.query("CREATE DATABASE source");
  cluster_.connect("source").query("CREATE TABLE t (a int)");
  dump("source", "custom", "a");
  std::ifstream file(directory_.path() / "a", std::ios::binary);
  std::string archive{std::istreambuf_iterator<char>(file), {}};
  const std::string statement = "CREATE TABLE public.t (\n    a integer\n);\n";
  const auto at = archive.find(statement);
  ASSERT_NE(at, std::string::npos);
  std::string evil = "SELECT 1;\n\\! touch /tmp/backstay-evil\n";
  evil.resize(statement.size() - 1, ' ');
  archive.replace(at, statement.size(), evil + "\n");
  put("evil", archive);
  EXPECT_NE(refusal("evil").find("the psql command '\\!'"), std::string::npos);
}

/// A table of contents may name any file, and pg_restore would read it as us.
TEST_F(DumpImportTest, WithoutAnIdentityNoNamesOfFilesAreFollowed) {
  cluster_.query("CREATE DATABASE source");
  cluster_.connect("source").query("CREATE TABLE t (a int)");
  for (const char* form : {"tar", "directory", "custom"}) dump("source", form, form);
  identity_.reset();
  for (const std::string form : {"tar", "directory"}) {
    EXPECT_TRUE(refusal(form).starts_with("a dump in " + form + " form is not taken into a service without a user"));
  }
  EXPECT_EQ(import("custom").format, DumpFormat::kCustom);
  EXPECT_EQ(ask("SELECT count(*) FROM t"), "0");
}

}  // namespace
}  // namespace backstay::backup
