// A store that refuses a read while a stream begins.
#include "backup/wal_receiver.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "backup/testing/archive_fixture.h"
#include "core/mutex.h"
#include "repository/wal_store.h"

namespace backstay::backup {
namespace {

using postgres::Lsn;

constexpr std::uint64_t kSegment = 1U << 20;
constexpr auto kDeadline = std::chrono::seconds(30);

/// Passes calls on, but for one read of an object.
class RefusingStore final : public blob::Store {
 public:
  explicit RefusingStore(blob::Store& inner) : inner_(inner) {}

  /// The next read of an object with this in its key fails.
  void refuse_read(std::string part) {
    const core::LockGuard lock(mutex_);
    part_ = std::move(part);
  }
  [[nodiscard]] bool refused() {
    const core::LockGuard lock(mutex_);
    return part_.empty();
  }

  void put(std::string_view key, core::ByteSpan content) override { inner_.put(key, content); }
  bool put_if_absent(std::string_view key, core::ByteSpan content) override {
    return inner_.put_if_absent(key, content);
  }
  std::unique_ptr<blob::Upload> begin_upload(std::string_view key) override { return inner_.begin_upload(key); }
  std::optional<core::Bytes> get(std::string_view key) override {
    look(key);
    return inner_.get(key);
  }
  std::optional<core::Bytes> get_range(std::string_view key, std::uint64_t offset, std::uint64_t length) override {
    look(key);
    return inner_.get_range(key, offset, length);
  }
  std::optional<blob::ObjectTail> get_tail(std::string_view key, std::uint64_t length) override {
    look(key);
    return inner_.get_tail(key, length);
  }
  std::optional<blob::ObjectInfo> head(std::string_view key) override { return inner_.head(key); }
  void list(std::string_view prefix, std::string_view start_after,
            const std::function<bool(const blob::ObjectInfo&)>& each) override {
    inner_.list(prefix, start_after, each);
  }
  void remove(std::span<const std::string> keys) override { inner_.remove(keys); }
  [[nodiscard]] blob::StoreFeatures features() const override { return inner_.features(); }
  [[nodiscard]] std::string description() const override { return inner_.description(); }

 private:
  void look(std::string_view key) {
    const core::LockGuard lock(mutex_);
    if (part_.empty() || key.find(part_) == std::string_view::npos) return;
    part_.clear();
    throw core::Error(core::Code::kStoreUnreachable, "told to fail");
  }

  blob::Store& inner_;
  core::Mutex mutex_;
  std::string part_ GUARDED_BY(mutex_);
};

class WalReceiverTest : public testing::ArchiveFixture {
 protected:
  WalReceiverTest() : cluster_({.extra_config = "autovacuum = off\nhot_standby = on\n", .segment_size = kSegment}) {
    repository_ = repository::Repository::open(refusing_, key_, random_, clock_);
    instance_ = add_instance(cluster_);
    start_receiver(1);
    write_and_see_it_stored();
  }
  void start_receiver(std::uint64_t epoch) {
    WalReceiverConfig config;
    config.lease_epoch = epoch;
    config.instance = instance_;
    config.connection = cluster_.target();
    config.slot = "backstay";
    config.spool_directory = directory_.path() / "spool";
    config.tail_interval = std::chrono::milliseconds(50);
    config.first_retry = std::chrono::milliseconds(20);
    receiver_ = std::make_unique<testing::RunningReceiver>(environment_, *repository_, config);
  }
  template <typename Condition>
  void wait(const char* what, Condition condition) {
    wait_for(kDeadline, what, std::move(condition));
  }
  Lsn server_end() { return postgres::parse_lsn(cluster_.query("SELECT pg_current_wal_flush_lsn()").text(0, 0)); }
  void write_and_see_it_stored() {
    cluster_.query(fmt::format("SELECT pg_logical_emit_message(true, 'much', repeat('m', {}))", 2 * kSegment));
    const Lsn end = server_end();
    wait("WAL to be stored", [&] { return (*receiver_)->status().stored >= end; });
  }
  /// The name of the segment before the one that the server fills, on the timeline that is archived.
  std::string segment_before() {
    return repository::segment_name(1, postgres::segment_of(server_end(), kSegment) - 1, kSegment);
  }
  /// The first byte that is not there, from the first stored one on.
  Lsn reach_of(std::uint32_t timeline) {
    repository::WalStore wal(*repository_, instance_, kSegment);
    Lsn end;
    for (const auto& stored : wal.list(timeline)) {
      const Lsn start = postgres::segment_start(stored.segment, kSegment);
      if (end.valid() && start != end) break;
      end = start + stored.contiguous(kSegment);
    }
    return end;
  }

  std::shared_ptr<RefusingStore> refusing_ = std::make_shared<RefusingStore>(memory_);
  postgres::testing::TestCluster cluster_;
  std::string instance_;
  std::unique_ptr<testing::RunningReceiver> receiver_;
};

TEST_F(WalReceiverTest, StoreThatRefusesAReadAtTheStartOnlyDelaysIt) {
  receiver_.reset();
  refusing_->refuse_read(segment_before());
  start_receiver(2);
  wait("the refused read", [&] { return refusing_->refused(); });
  write_and_see_it_stored();
  EXPECT_GE(reach_of(1), server_end());
}

TEST_F(WalReceiverTest, StoreThatRefusesAReadAtANewTimelineOnlyDelaysIt) {
  cluster_.stop();
  files_.write_file_durably(cluster_.paths().data() / "standby.signal", {}, 0600);
  if (const auto user = postgres::testing::test_identity()) {
    files_.set_owner(cluster_.paths().data() / "standby.signal", user->uid, user->gid);
  }
  cluster_.start();
  wait("the stream again", [&] { return (*receiver_)->status().connected; });
  const Lsn replayed = postgres::parse_lsn(cluster_.query("SELECT pg_last_wal_replay_lsn()").text(0, 0));
  wait("all of the old timeline", [&] { return (*receiver_)->status().stored >= replayed; });
  refusing_->refuse_read(repository::segment_name(1, postgres::segment_of(replayed, kSegment) - 1, kSegment));
  ASSERT_EQ(cluster_.query("SELECT pg_promote()").text(0, 0), "t");
  wait("the refused read", [&] { return refusing_->refused(); });
  write_and_see_it_stored();
  EXPECT_EQ((*receiver_)->status().timeline.value, 2U);
  EXPECT_GE(reach_of(2), server_end());
  EXPECT_LT(reach_of(1), server_end());
}

}  // namespace
}  // namespace backstay::backup
