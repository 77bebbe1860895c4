#include "repository/record_update.h"

#include "repository/testing/prune_fixture.h"

namespace backstay::repository {
namespace {

using testing::Attempt;
using testing::id;
using testing::kInstance;

class RecordUpdateTest : public testing::PruneTest {
 protected:
  RecordUpdateTest() {
    take(1);
    seen_ = *repository_->backup(kInstance, id(1));
  }
  bool note(const std::function<void()>& meanwhile = [] {}) {
    return update_backup(*repository_, seen_, [&](BackupRecord& record) {
      meanwhile();
      record.problem = "broken";
      return true;
    });
  }
  std::string problem() { return repository_->backup(kInstance, id(1))->problem; }

  BackupRecord seen_;
};

TEST_F(RecordUpdateTest, ItIsWrittenIntoWhatOthersHaveWritten) {
  auto other = seen_;
  other.confirmed = clock_.now();
  repository_->put_backup(other);
  EXPECT_TRUE(note());
  EXPECT_EQ(problem(), "broken");
  EXPECT_TRUE(repository_->backup(kInstance, id(1))->confirmed);
  EXPECT_FALSE(update_backup(*repository_, seen_, [](BackupRecord& record) { return record.problem.empty(); }));
}

TEST_F(RecordUpdateTest, NothingIsWrittenOfWhatIsBeingRemoved) {
  for (const auto& mark : {condemned_name(kInstance, id(1)), condemned_name(kInstance, id(1), seen_.attempt)}) {
    EXPECT_FALSE(note([&] { memory_->put(mark.key, {}); })) << mark.key;
    EXPECT_FALSE(note()) << mark.key;
    memory_->remove(std::vector{mark.key});
    EXPECT_EQ(problem(), "");
  }
}

TEST_F(RecordUpdateTest, ARecordThatWasSweptDoesNotComeBack) {
  run(without({1}));
  run_to_the_end();
  EXPECT_FALSE(note());
  EXPECT_FALSE(repository_->backup(kInstance, id(1)));
}

TEST_F(RecordUpdateTest, WhatWasSeenOfOneAttemptIsNotSaidOfAnother) {
  Attempt second(*repository_, kInstance, 1);
  second.prepare(content(400));
  second.put_record(20);
  ASSERT_EQ(repository_->backup(kInstance, id(1))->attempt, second.attempt());
  EXPECT_FALSE(note());
  EXPECT_EQ(problem(), "");
}

}  // namespace
}  // namespace backstay::repository
