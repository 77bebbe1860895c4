#include "backup/wanted_backup.h"

#include <gtest/gtest.h>

namespace backstay::backup {
namespace {

using postgres::Lsn;

TEST(WantedBackup, HoldsUntilOneThatBeganLaterIsStored) {
  WantedBackup wanted;
  wanted.want("lost", Lsn{100});
  wanted.note_base_backup(Lsn{99});
  EXPECT_EQ(wanted.reason(), "lost");
  wanted.note_base_backup(Lsn{100});
  EXPECT_EQ(wanted.reason(), "");
}

TEST(WantedBackup, IsNotWantedForWhatTheNewestOneCovers) {
  WantedBackup wanted;
  wanted.note_base_backup(Lsn{100});
  wanted.want("lost", Lsn{100});
  EXPECT_EQ(wanted.reason(), "");
}

TEST(WantedBackup, WithoutAPlaceTheNextOneWillDo) {
  WantedBackup wanted;
  wanted.note_base_backup(Lsn{100});
  wanted.want("lost", std::nullopt);
  wanted.note_base_backup(Lsn{100});
  EXPECT_EQ(wanted.reason(), "lost");
  wanted.note_base_backup(Lsn{101});
  EXPECT_EQ(wanted.reason(), "");
}

TEST(WantedBackup, TwoReasonsHoldUntilTheLaterOneIsMet) {
  WantedBackup wanted;
  wanted.want("lost", Lsn{200});
  wanted.want("lost earlier", Lsn{100});
  wanted.note_base_backup(Lsn{150});
  EXPECT_NE(wanted.reason(), "");
}

TEST(WantedBackup, ATablespaceClosesOnlyWhatABackupHasOpened) {
  WantedBackup wanted;
  wanted.note_tablespace(Lsn{100});
  EXPECT_EQ(wanted.reason(), "");
  wanted.note_base_backup(Lsn{50});  // told of late
  EXPECT_NE(wanted.reason(), "");
  wanted.note_base_backup(Lsn{120});
  EXPECT_EQ(wanted.reason(), "");
}

}  // namespace
}  // namespace backstay::backup
