// The small rules: states, names, tokens, schedules, windows.
#include <map>

#include <gtest/gtest.h>

#include "core/error.h"
#include "model/backup.h"
#include "model/instance.h"
#include "model/operation.h"
#include "model/recovery.h"
#include "model/schedule.h"
#include "model/service.h"
#include "model/team.h"

namespace backstay::model {
namespace {

using std::chrono::hours;

core::Timestamp at(int hour) { return core::parse_time("2026-04-10T00:00:00Z") + hours(hour); }

TEST(ServiceTest, StatesHaveTheWordsOfTheApi) {
  for (const char* word : {"creating", "updating", "deleted", "deleting", "pausing", "unpausing", "paused",
                           "synchronized", "unknown", "invalid provider"}) {
    EXPECT_EQ(to_text(service_state_from_text(word)), word);
  }
  EXPECT_THROW(service_state_from_text("stopped"), core::Error);
}

TEST(ServiceTest, DeletedIsTheEndUnlessItIsTakenBack) {
  EXPECT_TRUE(may_change(ServiceState::kCreating, ServiceState::kSynchronized));
  EXPECT_TRUE(may_change(ServiceState::kDeleting, ServiceState::kDeleted));
  EXPECT_FALSE(may_change(ServiceState::kDeleting, ServiceState::kSynchronized));
  EXPECT_TRUE(may_change(ServiceState::kDeleting, ServiceState::kUpdating));
  EXPECT_TRUE(may_change(ServiceState::kDeleted, ServiceState::kCreating));
  EXPECT_FALSE(may_change(ServiceState::kDeleted, ServiceState::kSynchronized));
  EXPECT_FALSE(may_change(ServiceState::kSynchronized, ServiceState::kCreating));
}

TEST(ServiceTest, NamesFollowThePattern) {
  for (const char* good : {"a", "my-db", "my db 2", "_", "-"}) EXPECT_NO_THROW(check_service_name(good)) << good;
  EXPECT_NO_THROW(check_service_name(std::string(127, 'a')));
  for (const char* bad : {"", " a", "a ", "a.b", "ä", "a/b", "a\nb", "a\tb"})
    EXPECT_THROW(check_service_name(bad), core::Error) << bad;
  EXPECT_THROW(check_service_name(std::string(128, 'a')), core::Error);
}

TEST(BackupTest, AFinishedBackupCanOnlyBeDeleted) {
  EXPECT_TRUE(may_change(BackupState::kRunning, BackupState::kCompleted));
  EXPECT_TRUE(may_change(BackupState::kCompleted, BackupState::kDeleting));
  EXPECT_FALSE(may_change(BackupState::kFailed, BackupState::kRunning));
  EXPECT_FALSE(may_change(BackupState::kDeleted, BackupState::kDeleting));
  EXPECT_EQ(backup_state_from_text(to_text(BackupState::kCompleted)), BackupState::kCompleted);
  EXPECT_EQ(backup_origin_from_text("safety"), BackupOrigin::kSafety);
  EXPECT_EQ(backup_mechanism_from_text("logical"), BackupMechanism::kLogical);
  EXPECT_EQ(instance_state_from_text("serving"), InstanceState::kServing);
}

TEST(OperationTest, TerminalStates) {
  EXPECT_FALSE(is_terminal(OperationState::kQueued));
  EXPECT_FALSE(is_terminal(operation_state_from_text("running")));
  for (const char* word : {"succeeded", "failed", "cancelled"}) {
    EXPECT_TRUE(is_terminal(operation_state_from_text(word))) << word;
  }
}

TEST(TeamTest, SlugsAreMadeOfNames) {
  EXPECT_EQ(slug_of("Data  Platform (EU)"), "data-platform-eu");
  EXPECT_EQ(slug_of("ÄÖÜ"), "team");
  EXPECT_EQ(slug_of(std::string(100, 'x')).size(), 63U);
}

TEST(TokenTest, AScopeIncludesWhatItSumsUp) {
  const auto may = [](const std::string& scope) {
    Token token;
    token.scopes = {scope};
    std::string text(role_of(token));
    for (const auto& permission : permissions(token)) text += " " + std::string(permission);
    return text;
  };
  EXPECT_EQ(may("read"), "viewer read");
  EXPECT_EQ(may("change"), "operator read change");
  EXPECT_EQ(may("write"), "operator read change delete recover-in-place");
  EXPECT_EQ(may("delete"), "viewer read delete");
  EXPECT_EQ(may("recover-in-place"), "viewer read recover-in-place");
  EXPECT_EQ(may("metrics"), " metrics");
  EXPECT_EQ(may("admin"), "admin read change delete recover-in-place admin metrics");
}

TEST(TokenTest, ARoleIsASetOfScopes) {
  EXPECT_EQ(scopes_of_role("operator"), (std::vector<std::string>{"read", "change"}));
  EXPECT_EQ(scopes_of_role("viewer"), std::vector<std::string>{"read"});
  EXPECT_FALSE(scopes_of_role("owner"));
  EXPECT_TRUE(is_scope("write"));
  EXPECT_FALSE(is_scope("operator"));
}

TEST(TokenTest, ScopesTeamsAndExpiry) {
  Token token;
  token.scopes = {"write"};
  token.team_ids = {3};
  EXPECT_TRUE(allows_scope(token, kScopeRead));
  EXPECT_FALSE(allows_scope(token, kScopeAdmin));
  EXPECT_TRUE(allows_team(token, 3));
  EXPECT_FALSE(allows_team(token, 4));
  EXPECT_TRUE(is_usable(token, at(0)));
  token.expires_at = at(1);
  EXPECT_FALSE(is_usable(token, at(1)));
  token.expires_at.reset();
  token.revoked_at = at(0);
  EXPECT_FALSE(is_usable(token, at(1)));
}

/// The offset by which at(hour) is the time of a service in each interval.
core::Duration offset_of(int hour, std::int64_t interval_h) {
  return at(hour).time_since_epoch() % std::chrono::hours(interval_h);
}

TEST(ScheduleTest, FirstAtOnceThenEachInterval) {
  const auto offset = offset_of(5, 24);
  EXPECT_EQ(next_run(24, offset, {}, at(5)), at(5));
  EXPECT_EQ(next_run(24, offset, {at(5)}, at(5)), at(29));
  EXPECT_EQ(next_run(24, offset, {at(5), true}, at(5)), at(6)) << "a failed one is tried again soon";
  EXPECT_EQ(next_run(1, {}, {at(5), true}, at(5)), at(6));
  // Switched off and on again: a run from before does not count.
  EXPECT_EQ(next_run(24, offset, {at(5)}, at(10)), at(10));
}

TEST(ScheduleTest, MissedRunsAreCaughtUpByOne) {
  const auto now = at(100);
  const auto due = next_run(1, offset_of(0, 1), {at(5)}, at(5));
  EXPECT_LE(due, now);
  EXPECT_EQ(next_run(1, offset_of(0, 1), {now}, at(5)), at(101));
}

TEST(ScheduleTest, EachServiceComesToItsOwnTimeOfTheInterval) {
  for (int own = 0; own < 24; ++own) {
    auto last = at(5);
    for (int run = 0; run < 5; ++run) {
      const auto next = next_run(24, offset_of(own, 24), {last}, at(5));
      EXPECT_LE(next - last, std::chrono::hours(24)) << own;
      EXPECT_GE(next - last, std::chrono::hours(6)) << own;
      last = next + std::chrono::minutes(1);  // a run begins a little late
    }
    EXPECT_EQ((last - at(own)) % std::chrono::hours(24), std::chrono::minutes(1)) << own;
  }
}

TEST(ScheduleTest, AThousandServicesAreSpreadOverTheInterval) {
  std::map<std::int64_t, int> minutes;
  for (int i = 0; i < 1000; ++i) {
    const auto id = "5f3c8b1e-0000-4000-8000-" + std::to_string(100000000000 + i);
    const auto offset = spread(id, std::chrono::hours(1));
    EXPECT_EQ(offset, spread(id, std::chrono::hours(1)));
    EXPECT_GE(offset, core::Duration(0));
    EXPECT_LT(offset, std::chrono::hours(1));
    ++minutes[std::chrono::duration_cast<std::chrono::minutes>(offset).count()];
  }
  EXPECT_EQ(minutes.size(), 60U);
  for (const auto& [minute, count] : minutes) EXPECT_LT(count, 50) << minute;
}

TEST(RecoveryTest, BetweenSingleStatesNothingIsReached) {
  const auto window = window_of_states({at(6), at(2), at(2), at(9)}, "they stand alone");
  EXPECT_EQ(window.earliest, at(2));
  EXPECT_EQ(window.latest, at(9));
  ASSERT_EQ(window.gaps.size(), 2U);
  for (const int state : {2, 6, 9}) EXPECT_TRUE(can_reach(window, at(state))) << state;
  for (const int between : {3, 5, 7}) EXPECT_FALSE(can_reach(window, at(between))) << between;
  EXPECT_FALSE(window_of_states({}, "none").earliest);
}

TEST(RecoveryTest, GapsAreOutOfReach) {
  const RecoveryWindow window{.instance_id = "i",
                              .destination_id = "d",
                              .earliest = at(1),
                              .latest = at(10),
                              .gaps = {{.from = at(4), .to = at(6), .reason = "store away"}}};
  EXPECT_FALSE(can_reach(window, at(0)));
  EXPECT_TRUE(can_reach(window, at(1)));
  EXPECT_TRUE(can_reach(window, at(4)));
  EXPECT_FALSE(can_reach(window, at(5)));
  EXPECT_TRUE(can_reach(window, at(10)));
  EXPECT_FALSE(can_reach(window, at(11)));
  EXPECT_EQ(nearest_reachable(window, at(5)).before, at(4));
  EXPECT_EQ(nearest_reachable(window, at(5)).after, at(6));
  EXPECT_EQ(nearest_reachable(window, at(11)).before, at(10));
  EXPECT_EQ(nearest_reachable(window, at(11)).after, std::nullopt);
  EXPECT_EQ(nearest_reachable(window, at(0)).after, at(1));
  EXPECT_FALSE(can_reach(RecoveryWindow{}, at(1)));
}

TEST(RecoveryWindowTest, UnionHasOnlyThatPartOfAGapThatNoOtherReaches) {
  const RecoveryWindow first{
      .instance_id = "a", .earliest = at(10), .latest = at(90), .gaps = {{at(20), at(50), "another served"}}};
  const RecoveryWindow second{.instance_id = "b", .earliest = at(20), .latest = at(45)};
  const auto all = union_of({first, second});
  ASSERT_EQ(all.gaps.size(), 1U);
  EXPECT_EQ(all.gaps[0].from, at(45));
  EXPECT_EQ(all.gaps[0].to, at(50));
  EXPECT_EQ(all.gaps[0].reason, "another served");
  const RecoveryWindow whole{.instance_id = "c", .earliest = at(15), .latest = at(55)};
  EXPECT_TRUE(union_of({first, second, whole}).gaps.empty());
}

TEST(RecoveryWindowTest, UnionHasGapsBetweenInstancesAndKeepsThoseThatNoOtherCovers) {
  const RecoveryWindow first{.instance_id = "a",
                             .earliest = at(10),
                             .latest = at(40),
                             .gaps = {{at(20), at(25), "lost"}, {at(30), at(32), "lost too"}}};
  const RecoveryWindow elsewhere{.instance_id = "a", .destination_id = "d", .earliest = at(28), .latest = at(35)};
  const RecoveryWindow second{.instance_id = "b", .earliest = at(60), .latest = at(90)};
  const auto all = union_of({second, RecoveryWindow{.instance_id = "closed"}, first, elsewhere});
  EXPECT_EQ(all.earliest, at(10));
  EXPECT_EQ(all.latest, at(90));
  ASSERT_EQ(all.gaps.size(), 2U);
  EXPECT_EQ(all.gaps[0].reason, "lost");
  EXPECT_EQ(all.gaps[1].from, at(40));
  EXPECT_EQ(all.gaps[1].to, at(60));
  EXPECT_EQ(nearest_reachable(all, at(50)).before, at(40));
  EXPECT_EQ(nearest_reachable(all, at(50)).after, at(60));
  EXPECT_FALSE(union_of({}).earliest);
}

TEST(RecoveryWindowTest, UnionTellsWhyItBeginsAndEndsWhereItDoes) {
  const RecoveryWindow window{.instance_id = "a",
                              .earliest = at(20),
                              .latest = at(50),
                              .gaps = {{at(10), at(20), "before"}, {at(40), at(60), "after"}}};
  const auto all = union_of({window});
  EXPECT_EQ(all.earliest, at(20));
  EXPECT_EQ(all.latest, at(40));
  ASSERT_EQ(all.gaps.size(), 2U);
  EXPECT_EQ(all.gaps[0].reason, "before");
  EXPECT_EQ(all.gaps[1].reason, "after");
}

}  // namespace
}  // namespace backstay::model
