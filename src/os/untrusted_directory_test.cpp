#include "os/untrusted_directory.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"
#include "core/random.h"

namespace backstay::os {
namespace {

core::Code code_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const core::Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "no error";
  return core::Code::kInternal;
}

/// Beside the directory lies "outside", with a file that nobody may get at through it.
class UntrustedDirectoryTest : public ::testing::Test {
 public:
  UntrustedDirectoryTest() {
    core::SystemRandom random;
    root_ = "/tmp/backstay-untrusted-" + random.token(12);
    files_.make_directories(root_ / "inside/base", 0700);
    files_.make_directories(root_ / "outside", 0700);
    write(root_ / "inside/base/file", "content");
    write(root_ / "outside/secret", "secret");
  }
  ~UntrustedDirectoryTest() override { files_.remove_all(root_); }

 protected:
  void write(const Path& path, std::string_view text) {
    const auto file = files_.create(path, 0600);
    file->append(core::as_bytes(text));
    file->close();
  }
  UntrustedDirectory inside() { return UntrustedDirectory(root_ / "inside"); }

  RealFileSystem files_;
  Path root_;
};

TEST_F(UntrustedDirectoryTest, ReadsWhatIsThere) {
  EXPECT_EQ(core::as_text(inside().read_file("base/file", 7)), "content");
  const auto listed = inside().list("");
  ASSERT_EQ(listed.size(), 1U);
  EXPECT_EQ(listed[0].name, "base");
  EXPECT_EQ(listed[0].info.type, FileType::kDirectory);
  EXPECT_EQ(inside().list("base").at(0).info.size, 7U);
  EXPECT_EQ(inside().stat("base/file")->size, 7U);
  EXPECT_FALSE(inside().stat("base/none"));
  EXPECT_FALSE(inside().stat("none/none"));
  EXPECT_EQ(code_of([&] { inside().open("none", O_RDONLY); }), core::Code::kNotFound);
  EXPECT_EQ(code_of([&] { UntrustedDirectory(root_ / "none"); }), core::Code::kNotFound);
}

TEST_F(UntrustedDirectoryTest, NothingLeadsOutOfIt) {
  files_.make_symlink(root_ / "outside", root_ / "inside/link");
  files_.make_symlink(root_ / "outside/secret", root_ / "inside/file");
  files_.make_symlink("base", root_ / "inside/within");
  const auto tree = inside();
  for (const std::string path : {"link/secret", "file", "../outside/secret", "within/file"}) {
    EXPECT_EQ(code_of([&] { tree.open(path, O_RDONLY); }), core::Code::kPathNotAllowed) << path;
    EXPECT_EQ(code_of([&] { tree.open(path, O_WRONLY); }), core::Code::kPathNotAllowed) << path;
  }
  EXPECT_EQ(code_of([&] { tree.open((root_ / "outside/secret").string(), O_RDONLY); }), core::Code::kPathNotAllowed);
  EXPECT_EQ(code_of([&] { tree.list("link"); }), core::Code::kPathNotAllowed);
  EXPECT_EQ(code_of([&] { tree.stat("link/secret"); }), core::Code::kPathNotAllowed);
  EXPECT_EQ(code_of([&] { tree.create("link/new", {}); }), core::Code::kPathNotAllowed);
  EXPECT_EQ(code_of([&] { tree.create("../new", {}); }), core::Code::kPathNotAllowed);
  EXPECT_EQ(code_of([&] { tree.make_directory("link/new", {}); }), core::Code::kPathNotAllowed);
  EXPECT_EQ(code_of([&] { tree.make_symlink("/", "link/new", {}); }), core::Code::kPathNotAllowed);
  EXPECT_EQ(code_of([&] { tree.rename("link/secret", "link/new"); }), core::Code::kPathNotAllowed);
  EXPECT_EQ(files_.list(root_ / "outside").size(), 1U);
}

TEST_F(UntrustedDirectoryTest, OpensOnlyRegularFilesAndDoesNotWait) {
  ASSERT_EQ(::mkfifo((root_ / "inside/pipe").c_str(), 0600), 0);
  EXPECT_EQ(code_of([&] { inside().open("pipe", O_RDONLY); }), core::Code::kPathNotAllowed);
  EXPECT_EQ(code_of([&] { inside().open("pipe", O_WRONLY); }), core::Code::kPathNotAllowed);
  EXPECT_EQ(code_of([&] { inside().read_file("base", 100); }), core::Code::kPathNotAllowed);
}

TEST_F(UntrustedDirectoryTest, ReadsNoMoreThanItsLimit) {
  EXPECT_EQ(code_of([&] { inside().read_file("base/file", 6); }), core::Code::kPathNotAllowed);
}

TEST_F(UntrustedDirectoryTest, MakesNewThingsOnly) {
  const auto tree = inside();
  tree.make_directory("new", {});
  tree.create("new/file", {});
  tree.make_symlink("/somewhere", "new/link", {});
  EXPECT_EQ(tree.stat("new")->mode, 0700U);
  EXPECT_EQ(tree.stat("new/file")->mode, 0600U);
  EXPECT_EQ(tree.read_link("new/link"), "/somewhere");
  EXPECT_EQ(code_of([&] { tree.make_directory("new", {}); }), core::Code::kAlreadyExists);
  EXPECT_EQ(code_of([&] { tree.create("base/file", {}); }), core::Code::kAlreadyExists);
  EXPECT_EQ(code_of([&] { tree.create("new/link", {}); }), core::Code::kAlreadyExists);
  tree.rename("base/file", "base/moved");
  EXPECT_EQ(core::as_text(tree.read_file("base/moved", 100)), "content");
}

TEST_F(UntrustedDirectoryTest, NamesAreSortedAndLookedAtInParts) {
  for (const auto* const name : {"base/z", "base/a", "base/a-b", "base/.hidden"}) write(root_ / "inside" / name, "x");
  const auto tree = inside();
  const DirectoryNames names = tree.names("base");
  std::vector<std::string> all;
  for (std::size_t i = 0; i < names.size(); ++i) all.emplace_back(names[i]);
  EXPECT_EQ(all, (std::vector<std::string>{".hidden", "a", "a-b", "file", "z"}));
  files_.remove(root_ / "inside/base/a-b");
  const auto part = tree.look("base", names, 1, 3);
  ASSERT_EQ(part.size(), 2U) << "what vanished is left out";
  EXPECT_EQ(part[0].name, "a");
  EXPECT_EQ(part[1].name, "file");
  EXPECT_EQ(part[1].info.size, 7U);
  files_.remove_all(root_ / "inside/base");
  EXPECT_EQ(code_of([&] { tree.look("base", names, 0, 1); }), core::Code::kNotFound);
}

TEST_F(UntrustedDirectoryTest, AHardLinkDoesNotMakeAFileItsOwn) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give files away";
  constexpr Identity kTenant{70011, 70011};
  inside().give_to(kTenant);
  ASSERT_EQ(::link((root_ / "outside/secret").c_str(), (root_ / "inside/base/linked").c_str()), 0);
  EXPECT_EQ(code_of([&] { inside().open("base/linked", O_RDONLY); }), core::Code::kPathNotAllowed);
  EXPECT_EQ(core::as_text(inside().read_file("base/file", 100)), "content");
  files_.set_mode(root_ / "outside/secret", 0644);
  EXPECT_EQ(core::as_text(inside().read_file("base/linked", 100)), "secret") << "its owner may read it too";
}

TEST_F(UntrustedDirectoryTest, GivesItselfAwayButNothingElse) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give files away";
  files_.make_symlink(root_ / "outside", root_ / "inside/base/link");
  inside().give_to({70011, 70012});
  for (const auto* const path : {"inside", "inside/base", "inside/base/file", "inside/base/link"}) {
    EXPECT_EQ(files_.stat(root_ / path)->uid, 70011U) << path;
    EXPECT_EQ(files_.stat(root_ / path)->gid, 70012U) << path;
  }
  EXPECT_EQ(files_.stat(root_ / "outside")->uid, 0U);
  ASSERT_EQ(::link((root_ / "outside/secret").c_str(), (root_ / "inside/base/linked").c_str()), 0);
  EXPECT_EQ(code_of([&] { inside().give_to({70013, 70013}); }), core::Code::kPathNotAllowed);
  EXPECT_EQ(files_.stat(root_ / "outside/secret")->uid, 0U);
}

}  // namespace
}  // namespace backstay::os
