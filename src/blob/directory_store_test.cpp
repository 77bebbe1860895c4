#include "blob/directory_store.h"

#include <cstdlib>
#include <fstream>

#include <gtest/gtest.h>

#include "blob/testing/store_conformance.h"
#include "core/error.h"

namespace backstay::blob {
namespace {

namespace fs = std::filesystem;
using core::as_bytes;
using core::Code;

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = (fs::temp_directory_path() / "backstay-store-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = fs::canonical(pattern);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() { fs::remove_all(path_); }
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

class DirectoryFixture final : public testing::StoreFixture {
 public:
  Store& store() override { return store_; }

 private:
  TemporaryDirectory directory_;
  core::SystemClock clock_;
  core::SystemRandom random_;
  DirectoryStore store_{directory_.path(), clock_, random_};
};

const bool kRegistered =
    testing::register_store_conformance("Directory", [] { return std::make_unique<DirectoryFixture>(); });

Code code_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const core::Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "nothing was thrown";
  return Code::kInternal;
}

class DirectoryStoreTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::size_t unfinished() const {
    const fs::path temporary = directory_.path() / ".backstay-tmp";
    if (!fs::exists(temporary)) return 0;
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(temporary), fs::directory_iterator()));
  }
  TemporaryDirectory directory_;
  core::SystemClock clock_;
  core::SystemRandom random_;
  DirectoryStore store_{directory_.path(), clock_, random_};
};

TEST_F(DirectoryStoreTest, KeepsObjectsAsPlainFilesForTheOwnerOnly) {
  store_.put("a/b/c", as_bytes("content"));
  EXPECT_EQ(fs::file_size(directory_.path() / "a/b/c"), 7U);
  EXPECT_EQ(fs::status(directory_.path() / "a/b/c").permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(fs::status(directory_.path() / "a").permissions(), fs::perms::owner_all);
}

TEST_F(DirectoryStoreTest, LeavesNoTemporaryFiles) {
  store_.put("a", as_bytes("1"));
  store_.put_if_absent("a", as_bytes("2"));
  store_.put_if_absent("b", as_bytes("2"));
  {
    store_.begin_upload("c")->append(as_bytes("3"));
  }
  EXPECT_EQ(unfinished(), 0U);
}

TEST_F(DirectoryStoreTest, RemovesTemporaryFilesOfADayAgoAtOpening) {
  store_.put("a", as_bytes("1"));
  const fs::path old = directory_.path() / ".backstay-tmp" / "old";
  std::ofstream(old) << "left behind";
  std::ofstream(directory_.path() / ".backstay-tmp" / "young") << "in use";
  fs::last_write_time(old, fs::file_time_type::clock::now() - std::chrono::hours(25));
  const DirectoryStore again(directory_.path(), clock_, random_);
  EXPECT_FALSE(fs::exists(old));
  EXPECT_EQ(unfinished(), 1U);
}

TEST_F(DirectoryStoreTest, DoesNotListForeignFiles) {
  store_.put("a", as_bytes("1"));
  std::ofstream(directory_.path() / "not a key") << "x";
  std::vector<std::string> keys;
  store_.list("", "", [&](const ObjectInfo& info) {
    keys.push_back(info.key);
    return true;
  });
  EXPECT_EQ(keys, (std::vector<std::string>{"a"}));
}

TEST_F(DirectoryStoreTest, RefusesItsOwnTemporaryDirectoryAsAKey) {
  EXPECT_EQ(code_of([&] { store_.put(".backstay-tmp/x", as_bytes("1")); }), Code::kInvalidArgument);
}

TEST_F(DirectoryStoreTest, DoesNotFollowASymlinkInPlaceOfAnObject) {
  fs::create_symlink("/etc/hostname", directory_.path() / "link");
  EXPECT_ANY_THROW(store_.get("link"));
  EXPECT_FALSE(store_.head("link"));
}

TEST_F(DirectoryStoreTest, DoesNotRebuildARootThatIsGone) {
  fs::remove_all(directory_.path());
  EXPECT_EQ(code_of([&] { store_.put("a/b", as_bytes("1")); }), Code::kStoreUnreachable);
  EXPECT_EQ(code_of([&] { store_.list("", "", [](const auto&) { return true; }); }), Code::kStoreUnreachable);
  EXPECT_FALSE(fs::exists(directory_.path()));
}

TEST_F(DirectoryStoreTest, RefusesAKeyThatIsAlsoADirectory) {
  store_.put("a", as_bytes("1"));
  EXPECT_EQ(code_of([&] { store_.put("a/b", as_bytes("1")); }), Code::kInvalidArgument);
}

class ResolveDirectoryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(root_ / "inside");
    fs::create_directories(directory_.path() / "outside");
    fs::create_directories(directory_.path() / "root-but-not-it");
  }
  TemporaryDirectory directory_;
  fs::path root_ = directory_.path() / "root";
};

TEST_F(ResolveDirectoryTest, AcceptsARootAndWhatIsBelow) {
  EXPECT_EQ(resolve_directory(root_, {root_}, false), root_);
  EXPECT_EQ(resolve_directory(root_ / "inside", {root_}, false), root_ / "inside");
  EXPECT_EQ(resolve_directory(root_ / "inside", {"/nowhere", root_}, false), root_ / "inside");
}

TEST_F(ResolveDirectoryTest, RefusesWhatIsOutside) {
  fs::create_symlink(directory_.path() / "outside", root_ / "link");
  for (const auto& path : {directory_.path() / "outside", directory_.path() / "root-but-not-it", root_ / "../outside",
                           root_ / "link", root_ / "link/deeper", directory_.path()}) {
    EXPECT_EQ(code_of([&] { resolve_directory(path, {root_}, true); }), Code::kPathNotAllowed) << path;
  }
  EXPECT_EQ(code_of([&] { resolve_directory(root_, {}, false); }), Code::kPathNotAllowed);
}

TEST_F(ResolveDirectoryTest, MakesMissingDirectoriesOnlyWhenAsked) {
  EXPECT_EQ(code_of([&] { resolve_directory(root_ / "a/b", {root_}, false); }), Code::kStoreNotFound);
  EXPECT_FALSE(fs::exists(root_ / "a"));
  EXPECT_EQ(resolve_directory(root_ / "a/b", {root_}, true), root_ / "a/b");
  EXPECT_TRUE(fs::is_directory(root_ / "a/b"));
}

TEST_F(ResolveDirectoryTest, RefusesARelativePathAndAFile) {
  EXPECT_EQ(code_of([&] { resolve_directory("relative", {"/"}, false); }), Code::kInvalidArgument);
  std::ofstream(root_ / "file") << "x";
  EXPECT_EQ(code_of([&] { resolve_directory(root_ / "file", {root_}, false); }), Code::kStoreNotFound);
}

}  // namespace
}  // namespace backstay::blob
