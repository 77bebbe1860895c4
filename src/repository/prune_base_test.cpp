// A backup that goes while another one is being taken upon it.
#include <gtest/gtest.h>

#include "repository/prune.h"
#include "repository/testing/fixture.h"
#include "repository/writer_mark.h"

namespace backstay::repository {
namespace {

using std::chrono::days;
using std::chrono::hours;
using testing::kInstance;

const std::string kBase = "22222222-2222-4222-8222-000000000001";

class PruneBaseTest : public testing::RepositoryFixture {
 protected:
  PruneBaseTest() {
    memory_ = std::make_shared<blob::testing::MemoryStore>(&clock_);
    store_ = std::make_shared<blob::testing::FaultyStore>(*memory_);
    repository_ = Repository::create(store_, key_, random_, clock_);
    WriterMark mark(*repository_, kInstance, kBase);
    BackupRecord record;
    record.backup = kBase;
    record.instance = kInstance;
    record.attempt = mark.attempt();
    mark.publish(record);
    attempt_ = mark.attempt();
  }
  std::unique_ptr<WriterMark> begin(const std::string& backup) {
    return std::make_unique<WriterMark>(*repository_, kInstance, backup);
  }
  PruneReport run() {
    PruneRequest request;
    request.backups = {{kInstance, kBase, "test"}};
    return prune(*repository_, request, {});
  }
  bool is_there() { return store_->head(backup_record_name(kInstance, kBase, attempt_).key).has_value(); }

  ObjectId attempt_{};
};

TEST_F(PruneBaseTest, ItStaysUntilWhoMayBeTakenUponItIsDone) {
  auto before = begin("22222222-2222-4222-8222-000000000002");
  clock_.advance(hours(1));
  run();
  EXPECT_TRUE(repository_->backup_ids(kInstance).empty()) << "no list shows it any more";
  clock_.advance(hours(1));
  const auto behind = begin("22222222-2222-4222-8222-000000000003");
  clock_.advance(days(2));
  const auto report = run();
  EXPECT_TRUE(is_there());
  ASSERT_FALSE(report.steps.empty());
  EXPECT_EQ(report.steps.front().why, "a backup that began before may be taken upon it");
  before.reset();
  run();
  EXPECT_FALSE(is_there()) << "whoever began behind the mark has seen it";
}

TEST_F(PruneBaseTest, AWriterThatACrashLeftHoldsItForAsLongAsItsMarkIsLive) {
  const auto crashed = begin("22222222-2222-4222-8222-000000000002");
  clock_.advance(hours(1));
  run();
  clock_.advance(days(7));
  run();
  EXPECT_TRUE(is_there());
  clock_.advance(days(2));
  run();
  EXPECT_FALSE(is_there());
}

}  // namespace
}  // namespace backstay::repository
