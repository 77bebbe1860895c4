// How servers divide the services of a state, and what is left of one that is gone.
#include "metadata/servers.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "metadata/operations.h"
#include "metadata/services.h"
#include "metadata/teams.h"
#include "metadata/testing/temporary_database.h"

namespace backstay::metadata {
namespace {

core::Timestamp at(int second) { return core::parse_time("2026-04-10T12:00:00Z") + std::chrono::seconds(second); }

class ServersTest : public ::testing::TestWithParam<testing::Store> {
 protected:
  template <typename Body>
  auto write(Body&& body) {
    return temporary_.database().write(std::forward<Body>(body));
  }
  void SetUp() override {
    write([](Transaction& tx) { Teams(tx).insert({.id = 7, .name = "Seven", .slug = "seven", .created_at = at(0)}); });
  }
  std::int64_t enter(const std::string& id) {
    return write([&](Transaction& tx) { return Servers(tx).enter(id, at(0)); });
  }
  void add_services(int count) {
    write([&](Transaction& tx) {
      for (int i = 0; i < count; ++i) {
        model::Service service;
        service.id = "s" + std::to_string(services_++);
        service.team_id = 7;
        service.name = service.id;
        service.created_at = service.updated_at = at(services_);
        Services(tx).insert(service);
      }
    });
  }
  void enqueue(const std::string& id, const std::string& service) {
    model::Operation operation;
    operation.id = id;
    operation.kind = "backup";
    operation.service_id = operation.lane = service;
    operation.created_at = operation.not_before = at(0);
    write([&](Transaction& tx) { Operations(tx).enqueue(operation); });
  }
  std::string claim(std::int64_t server) {
    return write([&](Transaction& tx) {
      const auto claimed = Operations(tx).claim({.server = server, .now = at(1), .lease = std::chrono::hours(1)});
      return claimed ? claimed->id : "";
    });
  }
  std::size_t take(std::int64_t server) {
    return write([&](Transaction& tx) { return Servers(tx).take_services(server); });
  }
  std::size_t driven(std::int64_t server) {
    return write([&](Transaction& tx) { return Services(tx).list_changes(server, 0).ids.size(); });
  }
  bool retire(std::int64_t server, std::optional<std::int64_t> beats = {}) {
    return write([&](Transaction& tx) { return Servers(tx).retire(server, beats, at(1)); });
  }

  testing::TemporaryDatabase temporary_{GetParam()};
  int services_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Stores, ServersTest, ::testing::Values(testing::Store::kSqlite, testing::Store::kPostgresql),
                         [](const auto& test) { return testing::name_of(test.param); });

TEST_P(ServersTest, EpochsGrowAndTheSameServerEntersOnce) {
  const auto before = enter("a");
  const auto other = enter("b");
  const auto again = enter("a");
  EXPECT_LT(before, other);
  EXPECT_LT(other, again);
  const auto servers = write([](Transaction& tx) { return Servers(tx).list(); });
  ASSERT_EQ(servers.size(), 2U);
  EXPECT_EQ(servers[0].epoch, other);
  EXPECT_EQ(servers[1].epoch, again);
  EXPECT_FALSE(write([&](Transaction& tx) { return Servers(tx).beat(before); })) << "its lease is another's";
}

TEST_P(ServersTest, OneServerTakesAllTwoShareThem) {
  const auto first = enter("a");
  add_services(5);
  EXPECT_EQ(take(first), 5U);
  const auto second = enter("b");
  EXPECT_EQ(take(second), 0U) << "none is free";
  EXPECT_EQ(write([&](Transaction& tx) { return Servers(tx).excess(first); }), 2U);
  for (const auto& id : write([&](Transaction& tx) { return Servers(tx).idle_services(first, 2); })) {
    EXPECT_TRUE(write([&](Transaction& tx) { return Servers(tx).release(id, first); }));
  }
  EXPECT_EQ(take(first), 0U) << "it has its share";
  EXPECT_EQ(take(second), 2U);
  EXPECT_EQ(write([&](Transaction& tx) { return Servers(tx).excess(first) + Servers(tx).excess(second); }), 0U);
}

TEST_P(ServersTest, WhoIsRetiredHoldsNothing) {
  const auto first = enter("a");
  const auto second = enter("b");
  add_services(2);
  EXPECT_EQ(take(first), 1U);
  enqueue("o0", "s0");
  EXPECT_EQ(claim(first), "o0");
  EXPECT_EQ(claim(second), "");
  EXPECT_EQ(driven(second), 1U);
  EXPECT_TRUE(retire(first));
  EXPECT_EQ(take(second), 1U);
  EXPECT_EQ(claim(second), "o0");
  const auto refusal = [&](const std::function<void(Transaction&)>& act) {
    try {
      write(act);
    } catch (const core::Error& error) {
      return error.code();
    }
    return core::Code::kInternal;
  };
  EXPECT_EQ(refusal([&](Transaction& tx) { Operations(tx).heartbeat("o0", lease_owner(first), at(9)); }),
            core::Code::kConflict);
  EXPECT_EQ(claim(first), "") << "who is no member gets nothing";
}

TEST_P(ServersTest, WhatARetiredServerWritesIsRefused) {
  const auto first = enter("a");
  const auto fenced = temporary_.database().fenced(first);
  const auto rename = [&](const std::string& name) {
    fenced->write([&](Transaction& tx) {
      auto team = *Teams(tx).find(7);
      team.name = name;
      Teams(tx).update(team);
    });
  };
  rename("before");
  EXPECT_TRUE(retire(first));
  try {
    rename("after");
    ADD_FAILURE() << "it was let through";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::Code::kConflict);
  }
  EXPECT_EQ(fenced->read([](Transaction& tx) { return Teams(tx).find(7)->name; }), "before");
}

TEST_P(ServersTest, WhoBeatMeanwhileIsNotRetired) {
  const auto server = enter("a");
  const auto seen = write([](Transaction& tx) { return Servers(tx).list().at(0).beats; });
  EXPECT_TRUE(write([&](Transaction& tx) { return Servers(tx).beat(server); }));
  EXPECT_FALSE(retire(server, seen));
  EXPECT_TRUE(retire(server, seen + 1));
  EXPECT_FALSE(retire(server));
}

TEST_P(ServersTest, OperationsGoToTheDriverOnly) {
  const auto first = enter("a");
  const auto second = enter("b");
  add_services(2);
  EXPECT_EQ(take(first), 1U);
  enqueue("o1", "s0");
  EXPECT_EQ(claim(second), "") << "s0 is the first server's";
  EXPECT_EQ(driven(second), 1U) << "asking for work takes what is free";
  enqueue("o2", "s1");
  EXPECT_EQ(claim(second), "o2");
  EXPECT_EQ(claim(first), "o1");
}

TEST_P(ServersTest, AServiceWithWorkIsNotReleased) {
  const auto server = enter("a");
  add_services(1);
  enqueue("o1", "s0");
  EXPECT_EQ(claim(server), "o1") << "asking for work takes what is free";
  EXPECT_TRUE(write([&](Transaction& tx) { return Servers(tx).idle_services(server, 9); }).empty());
  EXPECT_FALSE(write([&](Transaction& tx) { return Servers(tx).release("s0", server); }));
  write([&](Transaction& tx) {
    Operations(tx).finish("o1", lease_owner(server), model::OperationState::kSucceeded, {}, {}, at(2));
  });
  EXPECT_TRUE(write([&](Transaction& tx) { return Servers(tx).release("s0", server); }));
}

TEST_P(ServersTest, ChangesAreToldOnceToTheDriver) {
  const auto server = enter("a");
  add_services(3);
  take(server);
  const auto changes = [&](std::int64_t since) {
    return write([&](Transaction& tx) { return Services(tx).list_changes(server, since); });
  };
  const auto all = changes(0);
  EXPECT_EQ(all.ids.size(), 3U);
  EXPECT_TRUE(changes(all.until).ids.empty());
  write([](Transaction& tx) { Services(tx).update_status("s1", {.state = model::ServiceState::kUnknown}, at(5)); });
  const auto status = changes(all.until);
  EXPECT_EQ(status.ids, std::vector<std::string>{"s1"});
  write([](Transaction& tx) { Services(tx).update_desired(Services(tx).require("s2")); });
  EXPECT_EQ(changes(status.until).ids, std::vector<std::string>{"s2"});
  EXPECT_EQ(write([](Transaction& tx) { return Services(tx).count_states(); }),
            (std::map<std::string, std::int64_t>{{"creating", 2}, {"unknown", 1}}));
}

}  // namespace
}  // namespace backstay::metadata
