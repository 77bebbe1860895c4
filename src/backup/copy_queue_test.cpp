#include "backup/copy_queue.h"

#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "backup/testing/memory_fixture.h"

namespace backstay::backup {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;

class CopyQueueTest : public testing::MemoryFixture {
 protected:
  void add(std::string path, std::uint64_t size) {
    postgres::ClusterEntry entry;
    entry.path = std::move(path);
    entry.size = size;
    walked_.add(entry);
  }
  std::vector<std::string> copied() {
    std::vector<std::string> paths;
    copied_.rewind();
    while (const auto entry = copied_.next()) paths.push_back(entry->path);
    return paths;
  }

  WalkList walked_{environment_, "/scratch"};
  EntryList copied_{environment_, "/scratch"};
  CopyQueue::Plan plan_ = [](CopiedFile& file) { add_range(file.reads, {0, file.source.size}); };
  CopyQueue queue_{walked_, copied_, plan_};
};

TEST_F(CopyQueueTest, GivesSmallFilesTogetherAndLargeOnesInParts) {
  add("a", 10);
  add("b", 70 * kMiB);
  add("c", 3 * kMiB);
  add("d", 3 * kMiB);
  add("e", 5);
  walked_.rewind();
  std::vector<std::string> given;
  std::vector<CopyQueue::Item> items;
  while (auto item = queue_.take()) {
    std::string text;
    for (const CopiedFile* file : item->files) text += file->source.path;
    if (item->part) text += fmt::format(" {}-{}", item->part->from / kMiB, item->part->to / kMiB);
    given.push_back(text);
    items.push_back(*std::move(item));
  }
  EXPECT_EQ(given, (std::vector<std::string>{"a", "b 0-32", "b 32-64", "b 64-70", "cd", "e"}));
  // The other way round: what is finished first is written last.
  for (auto item = items.rbegin(); item != items.rend(); ++item) queue_.finish(*item);
  EXPECT_EQ(copied(), (std::vector<std::string>{"a", "b", "c", "d", "e"}));
}

TEST_F(CopyQueueTest, ManyWorkersKeepTheOrderAndLeaveOutWhatVanished) {
  constexpr std::size_t kFiles = 30'000;
  for (std::size_t i = 0; i < kFiles; ++i) add(fmt::format("{:05}", i), i % 5000 == 4999 ? 100 * kMiB : i);
  walked_.rewind();
  {
    std::vector<std::jthread> workers;
    for (int i = 0; i < 4; ++i) {
      workers.emplace_back([&] {
        while (const auto item = queue_.take()) {
          for (CopiedFile* const file : item->files) {
            const core::LockGuard lock(file->mutex);
            file->vanished = file->source.size == 77;
          }
          queue_.finish(*item);
        }
      });
    }
  }
  const auto paths = copied();
  EXPECT_EQ(paths.size(), kFiles - 1);
  EXPECT_TRUE(std::ranges::is_sorted(paths));
}

TEST_F(CopyQueueTest, NothingMoreIsReadWhileMuchWaitsForOneFile) {
  plan_ = [](CopiedFile& file) {
    add_range(file.reads, {0, file.source.size});
    if (file.source.path != "a") return;
    file.earlier.emplace();
    file.earlier->extents.resize(300'000);
  };
  add("a", 10);
  add("b", 10);
  walked_.rewind();
  const auto slow = queue_.take();
  ASSERT_TRUE(slow);
  ASSERT_EQ(slow->files.size(), 1U);
  std::atomic<bool> begun{false};
  std::atomic<bool> ended{false};
  bool waited = false;
  {
    const std::jthread other([&] {
      begun = true;
      const auto item = queue_.take();
      waited = ended;
      if (item) queue_.finish(*item);
    });
    while (!begun) std::this_thread::yield();
    for (int i = 0; i < 1000; ++i) std::this_thread::yield();
    ended = true;
    queue_.finish(*slow);
  }
  EXPECT_TRUE(waited);
  EXPECT_EQ(copied(), (std::vector<std::string>{"a", "b"}));
}

TEST_F(CopyQueueTest, AbortReleasesWhoWaits) {
  plan_ = [](CopiedFile& file) {
    file.earlier.emplace();
    file.earlier->extents.resize(300'000);
  };
  add("a", 10);
  add("b", 10);
  walked_.rewind();
  ASSERT_TRUE(queue_.take());
  const std::jthread other([&] { EXPECT_FALSE(queue_.take()); });
  queue_.abort();
}

}  // namespace
}  // namespace backstay::backup
