// The directory driver: an object is a file below a root.
//
// A write goes to a temporary file in "<root>/.backstay-tmp", is synced, and renamed (or, if absent, linked) into
// place; then the directory is synced. Directories that become empty stay.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "blob/store.h"
#include "core/mutex.h"
#include "core/random.h"
#include "core/time.h"

namespace backstay::blob {

/// The canonical path of a directory, which must lie below one of the canonical `roots` (or be one) after resolving
/// symbolic links. Throws path_not_allowed, and store_not_found if it does not exist. With `create`, missing
/// directories below an allowed root are made first, for the owner only.
std::filesystem::path resolve_directory(const std::filesystem::path& directory,
                                        const std::vector<std::filesystem::path>& roots, bool create);

class DirectoryStore final : public Store {
 public:
  /// `root` is a canonical path that exists. Temporary files that a crash left behind a day ago or earlier are removed.
  DirectoryStore(std::filesystem::path root, core::Clock& clock, core::Random& random);

  void put(std::string_view key, core::ByteSpan content) override;
  bool put_if_absent(std::string_view key, core::ByteSpan content) override;
  std::unique_ptr<Upload> begin_upload(std::string_view key) override;
  std::optional<core::Bytes> get(std::string_view key) override;
  std::optional<core::Bytes> get_range(std::string_view key, std::uint64_t offset, std::uint64_t length) override;
  std::optional<ObjectTail> get_tail(std::string_view key, std::uint64_t length) override;
  std::optional<ObjectInfo> head(std::string_view key) override;
  void list(std::string_view prefix, std::string_view start_after,
            const std::function<bool(const ObjectInfo&)>& each) override;
  void remove(std::span<const std::string> keys) override;
  [[nodiscard]] StoreFeatures features() const override { return {.conditional_put = true}; }
  [[nodiscard]] std::string description() const override { return "file://" + root_.string(); }

 private:
  friend class DirectoryUpload;
  class TemporaryFile;
  struct Listing;

  [[nodiscard]] std::filesystem::path path_of(std::string_view key) const;
  /// Makes the key's directories; on return all of them survive a crash.
  void make_parents(const std::filesystem::path& directory);
  /// False if `if_absent` and the object exists.
  bool publish(TemporaryFile& file, std::string_view key, bool if_absent);
  bool list_directory(const Listing& listing, const std::string& directory);

  const std::filesystem::path root_;
  core::Random& random_;
  core::Mutex mutex_;
  std::set<std::filesystem::path> durable_directories_ GUARDED_BY(mutex_);
};

}  // namespace backstay::blob
