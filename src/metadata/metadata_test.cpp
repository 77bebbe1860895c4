// Every store, on a SQLite file and on a PostgreSQL database of its own: what goes in comes out, and what must not
// happen is refused.
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <sstream>
#include <thread>

#include "core/error.h"
#include "metadata/backups.h"
#include "metadata/destinations.h"
#include "metadata/events.h"
#include "metadata/instances.h"
#include "metadata/operations.h"
#include "metadata/query.h"
#include "metadata/servers.h"
#include "metadata/services.h"
#include "metadata/settings.h"
#include "metadata/teams.h"
#include "metadata/testing/temporary_database.h"

namespace backstay::metadata {
namespace {

namespace json = core::json;
using core::Code;
using model::OperationState;
using testing::TemporaryDatabase;

core::Timestamp at(int second) {
  return core::parse_time("2026-04-10T12:00:00.000001Z") + std::chrono::seconds(second);
}

Code code_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const core::Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "nothing was refused";
  return Code::kInternal;
}

model::Service a_service(const std::string& id, const std::string& name) {
  model::Service service;
  service.id = id;
  service.team_id = 7;
  service.name = name;
  service.provider = {.name = "postgresql", .version = "15", .kind = "postgresql"};
  service.plan = {.id = 1, .parameters = {{"storage", 10}}, .resources = {{"storage", 10240}, {"cpu", 10}}};
  service.config = {{"max_connections", "100"}};
  service.secrets = {{"password", core::Secret("swordfish-in-clear")}};
  service.backups = {.enabled = true,
                     .interval_h = 12,
                     .retention_days = 30,
                     .config = {{"destinationPath", "s3://b/"}},
                     .secrets = {{"secretKey", core::Secret("store-key-in-clear")}},
                     .destination_id = "d1",
                     .enabled_at = at(1)};
  service.created_at = service.updated_at = at(0);
  return service;
}

model::Backup a_backup(const std::string& id, int second) {
  model::Backup backup;
  backup.id = id;
  backup.service_id = "s1";
  backup.team_id = 7;
  backup.scheduled_at = at(second);
  return backup;
}

model::Operation an_operation(const std::string& id, const std::string& lane = "") {
  model::Operation operation;
  operation.id = id;
  operation.kind = "backup";
  operation.team_id = 7;
  operation.service_id = "s1";
  operation.lane = lane;
  operation.request = {{"backupId", "b1"}};
  operation.secrets = {{"secretKey", core::Secret("k")}};
  operation.created_at = operation.not_before = at(0);
  return operation;
}

constexpr std::int64_t kFirst = 1;
constexpr std::int64_t kSecond = 2;
const std::string kOwner = lease_owner(kFirst);

class MetadataTest : public ::testing::TestWithParam<testing::Store> {
 protected:
  template <typename Body>
  auto write(Body&& body) {
    return database().write(std::forward<Body>(body));
  }
  template <typename Body>
  auto read(Body&& body) {
    return database().read(std::forward<Body>(body));
  }
  Database& database() { return temporary_.database(); }
  void SetUp() override {
    write([](Transaction& tx) {
      Teams(tx).insert({.id = 7, .name = "Seven", .slug = "seven", .created_at = at(0)});
      ASSERT_EQ(Servers(tx).enter("first", at(0)), kFirst);
      ASSERT_EQ(Servers(tx).enter("second", at(0)), kSecond);
    });
  }
  std::optional<model::Operation> claim(std::int64_t server, int second) {
    return write([&](Transaction& tx) {
      return Operations(tx).claim({.server = server, .now = at(second), .lease = std::chrono::seconds(10)});
    });
  }

  TemporaryDatabase temporary_{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(Stores, MetadataTest, ::testing::Values(testing::Store::kSqlite, testing::Store::kPostgresql),
                         [](const auto& test) { return testing::name_of(test.param); });

TEST_P(MetadataTest, TeamsGoInAndOut) {
  const auto next = write([](Transaction& tx) {
    return Teams(tx).insert(
        {.name = "Next", .slug = "next", .recovery_key = core::Secret("bsk1-x"), .created_at = at(1)});
  });
  EXPECT_EQ(next.id, 8);
  auto found = read([](Transaction& tx) { return Teams(tx).find_by_slug("next"); });
  ASSERT_TRUE(found);
  EXPECT_EQ(found->recovery_key.reveal(), "bsk1-x");
  EXPECT_EQ(found->created_at, at(1));
  EXPECT_FALSE(found->kit_fetched_at);
  found->kit_fetched_at = at(5);
  write([&](Transaction& tx) { Teams(tx).update(*found); });
  EXPECT_EQ(read([](Transaction& tx) { return Teams(tx).find(8); })->kit_fetched_at, at(5));
  EXPECT_EQ(read([](Transaction& tx) { return Teams(tx).list().size(); }), 2U);
  EXPECT_EQ(code_of([&] { write([](Transaction& tx) { Teams(tx).insert({.name = "n", .slug = "next"}); }); }),
            Code::kAlreadyExists);
}

TEST_P(MetadataTest, TokensGoInAndOut) {
  model::Token token{.id = "t1",
                     .name = "ci",
                     .hash = "ab12",
                     .scopes = {"write"},
                     .team_ids = {7, 8},
                     .created_at = at(0),
                     .expires_at = at(100)};
  write([&](Transaction& tx) { Tokens(tx).insert(token); });
  write([&](Transaction& tx) {
    Tokens(tx).touch("t1", at(3));
    EXPECT_TRUE(Tokens(tx).revoke("t1", at(4)));
    EXPECT_TRUE(Tokens(tx).revoke("t1", at(5)));
    EXPECT_FALSE(Tokens(tx).revoke("t2", at(5)));
  });
  const auto found = read([](Transaction& tx) { return Tokens(tx).find_by_hash("ab12"); });
  ASSERT_TRUE(found);
  EXPECT_EQ(found->scopes, token.scopes);
  EXPECT_EQ(found->team_ids, token.team_ids);
  EXPECT_EQ(found->expires_at, at(100));
  EXPECT_EQ(found->last_used_at, at(3));
  EXPECT_EQ(found->revoked_at, at(4));
  EXPECT_EQ(read([](Transaction& tx) { return Tokens(tx).keys().size(); }), 1U);
}

TEST_P(MetadataTest, ServicesGoInAndOut) {
  const auto service = a_service("s1", "my-db");
  write([&](Transaction& tx) { Services(tx).insert(service); });
  const auto found = read([](Transaction& tx) { return Services(tx).require("s1"); });
  EXPECT_EQ(found.name, "my-db");
  EXPECT_EQ(found.provider, service.provider);
  EXPECT_EQ(found.plan, service.plan);
  EXPECT_EQ(found.config, service.config);
  EXPECT_EQ(found.secrets.at("password").reveal(), "swordfish-in-clear");
  EXPECT_EQ(found.backups.interval_h, 12);
  EXPECT_EQ(found.backups.retention_days, 30);
  EXPECT_EQ(found.backups.config, service.backups.config);
  EXPECT_EQ(found.backups.secrets.at("secretKey").reveal(), "store-key-in-clear");
  EXPECT_EQ(found.backups.destination_id, "d1");
  EXPECT_EQ(found.backups.enabled_at, at(1));
  EXPECT_EQ(found.status.state, model::ServiceState::kCreating);
  EXPECT_FALSE(found.deleted_at);
  EXPECT_EQ(found.created_at, at(0));
  EXPECT_EQ(code_of([&] { read([](Transaction& tx) { return Services(tx).require("s2"); }); }), Code::kNotFound);
}

TEST_P(MetadataTest, ANameIsTakenOnlyAmongTheLiving) {
  write([](Transaction& tx) { Services(tx).insert(a_service("s1", "my-db")); });
  const auto again = [&] { write([](Transaction& tx) { Services(tx).insert(a_service("s2", "my-db")); }); };
  EXPECT_EQ(code_of(again), Code::kAlreadyExists);
  write([](Transaction& tx) {
    auto service = Services(tx).require("s1");
    service.delete_requested_at = service.deleted_at = at(9);
    Services(tx).update_desired(service);
  });
  again();
  EXPECT_EQ(read([](Transaction& tx) { return Services(tx).list({}).size(); }), 1U);
  EXPECT_EQ(read([](Transaction& tx) { return Services(tx).list({.include_deleted = true}).size(); }), 2U);
}

TEST_P(MetadataTest, DesiredStateAndStatusDoNotTouchEachOther) {
  write([](Transaction& tx) { Services(tx).insert(a_service("s1", "my-db")); });
  write([](Transaction& tx) {
    Services(tx).update_status("s1",
                               {.state = model::ServiceState::kSynchronized,
                                .observed_generation = 1,
                                .instance_id = "i1",
                                .details = {{"port", 5433}},
                                .reason = "r",
                                .next_step = "n",
                                .last_error = "e"},
                               at(2));
  });
  write([](Transaction& tx) {
    auto service = a_service("s1", "renamed");
    service.generation = 2;
    service.updated_at = at(3);
    Services(tx).update_desired(service);
  });
  const auto found = read([](Transaction& tx) { return Services(tx).require("s1"); });
  EXPECT_EQ(found.name, "renamed");
  EXPECT_EQ(found.generation, 2);
  EXPECT_EQ(found.status.state, model::ServiceState::kSynchronized);
  EXPECT_EQ(found.status.details.at("port"), 5433);
  EXPECT_EQ(found.updated_at, at(3));
}

TEST_P(MetadataTest, ADeletedServiceStaysDeleted) {
  write([](Transaction& tx) {
    auto service = a_service("s1", "my-db");
    service.delete_requested_at = service.deleted_at = at(1);
    Services(tx).insert(service);
    Services(tx).update_status("s1", {.state = model::ServiceState::kDeleted}, at(1));
  });
  const auto revive = [&] {
    write([](Transaction& tx) { Services(tx).update_status("s1", {.state = model::ServiceState::kUnknown}, at(2)); });
  };
  EXPECT_EQ(code_of(revive), Code::kConflict);
  EXPECT_TRUE(read([](Transaction& tx) { return Services(tx).list_living_ids(); }).empty());
}

TEST_P(MetadataTest, ListsOfServicesFilterAndPage) {
  write([](Transaction& tx) {
    Teams(tx).insert({.id = 9, .name = "Nine", .slug = "nine"});
    for (int i = 0; i < 5; ++i) {
      auto service = a_service("s" + std::to_string(i), "db" + std::to_string(i));
      service.created_at = at(i / 2);
      service.team_id = i == 4 ? 9 : 7;
      Services(tx).insert(service);
    }
  });
  const auto ids = [&](const ServiceFilter& filter) {
    std::string text;
    for (const auto& service : read([&](Transaction& tx) { return Services(tx).list(filter); }))
      text += service.id + " ";
    return text;
  };
  EXPECT_EQ(ids({}), "s0 s1 s2 s3 s4 ");
  EXPECT_EQ(ids({.team_ids = std::vector<std::int64_t>{9}}), "s4 ");
  EXPECT_EQ(ids({.team_ids = std::vector<std::int64_t>{}}), "");
  EXPECT_EQ(ids({.name = "db2"}), "s2 ");
  EXPECT_EQ(ids({.after_id = "s1", .limit = 2}), "s2 s3 ");
}

TEST_P(MetadataTest, ServicesAreFoundByWhatTheyWereRecoveredFrom) {
  auto of_service = a_service("s2", "db2");
  of_service.recovered_from = {{"serviceId", "s1"}, {"time", "2026-04-10T12:00:00Z"}};
  auto of_backup = a_service("s3", "db3");
  of_backup.recovered_from = {{"backupId", "b"}, {"serviceId", "s1"}};
  write([&](Transaction& tx) {
    Services(tx).insert(a_service("s1", "db1"));
    Services(tx).insert(of_service);
    Services(tx).insert(of_backup);
  });
  const auto found = read([](Transaction& tx) { return Services(tx).list_recovered_from("s1"); });
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].id, "s2");
  EXPECT_EQ(found[1].id, "s3");
  EXPECT_TRUE(read([](Transaction& tx) { return Services(tx).list_recovered_from("s2"); }).empty());
}

TEST_P(MetadataTest, InstancesGoInAndOut) {
  model::Instance instance{.id = "i1",
                           .service_id = "s1",
                           .state = model::InstanceState::kServing,
                           .directory = "i1",
                           .port = 65535,
                           .uid = 4000000000U,
                           .engine_major = 15,
                           .system_id = 0xfedcba9876543210U,
                           .timeline = 3,
                           .destination_id = "d1",
                           .branched_from = model::BranchPoint{.instance_id = "i0", .timeline = 2, .lsn = ~0ULL},
                           .served_from = at(1),
                           .facts = {{"slot", "backstay"}},
                           .created_at = at(0)};
  write([&](Transaction& tx) {
    Services(tx).insert(a_service("s1", "my-db"));
    Instances(tx).insert(instance);
  });
  const auto found = read([](Transaction& tx) { return Instances(tx).require("i1"); });
  EXPECT_EQ(found.state, instance.state);
  EXPECT_EQ(found.port, instance.port);
  EXPECT_EQ(found.uid, instance.uid);
  EXPECT_EQ(found.system_id, instance.system_id);
  EXPECT_EQ(found.timeline, 3U);
  EXPECT_EQ(found.branched_from, instance.branched_from);
  EXPECT_EQ(found.served_from, at(1));
  EXPECT_FALSE(found.served_until);
  EXPECT_EQ(found.facts, instance.facts);
  EXPECT_EQ(write([](Transaction& tx) { return Instances(tx).next_epoch("i1"); }), 1);
  EXPECT_EQ(write([](Transaction& tx) { return Instances(tx).next_epoch("i1"); }), 2);
  instance.state = model::InstanceState::kRemoved;
  write([&](Transaction& tx) { Instances(tx).update(instance); });
  EXPECT_EQ(read([](Transaction& tx) { return Instances(tx).require("i1").epoch; }), 2);
  EXPECT_TRUE(read([](Transaction& tx) { return Instances(tx).list_living("local"); }).empty());
  EXPECT_EQ(read([](Transaction& tx) { return Instances(tx).list_of_service("s1").size(); }), 1U);
  instance.state = model::InstanceState::kServing;
  EXPECT_EQ(code_of([&] { write([&](Transaction& tx) { Instances(tx).update(instance); }); }), Code::kConflict);
}

TEST_P(MetadataTest, AllocationsAreExclusive) {
  write([](Transaction& tx) {
    Allocations numbers(tx);
    EXPECT_EQ(numbers.allocate("port", "local", "i1", {10, 12}), 10);
    EXPECT_EQ(numbers.allocate("port", "local", "i1", {10, 12}), 10);
    EXPECT_EQ(numbers.allocate("uid", "local", "i1", {10, 12}), 10);
    EXPECT_EQ(numbers.allocate("port", "local", "i2", {10, 12}, [](std::int64_t n) { return n != 11; }), 12);
    EXPECT_EQ(numbers.allocate("port", "other", "i3", {10, 12}), 10);
    EXPECT_EQ(numbers.allocate("port", "local", "i4", {10, 12}), 11);
    EXPECT_EQ(code_of([&] { numbers.allocate("port", "local", "i5", {10, 12}); }), Code::kStateError);
    numbers.release_all("i1");
    EXPECT_EQ(numbers.allocate("port", "local", "i5", {10, 12}), 10);
  });
}

TEST_P(MetadataTest, AllocationsBeginAnywhereAndGoRound) {
  write([](Transaction& tx) {
    Allocations numbers(tx);
    EXPECT_EQ(numbers.allocate("port", "local", "i1", {10, 12, 11}), 11);
    EXPECT_EQ(numbers.allocate("port", "local", "i2", {10, 12, 11}), 12);
    EXPECT_EQ(numbers.allocate("uid", "local", "i2", {10, 12}), 10);
    EXPECT_EQ(numbers.allocate("port", "local", "i3", {10, 12, 11}), 10);
    EXPECT_EQ(code_of([&] { numbers.allocate("port", "local", "i4", {10, 12, 11}); }), Code::kStateError);
    numbers.release("port", "i2");
    EXPECT_EQ(numbers.allocate("port", "local", "i4", {10, 12, 11}), 12);
    EXPECT_EQ(numbers.allocate("uid", "local", "i4", {10, 12}), 11) << "the owner's other numbers stay its own";
  });
}

TEST_P(MetadataTest, BackupsGoInAndOut) {
  auto backup = a_backup("b1", 10);
  backup.origin = model::BackupOrigin::kScheduled;
  write([&](Transaction& tx) {
    Services(tx).insert(a_service("s1", "my-db"));
    Backups(tx).insert(backup);
    Backups(tx).insert(a_backup("b2", 20));
  });
  backup.state = model::BackupState::kRunning;
  backup.instance_id = "i1";
  backup.destination_id = "d1";
  backup.initiated_at = at(11);
  backup.taken_at = at(12);
  backup.start_lsn = 0xffffffff00000028U;
  backup.data_bytes = 1234;
  backup.error = "e";
  backup.pinned = true;
  backup.expires_at = at(99);
  backup.label = "before the move";
  backup.removal_reason = "it is old";
  write([&](Transaction& tx) { Backups(tx).update(backup); });
  const auto found = read([](Transaction& tx) { return Backups(tx).require("b1"); });
  EXPECT_EQ(found.origin, model::BackupOrigin::kScheduled);
  EXPECT_EQ(found.scheduled_at, at(10));
  EXPECT_EQ(found.taken_at, at(12));
  EXPECT_FALSE(found.stored_at);
  EXPECT_EQ(found.start_lsn, 0xffffffff00000028U);
  EXPECT_EQ(found.data_bytes, 1234U);
  EXPECT_TRUE(found.pinned);
  EXPECT_EQ(found.expires_at, at(99));
  EXPECT_EQ(found.label, "before the move");
  EXPECT_EQ(found.removal_reason, "it is old");
  EXPECT_EQ(
      read([](Transaction& tx) { return Backups(tx).last_of("s1", model::BackupOrigin::kScheduled)->scheduled_at; }),
      at(10));
  backup.state = model::BackupState::kDeleted;
  EXPECT_EQ(code_of([&] { write([&](Transaction& tx) { Backups(tx).update(backup); }); }), Code::kConflict);
}

TEST_P(MetadataTest, BackupsAreListedNewestFirst) {
  write([](Transaction& tx) {
    Services(tx).insert(a_service("s1", "my-db"));
    for (int i = 0; i < 4; ++i) Backups(tx).insert(a_backup("b" + std::to_string(i), i / 2));
  });
  const auto ids = [&](const BackupFilter& filter) {
    std::string text;
    for (const auto& backup : read([&](Transaction& tx) { return Backups(tx).list(filter); })) text += backup.id + " ";
    return text;
  };
  EXPECT_EQ(ids({.service_id = "s1"}), "b3 b2 b1 b0 ");
  EXPECT_EQ(ids({.service_id = "s2"}), "");
  EXPECT_EQ(ids({.team_ids = std::vector<std::int64_t>{7}, .after_id = "b2", .limit = 1}), "b1 ");
  write([](Transaction& tx) { Services(tx).remove("s1"); });
  EXPECT_EQ(ids({}), "");
}

TEST_P(MetadataTest, AnOperationRunsThroughItsLife) {
  write([](Transaction& tx) { Operations(tx).enqueue(an_operation("o1")); });
  EXPECT_FALSE(claim(kFirst, -1)) << "it is not due yet";
  const auto claimed = claim(kFirst, 1);
  ASSERT_TRUE(claimed);
  EXPECT_EQ(claimed->state, OperationState::kRunning);
  EXPECT_EQ(claimed->attempts, 1);
  EXPECT_EQ(claimed->lease_until, at(11));
  EXPECT_EQ(claimed->started_at, at(1));
  EXPECT_EQ(claimed->request.at("backupId"), "b1");
  EXPECT_EQ(claimed->secrets.at("secretKey").reveal(), "k");
  write([](Transaction& tx) {
    Operations operations(tx);
    operations.update_progress("o1", kOwner, "copy", 2, 5, {{"done", 10}});
    EXPECT_FALSE(operations.heartbeat("o1", kOwner, at(20)));
    EXPECT_EQ(operations.request_cancel("o1", at(2)), OperationState::kRunning);
    EXPECT_TRUE(operations.heartbeat("o1", kOwner, at(20)));
    operations.finish("o1", kOwner, OperationState::kCancelled, {}, {{"code", "cancelled"}}, at(3));
  });
  const auto ended = read([](Transaction& tx) { return Operations(tx).require("o1"); });
  EXPECT_EQ(ended.state, OperationState::kCancelled);
  EXPECT_EQ(ended.step, "copy");
  EXPECT_EQ(ended.step_number, 2);
  EXPECT_EQ(ended.progress.at("done"), 10);
  EXPECT_EQ(ended.error.at("code"), "cancelled");
  EXPECT_EQ(ended.finished_at, at(3));
  EXPECT_TRUE(ended.secrets.empty());
}

TEST_P(MetadataTest, ATerminalOperationDoesNotChange) {
  write([](Transaction& tx) { Operations(tx).enqueue(an_operation("o1")); });
  claim(kFirst, 1);
  write([](Transaction& tx) { Operations(tx).finish("o1", kOwner, OperationState::kSucceeded, {}, {}, at(2)); });
  const auto refused = [&](const std::function<void(Operations&)>& change) {
    EXPECT_EQ(code_of([&] {
                write([&](Transaction& tx) {
                  Operations operations(tx);
                  change(operations);
                });
              }),
              Code::kConflict);
  };
  refused([](Operations& o) { o.update_progress("o1", kOwner, "x", 1, 1, {}); });
  refused([](Operations& o) { o.heartbeat("o1", kOwner, at(30)); });
  refused([](Operations& o) { o.finish("o1", kOwner, OperationState::kFailed, {}, {}, at(3)); });
  refused([](Operations& o) { o.requeue("o1", kOwner, at(3), {}); });
  refused([](Operations& o) { o.request_cancel("o1", at(3)); });
  EXPECT_FALSE(claim(kFirst, 1000));
  EXPECT_EQ(write([](Transaction& tx) { return Operations(tx).requeue_abandoned(kOwner, at(5)); }), 0U);
  EXPECT_EQ(read([](Transaction& tx) { return Operations(tx).require("o1").state; }), OperationState::kSucceeded);
}

TEST_P(MetadataTest, ALostLeaseIsAnothers) {
  write([](Transaction& tx) { Operations(tx).enqueue(an_operation("o1")); });
  ASSERT_TRUE(claim(kFirst, 0));
  EXPECT_FALSE(claim(kSecond, 9));
  const auto again = claim(kSecond, 11);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->attempts, 2);
  EXPECT_EQ(again->started_at, at(0));
  EXPECT_EQ(
      code_of([&] {
        write([](Transaction& tx) { Operations(tx).finish("o1", kOwner, OperationState::kSucceeded, {}, {}, at(12)); });
      }),
      Code::kConflict);
}

TEST_P(MetadataTest, ALaneRunsOneAtATimeInOrder) {
  write([](Transaction& tx) {
    Operations(tx).enqueue(an_operation("o1", "s1"));
    Operations(tx).enqueue(an_operation("o2", "s1"));
    Operations(tx).enqueue(an_operation("o3", "s2"));
  });
  EXPECT_EQ(claim(kFirst, 0)->id, "o1");
  EXPECT_EQ(claim(kFirst, 0)->id, "o3");
  EXPECT_FALSE(claim(kFirst, 0));
  write([](Transaction& tx) { Operations(tx).requeue("o1", kOwner, at(50), {{"code", "timeout"}}); });
  EXPECT_FALSE(claim(kFirst, 1)) << "o2 must not overtake o1";
  EXPECT_EQ(claim(kFirst, 51)->id, "o1");
  write([](Transaction& tx) { Operations(tx).finish("o1", kOwner, OperationState::kSucceeded, {}, {}, at(52)); });
  EXPECT_EQ(claim(kFirst, 53)->id, "o2");
}

TEST_P(MetadataTest, AQueuedOperationIsCancelledAtOnce) {
  write([](Transaction& tx) { Operations(tx).enqueue(an_operation("o1")); });
  EXPECT_EQ(write([](Transaction& tx) { return Operations(tx).request_cancel("o1", at(1)); }),
            OperationState::kCancelled);
  EXPECT_FALSE(claim(kFirst, 2));
  EXPECT_EQ(write([](Transaction& tx) { return Operations(tx).prune(at(1)); }), 0U);
  EXPECT_EQ(write([](Transaction& tx) { return Operations(tx).prune(at(2)); }), 1U);
}

TEST_P(MetadataTest, AbandonedOperationsGoBackIntoTheQueue) {
  write([](Transaction& tx) {
    Operations(tx).enqueue(an_operation("o1"));
    Operations(tx).enqueue(an_operation("o2"));
  });
  claim(kFirst, 0);
  EXPECT_EQ(write([](Transaction& tx) { return Operations(tx).requeue_abandoned(kOwner, at(1)); }), 1U);
  EXPECT_EQ(claim(kFirst, 1)->id, "o1");
  const auto queued = read([](Transaction& tx) { return Operations(tx).list({.state = OperationState::kQueued}); });
  ASSERT_EQ(queued.size(), 1U);
  EXPECT_EQ(queued[0].id, "o2");
  EXPECT_EQ(read([](Transaction& tx) { return Operations(tx).list({.open_only = true, .limit = 1}).at(0).id; }), "o2");
}

TEST_P(MetadataTest, AClaimIsExclusive) {
  constexpr int kOperations = 40;
  write([](Transaction& tx) {
    for (int i = 0; i < kOperations; ++i) Operations(tx).enqueue(an_operation("o" + std::to_string(i)));
  });
  std::atomic<int> claims = 0;
  const auto work = [&](std::int64_t server) {
    while (claim(server, 1)) ++claims;
  };
  {
    const std::jthread first([&] { work(kFirst); });
    const std::jthread second([&] { work(kSecond); });
  }
  EXPECT_EQ(claims, kOperations);
  for (const auto& operation : read([](Transaction& tx) { return Operations(tx).list({}); })) {
    EXPECT_EQ(operation.attempts, 1) << operation.id;
  }
}

TEST_P(MetadataTest, EventsAreALog) {
  const auto append = [&](const std::string& id, const std::string& service, int second) {
    return write([&](Transaction& tx) {
      return Events(tx).append({.id = id,
                                .team_id = 7,
                                .service_id = service,
                                .name = "backup.stored",
                                .time = at(second),
                                .observed_at = at(second),
                                .severity = model::kSeverityWarning,
                                .body = "text",
                                .attributes = {{"a", "b"}}});
    });
  };
  const auto first = append("e1", "s1", 1);
  append("e2", "s2", 2);
  append("e3", "s1", 3);
  append("e4", "s1", 4);
  const auto recent = read([](Transaction& tx) { return Events(tx).recent("s1", 2); });
  ASSERT_EQ(recent.size(), 2U);
  EXPECT_EQ(recent[0].id, "e4");
  EXPECT_EQ(recent[1].id, "e3");
  EXPECT_EQ(recent[0].attributes.at("a"), "b");
  EXPECT_EQ(recent[0].severity, model::kSeverityWarning);
  EXPECT_EQ(recent[0].time, at(4));
  const auto after = read([&](Transaction& tx) { return Events(tx).list({.after_sequence = first, .limit = 2}); });
  ASSERT_EQ(after.size(), 2U);
  EXPECT_EQ(after[0].id, "e2");
  EXPECT_TRUE(read([](Transaction& tx) { return Events(tx).list({.min_severity = 17}); }).empty());
  EXPECT_EQ(read([](Transaction& tx) { return Events(tx).list({.since = at(3)}).size(); }), 2U);
  EXPECT_EQ(write([](Transaction& tx) { return Events(tx).prune(at(2), 1); }), 2U);
  EXPECT_EQ(read([](Transaction& tx) { return Events(tx).list({}).size(); }), 2U);
}

TEST_P(MetadataTest, DestinationsGoInAndOut) {
  const model::Destination own{.id = "d1",
                               .team_id = 7,
                               .name = "own",
                               .url = "s3://bucket/p",
                               .endpoint_url = "https://s3.example.org",
                               .region = "eu",
                               .access_key = core::Secret("AK"),
                               .secret_key = core::Secret("SK"),
                               .probe = {{"ok", true}},
                               .is_default = true,
                               .created_at = at(0)};
  auto shared = own;
  shared.id = "d0";
  shared.team_id = 0;
  write([&](Transaction& tx) {
    Destinations(tx).insert(shared);
    Destinations(tx).insert(own);
  });
  const auto found =
      read([](Transaction& tx) { return Destinations(tx).find_place(7, "s3://bucket/p", "https://s3.example.org"); });
  ASSERT_TRUE(found);
  EXPECT_EQ(found->id, "d1");
  EXPECT_EQ(found->secret_key.reveal(), "SK");
  EXPECT_EQ(found->probe, own.probe);
  EXPECT_EQ(read([](Transaction& tx) { return Destinations(tx).find_default(7)->id; }), "d1");
  EXPECT_EQ(read([](Transaction& tx) { return Destinations(tx).find_default(8)->id; }), "d0");
  EXPECT_EQ(read([](Transaction& tx) { return Destinations(tx).list(8).size(); }), 1U);
  auto newer = own;
  newer.id = "d2";
  write([&](Transaction& tx) { Destinations(tx).insert(newer); });
  EXPECT_EQ(read([](Transaction& tx) { return Destinations(tx).find_default(7)->id; }), "d2");
  write([](Transaction& tx) { Services(tx).insert(a_service("s1", "my-db")); });
  EXPECT_EQ(code_of([&] { write([](Transaction& tx) { Destinations(tx).remove("d1"); }); }), Code::kConflict);
  write([](Transaction& tx) { Destinations(tx).remove("d2"); });
  EXPECT_FALSE(read([](Transaction& tx) { return Destinations(tx).find("d2"); }));
}

TEST_P(MetadataTest, SettingsGoInAndOut) {
  write([](Transaction& tx) {
    Settings settings(tx);
    settings.put("k", "1");
    settings.put("k", "2");
    settings.put_secret("ca", core::Secret("private"));
  });
  EXPECT_EQ(read([](Transaction& tx) { return Settings(tx).get("k"); }), "2");
  EXPECT_EQ(read([](Transaction& tx) { return Settings(tx).get_secret("ca")->reveal(); }), "private");
  EXPECT_NE(read([](Transaction& tx) { return Settings(tx).get("ca"); }), "private");
  write([](Transaction& tx) { Settings(tx).remove("k"); });
  EXPECT_FALSE(read([](Transaction& tx) { return Settings(tx).get("k"); }));
}

}  // namespace
}  // namespace backstay::metadata
