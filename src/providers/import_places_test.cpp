#include "providers/import_places.h"

#include <fstream>

#include <gtest/gtest.h>

#include "core/error.h"
#include "core/metrics.h"
#include "postgres/testing/test_cluster.h"

namespace backstay::providers {
namespace {

/// Answers what the test says.
class Web final : public http::Transport {
 public:
  http::ClientResponse send(const http::ClientRequest& request, std::stop_token) override {
    asked = request;
    if (status == 200) request.sink(core::as_bytes(body));
    return {.status = status, .headers = {}, .body = {}};
  }
  int status = 200;
  std::string body;
  http::ClientRequest asked;
};

class ImportPlacesTest : public ::testing::Test {
 protected:
  ImportPlacesTest() {
    std::filesystem::create_directory(root_);
    std::ofstream(root_ / "a.sql") << "SELECT 1;";
  }

  core::Code code_of(const std::function<void()>& work) {
    try {
      work();
    } catch (const core::Error& error) {
      fields_ = error.fields().empty() ? "" : error.fields().front().pointer;
      return error.code();
    }
    return core::Code::kInternal;
  }

  postgres::testing::TemporaryDirectory directory_;
  const std::filesystem::path root_ = directory_.path() / "root";
  os::RealFileSystem files_;
  core::SystemClock clock_;
  core::SystemRandom random_;
  core::Metrics metrics_;
  StoreTurns turns_{{}};
  BlobStoreGate stores_{{}, {.clock = clock_, .random = random_, .metrics = &metrics_, .stop = {}}, turns_};
  Web web_;
  FileDumpSpool spool_{{.directory = directory_.path() / "spool",
                        .most_bytes = 100,
                        .roots = {root_},
                        .egress = {.allow_loopback = false},
                        .reserve = 0},
                       files_,
                       web_,
                       stores_,
                       random_};
  std::string fields_;
};

TEST_F(ImportPlacesTest, APathIsCutAtItsRoot) {
  const std::vector<std::filesystem::path> roots{"/srv/dumps/", "/data"};
  EXPECT_EQ(allowed_path("/srv/dumps/a/b.sql", roots).path, "a/b.sql");
  EXPECT_EQ(allowed_path("/srv/./dumps//a/../b/", roots).path, "b");
  EXPECT_EQ(allowed_path("/data/x", roots).root, "/data");
  for (const char* path : {"/srv/dumps", "/srv/dumps/", "/srv/dumps/..", "/srv/dumps/../x", "/srv/dumpsx/a",
                           "/etc/passwd", "dumps/a", "", "/", "/data/../srv/x"}) {
    EXPECT_EQ(code_of([&] { allowed_path(path, roots); }), core::Code::kPathNotAllowed) << path;
    EXPECT_EQ(fields_, "/path");
  }
  EXPECT_EQ(code_of([&] { allowed_path("/srv/dumps/a", {}); }), core::Code::kPathNotAllowed);
}

TEST_F(ImportPlacesTest, NoLinkLeadsAnywhere) {
  spool_.check_path(root_ / "a.sql");
  spool_.check_path(root_ / "." / "a.sql");
  std::filesystem::create_symlink("/etc/passwd", root_ / "link");
  std::filesystem::create_symlink(directory_.path(), root_ / "up");
  std::filesystem::create_symlink("a.sql", root_ / "beside");
  for (const char* name : {"link", "up/root/a.sql", "beside"}) {
    EXPECT_EQ(code_of([&] { spool_.check_path(root_ / name); }), core::Code::kPathNotAllowed) << name;
    EXPECT_EQ(fields_, "/path");
  }
  EXPECT_EQ(code_of([&] { spool_.check_path(root_ / "missing"); }), core::Code::kNotFound);
}

TEST_F(ImportPlacesTest, OnlyWhatIsKeptStays) {
  {
    spool_.open(std::nullopt)->write("given up");
  }
  EXPECT_TRUE(spool_.list().empty());
  const auto file = spool_.open(9);
  file->write("SELECT ");
  file->write("1;");
  EXPECT_FALSE(spool_.contains("one"));
  file->keep("one");
  EXPECT_TRUE(spool_.contains("one"));
  EXPECT_EQ(core::as_text(files_.read_file(spool_directory(directory_.path()).parent_path() / "spool" / "one")),
            "SELECT 1;");
  EXPECT_EQ(files_.stat(directory_.path() / "spool")->mode, 0700u);
  spool_.remove("one");
  spool_.remove("one");
  EXPECT_TRUE(spool_.list().empty());
}

TEST_F(ImportPlacesTest, TooMuchIsRefusedSaidOrUnsaid) {
  EXPECT_EQ(code_of([&] { spool_.open(101); }), core::Code::kBodyTooLarge);
  const auto file = spool_.open(std::nullopt);
  file->write(std::string(100, 'x'));
  EXPECT_EQ(code_of([&] { file->write("x"); }), core::Code::kBodyTooLarge);
}

TEST_F(ImportPlacesTest, FetchesWhatAnswersWith200) {
  web_.body = "SELECT 1;";
  const auto file = spool_.open(std::nullopt);
  std::uint64_t told = 0;
  spool_.fetch("https://x.example/a", *file, [&](std::uint64_t done, std::uint64_t) { told = done; }, {});
  EXPECT_EQ(told, 9u);
  web_.status = 302;
  EXPECT_EQ(code_of([&] { spool_.fetch("https://x.example/a", *file, [](auto, auto) {}, {}); }),
            core::Code::kImportRefused);
}

TEST_F(ImportPlacesTest, AddressesThatMayNotBeAskedAreRefusedAtOnce) {
  spool_.check_url("https://x.example/a");
  spool_.check_url("http://8.8.8.8/a");
  for (const char* url : {"http://169.254.169.254/x", "http://[fe80::1]/x", "http://127.0.0.1:1/x", "http://[::1]/x"}) {
    EXPECT_EQ(code_of([&] { spool_.check_url(url); }), core::Code::kEgressRefused) << url;
    EXPECT_EQ(fields_, "/url");
  }
  EXPECT_EQ(code_of([&] { spool_.check_url("file:///etc/passwd"); }), core::Code::kInvalidArgument);
}

}  // namespace
}  // namespace backstay::providers
