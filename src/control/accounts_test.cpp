#include "control/accounts.h"

#include <gtest/gtest.h>

#include "control/client_access.h"
#include "control/housekeeping.h"
#include "control/password.h"
#include "control/testing/control_world.h"
#include "core/error.h"
#include "metadata/teams.h"

namespace backstay::control {
namespace {

using core::Code;
using core::Secret;
using model::AccountRole;
using testing::ControlWorld;

constexpr std::uint32_t kFewRounds = 10;

template <typename Call>
std::optional<Code> refusal(const Call& call) {
  try {
    call();
  } catch (const core::Error& error) {
    return error.code();
  }
  return std::nullopt;
}

class AccountsTest : public ::testing::Test {
 protected:
  static CreateAccountRequest request(const std::string& email, AccountRole role = AccountRole::kUser) {
    CreateAccountRequest wanted;
    wanted.email = email;
    wanted.password = Secret("correct horse");
    wanted.role = role;
    return wanted;
  }
  Session logged_in(const std::string& email) { return accounts_.login(email, Secret("correct horse"), "192.0.2.1"); }
  Principal principal(const CreatedToken& made) { return world_.commands->authenticate(made.text.reveal()).value(); }
  bool is_known(const CreatedToken& made) { return world_.commands->authenticate(made.text.reveal()).has_value(); }
  /// A user of the world's team, logged in.
  Principal user() {
    accounts_.register_first(request("first@example.com"), &world_.admin);
    auto wanted = request("user@example.com");
    wanted.team_ids = {world_.team_id};
    accounts_.create(wanted, world_.admin);
    return principal(logged_in("user@example.com").token);
  }

  ControlWorld world_;
  Accounts accounts_{{*world_.database, world_.clock, world_.random}, {.password_rounds = kFewRounds}};
};

TEST_F(AccountsTest, TheFirstAccountTakesTheOperator) {
  EXPECT_FALSE(accounts_.is_set_up());
  EXPECT_EQ(refusal([&] { accounts_.register_first(request("a@example.com"), nullptr); }), Code::kForbidden);
  Principal reader = world_.admin;
  reader.admin = false;
  EXPECT_EQ(refusal([&] { accounts_.register_first(request("a@example.com"), &reader); }), Code::kForbidden);
  EXPECT_FALSE(accounts_.is_set_up());
  const auto session = accounts_.register_first(request(" A@Example.com "), &world_.admin);
  EXPECT_EQ(session.account.email, "a@example.com");
  EXPECT_EQ(session.account.role, AccountRole::kSuperadmin);
  EXPECT_TRUE(principal(session.token).admin);
  EXPECT_TRUE(accounts_.is_set_up());
  EXPECT_EQ(refusal([&] { accounts_.register_first(request("b@example.com"), &world_.admin); }), Code::kConflict);
}

TEST_F(AccountsTest, AnOpenServerTakesWhoeverComesFirstAndNobodyElse) {
  Accounts open({*world_.database, world_.clock, world_.random},
                {.open_registration = true, .password_rounds = kFewRounds});
  EXPECT_EQ(open.register_first(request("a@example.com"), nullptr).account.role, AccountRole::kSuperadmin);
  EXPECT_EQ(refusal([&] { open.register_first(request("b@example.com"), nullptr); }), Code::kConflict);
}

TEST_F(AccountsTest, BadFieldsAreNamedTogether) {
  auto wanted = request("nobody");
  wanted.password = Secret("short");
  try {
    accounts_.register_first(wanted, &world_.admin);
    FAIL() << "it was taken";
  } catch (const core::Error& error) {
    ASSERT_EQ(error.fields().size(), 2u);
    EXPECT_EQ(error.fields()[0].pointer, "/email");
    EXPECT_EQ(error.fields()[1].pointer, "/password");
  }
  EXPECT_FALSE(accounts_.is_set_up());
}

TEST_F(AccountsTest, ALoginIsASessionThatEnds) {
  user();
  const auto session = logged_in("USER@example.com");
  const auto caller = principal(session.token);
  EXPECT_TRUE(caller.is_session);
  EXPECT_TRUE(caller.may_write && caller.may_delete);
  EXPECT_FALSE(caller.admin);
  EXPECT_TRUE(caller.sees_team(world_.team_id));
  EXPECT_FALSE(caller.sees_team(world_.team_id + 1));
  EXPECT_EQ(accounts_.me(caller).email, "user@example.com");
  world_.clock.advance(std::chrono::hours(12));
  EXPECT_FALSE(is_known(session.token));
}

TEST_F(AccountsTest, LoggingOutEndsOneSession) {
  user();
  const auto one = logged_in("user@example.com");
  const auto other = logged_in("user@example.com");
  accounts_.logout(principal(one.token));
  EXPECT_FALSE(is_known(one.token));
  EXPECT_TRUE(is_known(other.token));
  EXPECT_EQ(refusal([&] { accounts_.logout(world_.admin); }), Code::kInvalidArgument);
}

TEST_F(AccountsTest, WrongPasswordsTellNothingAndAreCounted) {
  user();
  const auto attempt = [&](const std::string& email, const std::string& address) {
    return refusal([&] { accounts_.login(email, Secret("wrong horse"), address); });
  };
  EXPECT_EQ(attempt("nobody@example.com", "192.0.2.1"), Code::kUnauthenticated);
  for (int i = 0; i < LoginAttempts::kMostOfAccountFromAddress; ++i) {
    EXPECT_EQ(attempt("user@example.com", "192.0.2.1"), Code::kUnauthenticated);
  }
  EXPECT_EQ(refusal([&] { logged_in("user@example.com"); }), Code::kRateLimited) << "even with the right one";
  EXPECT_EQ(refusal([&] { accounts_.login("user@example.com", Secret("correct horse"), "192.0.2.2"); }), std::nullopt)
      << "its owner is elsewhere";
  world_.clock.advance(LoginAttempts::kWindow);
  EXPECT_EQ(refusal([&] { logged_in("user@example.com"); }), std::nullopt);
}

TEST_F(AccountsTest, FromManyAddressesTogetherThereAreMoreAttemptsButNotWithoutEnd) {
  user();
  for (int i = 0; i < LoginAttempts::kMostOfAccount; ++i) {
    EXPECT_EQ(refusal([&] { accounts_.login("user@example.com", Secret("wrong"), fmt::format("192.0.2.{}", i)); }),
              Code::kUnauthenticated);
  }
  EXPECT_EQ(refusal([&] { accounts_.login("user@example.com", Secret("correct horse"), "198.51.100.1"); }),
            Code::kRateLimited);
}

TEST_F(AccountsTest, AnAddressHasOnlySoManyAttempts) {
  for (int i = 0; i < LoginAttempts::kMostOfAddress; ++i) {
    EXPECT_EQ(refusal([&] { logged_in(fmt::format("u{}@example.com", i)); }), Code::kUnauthenticated);
  }
  EXPECT_EQ(refusal([&] { logged_in("more@example.com"); }), Code::kRateLimited);
}

TEST_F(AccountsTest, ANewPasswordEndsTheOtherSessions) {
  const auto caller = user();
  const auto other = logged_in("user@example.com");
  EXPECT_EQ(refusal([&] { accounts_.change_password(Secret("wrong"), Secret("battery staple"), caller, "a"); }),
            Code::kInvalidArgument);
  EXPECT_TRUE(is_known(other.token));
  accounts_.change_password(Secret("correct horse"), Secret("battery staple"), caller, "a");
  EXPECT_FALSE(is_known(other.token));
  EXPECT_EQ(accounts_.me(caller).email, "user@example.com") << "whoever changed it goes on";
  EXPECT_EQ(refusal([&] { logged_in("user@example.com"); }), Code::kUnauthenticated);
  EXPECT_EQ(refusal([&] { accounts_.login("user@example.com", Secret("battery staple"), "a"); }), std::nullopt);
}

TEST_F(AccountsTest, KeysOfAPersonAreTheirsAndAllowNoMore) {
  const auto person = user();
  EXPECT_EQ(
      refusal([&] { world_.commands->create_token({"all", {"admin"}, false, {world_.team_id}, {}, {}}, person); }),
      Code::kInvalidArgument);
  EXPECT_EQ(refusal([&] { world_.commands->create_token({"all", {"read"}, true, {}, {}, {}}, person); }),
            Code::kInvalidArgument);
  const auto key = world_.commands->create_token({"ci", {"backups:write"}, false, {world_.team_id}, {}, {}}, person);
  const auto keys = world_.queries->tokens(person);
  ASSERT_EQ(keys.size(), 1u);
  EXPECT_EQ(keys[0].id, key.token.id);
  EXPECT_EQ(refusal([&] { world_.queries->tokens(principal(key)); }), Code::kForbidden) << "a key lists no keys";
  EXPECT_EQ(refusal([&] {
              world_.commands->create_token({"x", {"backups:read"}, false, {world_.team_id}, {}, {}}, principal(key));
            }),
            Code::kForbidden);
  EXPECT_EQ(refusal([&] { accounts_.change_me({}, principal(key)); }), Code::kForbidden);
  EXPECT_EQ(refusal([&] {
              accounts_.change_password(Secret("correct horse"), Secret("battery staple"), principal(key), "a");
            }),
            Code::kForbidden);
  const auto foreign = world_.commands->create_token({"op", {"read"}, true, {}, {}, {}}, world_.admin);
  EXPECT_EQ(refusal([&] { world_.commands->delete_token(foreign.token.id, person); }), Code::kNotFound);
  world_.commands->delete_token(key.token.id, person);
  EXPECT_FALSE(is_known(key));
}

TEST_F(AccountsTest, ALesserRoleHoldsForKeysThatExist) {
  const auto person = user();
  const auto key = world_.commands->create_token({"ci", {"write"}, false, {world_.team_id}, {}, {}}, person);
  EXPECT_TRUE(principal(key).may_write);
  ChangeAccountRequest lesser;
  lesser.role = AccountRole::kViewer;
  accounts_.change(person.account_id, lesser, world_.admin);
  EXPECT_FALSE(principal(key).may_write);
  EXPECT_TRUE(principal(key).may_read);
  EXPECT_FALSE(principal(key).may("backups:recover"));
  ChangeAccountRequest nowhere;
  nowhere.team_ids = std::vector<std::int64_t>{};
  accounts_.change(person.account_id, nowhere, world_.admin);
  EXPECT_FALSE(principal(key).sees_team(world_.team_id));
  accounts_.remove(person.account_id, world_.admin);
  EXPECT_FALSE(is_known(key));
}

TEST_F(AccountsTest, TheLastSuperadminStays) {
  const auto first = accounts_.register_first(request("a@example.com"), &world_.admin);
  ChangeAccountRequest lesser;
  lesser.role = AccountRole::kUser;
  EXPECT_EQ(refusal([&] { accounts_.change(first.account.id, lesser, world_.admin); }), Code::kConflict);
  EXPECT_EQ(refusal([&] { accounts_.remove(first.account.id, world_.admin); }), Code::kConflict);
  accounts_.create(request("b@example.com", AccountRole::kAdmin), world_.admin);
  const auto admin = principal(logged_in("b@example.com").token);
  EXPECT_EQ(refusal([&] { accounts_.change(first.account.id, {}, admin); }), Code::kForbidden);
  EXPECT_EQ(refusal([&] { accounts_.create(request("c@example.com", AccountRole::kSuperadmin), admin); }),
            Code::kForbidden);
}

TEST_F(AccountsTest, NobodyHasPowerOverTheKeysOfThoseWithMore) {
  const auto first = principal(accounts_.register_first(request("a@example.com"), &world_.admin).token);
  accounts_.create(request("b@example.com", AccountRole::kAdmin), world_.admin);
  accounts_.create(request("c@example.com", AccountRole::kAdmin), world_.admin);
  const auto admin = principal(logged_in("b@example.com").token);
  const auto other = principal(logged_in("c@example.com").token);
  const auto make = [&](const Principal& maker) {
    return world_.commands->create_token({"key", {"admin"}, true, {}, {}, {}}, maker).token.id;
  };
  const auto rotates = [&](const std::string& id, const Principal& caller) {
    return refusal([&] { world_.commands->rotate_token(id, std::chrono::hours(1), "", caller); });
  };
  const auto deletes = [&](const std::string& id, const Principal& caller) {
    return refusal([&] { world_.commands->delete_token(id, caller); });
  };
  const auto operators = make(world_.admin);
  const auto superadmins = make(first);
  const auto admins = make(admin);
  for (const auto& id : {operators, superadmins}) {
    EXPECT_EQ(rotates(id, admin), Code::kForbidden);
    EXPECT_EQ(deletes(id, admin), Code::kForbidden);
    EXPECT_EQ(refusal([&] { world_.commands->delete_token(id, admin, Effect::kDryRun); }), Code::kForbidden);
  }
  EXPECT_EQ(rotates(operators, first), Code::kForbidden) << "it is nobody's that has an account";
  for (const auto& caller : {admin, other, first, world_.admin}) EXPECT_EQ(rotates(admins, caller), std::nullopt);
  EXPECT_EQ(rotates(superadmins, first), std::nullopt);
  for (const auto& id : {superadmins, admins}) EXPECT_EQ(deletes(id, world_.admin), std::nullopt);
  EXPECT_EQ(deletes(operators, first), std::nullopt) << "a superadmin ends a key that is in wrong hands";
}

TEST(PasswordTest, IsKnownByItsHashAlone) {
  core::SystemRandom random;
  const Secret password("correct horse");
  const auto hash = hash_password(password, 7, random);
  EXPECT_EQ(hash.find("horse"), std::string::npos);
  EXPECT_NE(hash, hash_password(password, 7, random)) << "each has a salt of its own";
  EXPECT_TRUE(matches_password(password, hash));
  EXPECT_FALSE(matches_password(Secret("correct hors"), hash));
  EXPECT_FALSE(matches_password(password, ""));
  EXPECT_FALSE(matches_password(password, "pbkdf2-sha256:0:00:00"));
}

class ClientAccessTest : public ::testing::Test {
 protected:
  AccessRequest request(std::vector<std::string> scopes) const {
    AccessRequest wanted;
    wanted.client_id = key_.token.id;
    wanted.client_secret = key_.text;
    wanted.scopes = std::move(scopes);
    return wanted;
  }
  std::optional<Principal> principal(const CreatedToken& made) {
    return world_.commands->authenticate(made.text.reveal());
  }

  ControlWorld world_;
  CreatedToken key_ = world_.commands->create_token(
      {"client", {"read", "backups:write"}, false, {world_.team_id}, {}, {}}, world_.admin);
  ClientAccess access_{*world_.database, world_.clock, world_.random};
};

TEST_F(ClientAccessTest, AllowsWhatWasAskedForAndNoMore) {
  auto wanted = request({"backups:read"});
  wanted.team_slugs = {world_.queries->team(world_.team_id, world_.admin).slug};
  wanted.grants = {"gcc.deployments.read"};
  const auto caller = principal(access_.grant(wanted)).value();
  EXPECT_TRUE(caller.may("backups:read"));
  EXPECT_FALSE(caller.may("backups:write"));
  EXPECT_FALSE(caller.may("services:read"));
  EXPECT_TRUE(caller.sees_team(world_.team_id));
  EXPECT_EQ(caller.grants, wanted.grants);
}

TEST_F(ClientAccessTest, RefusesWhatTheKeyDoesNotAllow) {
  EXPECT_EQ(refusal([&] { access_.grant(request({"backups:delete"})); }), Code::kForbidden);
  auto elsewhere = request({"backups:read"});
  elsewhere.team_slugs = {world_.commands->create_team({"others", {}}, world_.admin).slug};
  EXPECT_EQ(refusal([&] { access_.grant(elsewhere); }), Code::kForbidden);
  auto wrong = request({"backups:read"});
  wrong.client_secret = Secret("bst_wrong");
  EXPECT_EQ(refusal([&] { access_.grant(wrong); }), Code::kUnauthenticated);
  wrong = request({"backups:read"});
  wrong.client_id = world_.random.uuid();
  EXPECT_EQ(refusal([&] { access_.grant(wrong); }), Code::kUnauthenticated);
}

TEST_F(ClientAccessTest, TheTextBeforeARotationIsTakenUntilItEnds) {
  auto wanted = request({"backups:read"});
  const auto rotated = world_.commands->rotate_token(key_.token.id, std::chrono::minutes(30), "", world_.admin);
  const auto early = access_.grant(wanted);
  EXPECT_EQ(early.token.key_id, key_.token.id);
  EXPECT_TRUE(principal(early));
  wanted.client_secret = early.text;
  EXPECT_EQ(refusal([&] { access_.grant(wanted); }), Code::kUnauthenticated) << "an access token is no key";
  world_.clock.advance(std::chrono::minutes(30));
  EXPECT_FALSE(principal(early)) << "what an old text opened ends with it";
  EXPECT_EQ(refusal([&] { access_.grant(request({"backups:read"})); }), Code::kUnauthenticated);
  wanted.client_secret = rotated.text;
  EXPECT_EQ(refusal([&] { access_.grant(wanted); }), std::nullopt);
}

TEST_F(ClientAccessTest, EndsAfterAnHourOrWithTheKey) {
  const auto early = access_.grant(request({"backups:read"}));
  world_.clock.advance(ClientAccess::kLength);
  EXPECT_FALSE(principal(early));
  const auto late = access_.grant(request({"backups:read"}));
  EXPECT_TRUE(principal(late));
  auto again = request({"backups:read"});
  again.client_id = late.token.id;
  again.client_secret = late.text;
  EXPECT_EQ(refusal([&] { access_.grant(again); }), Code::kUnauthenticated) << "an access token is no key";
  Housekeeping(*world_.database, world_.clock, std::chrono::hours(24)).tick();
  const auto kept = [&](const CreatedToken& made) {
    return world_.database->read([&](auto& tx) { return metadata::Tokens(tx).find(made.token.id).has_value(); });
  };
  EXPECT_FALSE(kept(early)) << "what has ended is removed";
  EXPECT_TRUE(kept(late));
  world_.commands->delete_token(key_.token.id, world_.admin);
  EXPECT_FALSE(principal(late));
}

TEST_F(AccountsTest, ASessionIsRefreshedWithATextThatIsGoodOnce) {
  user();
  const auto begun = accounts_.login("user@example.com", Secret("correct horse"), "192.0.2.1", Refreshable::kYes);
  ASSERT_TRUE(begun.refresh);
  EXPECT_FALSE(world_.commands->authenticate(begun.refresh->reveal())) << "it opens nothing";
  EXPECT_EQ(refusal([&] { accounts_.refresh(begun.token.text, "a"); }), Code::kUnauthenticated);
  world_.clock.advance(std::chrono::hours(24 * 20));
  EXPECT_FALSE(is_known(begun.token));
  const auto next = accounts_.refresh(*begun.refresh, "a");
  EXPECT_TRUE(is_known(next.token));
  EXPECT_EQ(next.account.email, "user@example.com");
  world_.clock.advance(std::chrono::hours(24 * 20));
  const auto third = accounts_.refresh(*next.refresh, "a");
  world_.clock.advance(std::chrono::hours(24 * 30));
  EXPECT_EQ(refusal([&] { accounts_.refresh(*third.refresh, "a"); }), Code::kUnauthenticated) << "too late";
}

TEST_F(AccountsTest, WhatEndsASessionEndsWhatRefreshesIt) {
  const auto caller = user();
  const auto login = [&] {
    return accounts_.login("user@example.com", Secret("correct horse"), "192.0.2.1", Refreshable::kYes);
  };
  const auto one = login();
  const auto other = login();
  accounts_.logout(principal(one.token));
  EXPECT_EQ(refusal([&] { accounts_.refresh(*one.refresh, "a"); }), Code::kUnauthenticated);
  const auto after = accounts_.refresh(*other.refresh, "a");
  accounts_.change_password(Secret("correct horse"), Secret("battery staple"), caller, "a");
  EXPECT_EQ(refusal([&] { accounts_.refresh(*after.refresh, "a"); }), Code::kUnauthenticated);
  EXPECT_FALSE(is_known(after.token));
}

TEST_F(AccountsTest, ANewPasswordEndsWhatRefreshesTheCallersSessionToo) {
  user();
  const auto mine = accounts_.login("user@example.com", Secret("correct horse"), "192.0.2.1", Refreshable::kYes);
  const auto thiefs = accounts_.refresh(*mine.refresh, "b");
  accounts_.change_password(Secret("correct horse"), Secret("battery staple"), principal(mine.token), "a");
  EXPECT_TRUE(is_known(mine.token)) << "whoever changed it goes on";
  EXPECT_FALSE(is_known(thiefs.token));
  EXPECT_EQ(refusal([&] { accounts_.refresh(*thiefs.refresh, "b"); }), Code::kUnauthenticated);
}

TEST_F(AccountsTest, ATextThatRefreshedBeforeEndsAllThatCameOfIt) {
  user();
  const auto begun = accounts_.login("user@example.com", Secret("correct horse"), "192.0.2.1", Refreshable::kYes);
  const auto other = accounts_.login("user@example.com", Secret("correct horse"), "192.0.2.1", Refreshable::kYes);
  const auto second = accounts_.refresh(*begun.refresh, "b");
  const auto third = accounts_.refresh(*second.refresh, "b");
  EXPECT_FALSE(world_.commands->authenticate(begun.refresh->reveal())) << "it opens nothing";
  EXPECT_EQ(refusal([&] { accounts_.refresh(*begun.refresh, "a"); }), Code::kUnauthenticated);
  EXPECT_EQ(refusal([&] { accounts_.refresh(*third.refresh, "b"); }), Code::kUnauthenticated);
  EXPECT_FALSE(is_known(third.token));
  EXPECT_FALSE(is_known(begun.token));
  EXPECT_TRUE(is_known(accounts_.refresh(*other.refresh, "a").token)) << "another login goes on";
}

}  // namespace
}  // namespace backstay::control
