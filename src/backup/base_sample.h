// Looks whether pages that the WAL proves unchanged really are what the base holds of them.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "backup/base_manifest.h"
#include "backup/environment.h"
#include "core/random.h"
#include "postgres/cluster_files.h"
#include "postgres/lsn.h"
#include "repository/repository.h"

namespace backstay::backup {

/// A few neighbouring pages of a file, and where the base has them.
struct SampledPages {
  postgres::ClusterEntry file = {};
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  std::vector<repository::Extent> extents = {};
};

/// Draws places at random from pages that go by, each page as likely as any other, in memory for the places only.
class SampleDraw {
 public:
  explicit SampleDraw(core::Random& random);
  /// The parts `kept` of a file whose bytes the base has.
  void offer(const postgres::ClusterEntry& file, const std::vector<ByteRange>& kept, const repository::FileEntry& base);
  [[nodiscard]] std::vector<SampledPages> take() const;
  /// Pages that went by.
  [[nodiscard]] std::uint64_t pages() const { return pages_; }

 private:
  static constexpr std::size_t kPlaces = 16;
  struct Place {
    /// The number of the page that is the next to take the place.
    std::uint64_t next = 0;
    SampledPages pages = {};
  };
  /// Of n pages the next that takes a place is the floor(n / u)-th, u uniform in (0, 1].
  std::uint64_t draw_next(std::uint64_t seen);

  core::Random& random_;
  std::array<Place, kPlaces> places_;
  std::uint64_t pages_ = 0;
};

struct SampleRequest {
  repository::Repository& repository;
  /// The starts of the base and of the new backup.
  postgres::Lsn base_start = {};
  postgres::Lsn start = {};
  /// Whether the cluster's pages carry them.
  bool checksums = true;
};

/// What the first page is that is not as the base has it, in words; empty if all are. Pages that were changed since the
/// new backup began are passed over. Pages are the same if their LSNs are and their checksums hold: what a record
/// changes gets the record's LSN, and what changes without one (hint bits in clusters without checksums, the cache in
/// the first page of an SP-GiST index) may be lost. Throws Error: cancelled, the store's errors, corrupt_data also for
/// a page of the base whose checksum does not hold.
std::string find_mismatch(const Environment& environment, const SampleRequest& request,
                          const std::vector<SampledPages>& sample, std::stop_token stop);

}  // namespace backstay::backup
