// Packs of which little is wanted at a time.
#include "repository/pack_windows.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "repository/pack_reader.h"
#include "repository/pack_writer.h"
#include "repository/testing/fixture.h"

namespace backstay::repository {
namespace {

constexpr std::size_t kPage = 8192;
constexpr std::size_t kPages = 128;  // of each pack
constexpr std::size_t kPacks = 12;

class PackWindowsTest : public testing::RepositoryFixture {
 protected:
  PackWindowsTest() {
    for (std::size_t i = 0; i < kPacks; ++i) {
      PackUploader uploader(*repository_);
      PackWriter writer(uploader);
      bytes_.push_back(content(kPages * kPage));
      std::vector<Extent> extents;
      writer.add(0, bytes_.back(), extents);
      writer.finish();
      uploader.finish();
      stored_ += uploader.bytes_stored();
      extents_.push_back(extents.front());
      packs_.insert(extents.front().position.pack);
    }
  }
  /// A page of each pack, then the next of each.
  void read_all(PackCache& cache, std::size_t from, std::size_t to) {
    PackReader reader(cache);
    core::Bytes page(kPage);
    for (std::size_t p = from; p < to; ++p) {
      for (std::size_t i = 0; i < kPacks; ++i) {
        reader.read(extents_[i], p * kPage, page);
        if (!std::equal(page.begin(), page.end(), bytes_[i].begin() + static_cast<std::ptrdiff_t>(p * kPage))) ++wrong_;
      }
    }
  }

  std::vector<core::Bytes> bytes_;
  std::vector<Extent> extents_;
  std::set<ObjectId> packs_;
  std::uint64_t stored_ = 0;
  std::atomic<int> wrong_{0};
};

TEST_F(PackWindowsTest, WhatIsScatteredOverManyPacksIsFetchedOnce) {
  PackCache cache(*repository_, {.capacity = 2 * kPacks * 3 * 128 * 1024, .scattered = packs_});
  read_all(cache, 0, kPages);
  EXPECT_EQ(wrong_, 0);
  EXPECT_LT(cache.bytes_received(), stored_ + stored_ / 10);
  EXPECT_LT(cache.requests(), kPacks * (1 + stored_ / kPacks / (128 * 1024) + 1));

  PackCache whole(*repository_, {.capacity = 1});
  read_all(whole, 0, 2);
  EXPECT_GT(whole.bytes_received(), stored_ + stored_ / 2) << "the same without windows";
}

TEST_F(PackWindowsTest, TwoThreadsFetchAWindowOnce) {
  PackCache cache(*repository_, {.scattered = packs_});
  {
    const std::jthread one([&] { read_all(cache, 0, 64); });
    const std::jthread two([&] { read_all(cache, 32, 96); });
  }
  EXPECT_EQ(wrong_, 0);
  EXPECT_LT(cache.bytes_received(), stored_ + stored_ / 10);
}

TEST_F(PackWindowsTest, DamageAndLossAreTold) {
  const auto key = pack_key(extents_[3].position.pack);
  PackCache cache(*repository_, {.scattered = packs_});
  read_all(cache, 0, 1);
  memory_->corrupt(key, memory_->get(key)->size() / 2);
  const auto read_rest = [&](PackCache& from) {
    PackReader reader(from);
    core::Bytes all(kPages * kPage);
    reader.read(extents_[3], 0, all);
  };
  PackCache other(*repository_, {.scattered = packs_});
  EXPECT_EQ(code_of([&] { read_rest(other); }), core::Code::kCorruptData);
  memory_->remove(std::vector<std::string>{key});
  PackCache third(*repository_, {.scattered = packs_});
  EXPECT_EQ(code_of([&] { read_rest(third); }), core::Code::kStoreObjectMissing);
}

}  // namespace
}  // namespace backstay::repository
