// Where dumps come from: the spool for what was sent or fetched, and the roots that the operator allowed.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "control/dump_spool.h"
#include "core/random.h"
#include "http/client.h"
#include "os/file_system.h"
#include "providers/store_gate.h"

namespace backstay::providers {

/// A path, cut where the operator's permission begins.
struct AllowedPath {
  std::filesystem::path root;
  std::string path;
};

/// Throws Error(path_not_allowed) for what lies below no root, and Error(not_supported) if there are none.
AllowedPath allowed_path(const std::string& path, std::span<const std::filesystem::path> roots);

/// Where the spool of a services directory lies.
std::filesystem::path spool_directory(const std::filesystem::path& services_directory);

struct SpoolConfig {
  std::filesystem::path directory;
  /// A longer dump is not taken.
  std::uint64_t most_bytes = 0;
  std::vector<std::filesystem::path> roots;
  /// Which addresses URLs may name; what they resolve to the transport judges.
  http::EgressPolicy egress = {};
  /// What always stays free on that disk.
  std::uint64_t reserve = std::uint64_t{512} << 20;
};

/// In files of ours. Thread-safe.
class FileDumpSpool final : public control::DumpSpool {
 public:
  /// What is referred to outlives it.
  FileDumpSpool(SpoolConfig config, os::FileSystem& files, http::Transport& transport, BlobStoreGate& stores,
                core::Random& random)
      : config_(std::move(config)), files_(files), transport_(transport), stores_(stores), random_(random) {}

  std::unique_ptr<control::SpoolFile> open(std::optional<std::uint64_t> expected) override;
  [[nodiscard]] bool contains(const std::string& name) const override;
  void remove(const std::string& name) override;
  [[nodiscard]] std::vector<control::SpooledDump> list() const override;
  void check_path(const std::string& path) const override;
  void check_url(const std::string& url) const override;
  void fetch(const std::string& url, control::SpoolFile& into,
             const std::function<void(std::uint64_t done, std::uint64_t total)>& progress,
             std::stop_token stop) override;
  void fetch_object(const model::Destination& at, const std::string& key, control::SpoolFile& into,
                    const std::function<void(std::uint64_t done, std::uint64_t total)>& progress,
                    std::stop_token stop) override;

 private:
  class File;
  void require_room(std::uint64_t more) const;

  const SpoolConfig config_;
  os::FileSystem& files_;
  http::Transport& transport_;
  BlobStoreGate& stores_;
  core::Random& random_;
};

}  // namespace backstay::providers
