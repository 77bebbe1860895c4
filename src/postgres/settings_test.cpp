#include "postgres/settings.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "postgres/server_config.h"
#include "postgres/testing/test_cluster.h"

namespace backstay::postgres {
namespace {

SettingValues accepted(const std::string& text) { return validate_settings(core::parse_json(text).as_object()); }

std::vector<core::FieldError> refused(const std::string& text) {
  try {
    accepted(text);
  } catch (const core::Error& e) {
    EXPECT_EQ(e.code(), core::Code::kInvalidArgument);
    return e.fields();
  }
  ADD_FAILURE() << text << " was accepted";
  return {};
}

TEST(SettingsTest, TakesTextsNumbersAndBooleans) {
  EXPECT_EQ(accepted(R"({"max_connections": "100"})"), (SettingValues{{"max_connections", "100"}}));
  EXPECT_EQ(accepted(R"({"max_connections": 100})"), (SettingValues{{"max_connections", "100"}}));
  EXPECT_EQ(accepted(R"({"jit": false, "autovacuum": "On", "log_connections": 1})"),
            (SettingValues{{"jit", "off"}, {"autovacuum", "on"}, {"log_connections", "on"}}));
  EXPECT_EQ(accepted(R"({"random_page_cost": 1.1, "seq_page_cost": "2"})"),
            (SettingValues{{"random_page_cost", "1.1"}, {"seq_page_cost", "2"}}));
  EXPECT_TRUE(accepted("{}").empty());
}

TEST(SettingsTest, UnderstandsUnits) {
  EXPECT_EQ(accepted(R"({"work_mem": "64MB"})").at("work_mem"), "65536kB");
  EXPECT_EQ(accepted(R"({"work_mem": 64})").at("work_mem"), "64kB");
  EXPECT_EQ(accepted(R"({"statement_timeout": "1.5 min"})").at("statement_timeout"), "90000ms");
  EXPECT_EQ(accepted(R"({"checkpoint_timeout": "1h"})").at("checkpoint_timeout"), "3600s");
  EXPECT_EQ(accepted(R"({"log_min_duration_statement": -1})").at("log_min_duration_statement"), "-1");
  EXPECT_EQ(accepted(R"({"default_transaction_isolation": "Repeatable Read"})").at("default_transaction_isolation"),
            "repeatable read");
}

TEST(SettingsTest, RefusesWithAPointerForEach) {
  const auto fields = refused(R"({"max_connections": "many", "work_mem": "64 s", "fsync": "off", "jit": "on"})");
  ASSERT_EQ(fields.size(), 3u);
  EXPECT_EQ(fields[0].pointer, "/config/max_connections");
  EXPECT_EQ(fields[0].message, "'many' is not a whole number from 10 to 10000");
  EXPECT_EQ(fields[1].pointer, "/config/work_mem");
  EXPECT_EQ(fields[2].pointer, "/config/fsync");
}

TEST(SettingsTest, RefusesValuesOutOfRangeOrOfAnotherForm) {
  for (const auto* text :
       {R"({"max_connections": 9})", R"({"max_connections": 10001})", R"({"max_connections": 12.5})",
        R"({"max_connections": ""})", R"({"max_connections": "100; DROP"})", R"({"max_connections": null})",
        R"({"max_connections": [1]})", R"({"max_connections": "0x10"})", R"({"max_connections": "1e999"})",
        R"({"jit": "maybe"})", R"({"log_statement": "some"})", R"({"timezone": "Mars/Olympus"})",
        R"({"timezone": "../../etc/passwd"})", R"({"timezone": "/etc/passwd"})", R"({"timezone": ""})",
        R"({"checkpoint_completion_target": 1.5})", R"({"work_mem": "-1MB"})", R"({"work_mem": "nan"})"}) {
    EXPECT_EQ(refused(text).size(), 1u) << text;
  }
}

TEST(SettingsTest, LetsNothingThroughThatMatters) {
  for (const auto* name : {"archive_command",
                           "archive_mode",
                           "archive_library",
                           "shared_preload_libraries",
                           "session_preload_libraries",
                           "local_preload_libraries",
                           "fsync",
                           "full_page_writes",
                           "wal_level",
                           "restore_command",
                           "ssl_key_file",
                           "data_directory",
                           "hba_file",
                           "log_directory",
                           "max_slot_wal_keep_size",
                           "primary_conninfo",
                           "port",
                           "listen_addresses",
                           "dynamic_library_path",
                           "unix_socket_directories",
                           "password_encryption",
                           "ssl_passphrase_command",
                           "wal_sync_method",
                           "data_sync_retry",
                           "recovery_target_time",
                           "jit_provider"}) {
    EXPECT_FALSE(is_user_setting(name)) << name;
  }
}

TEST(SettingsTest, KnowsWhatNeedsARestart) {
  const SettingValues none;
  EXPECT_EQ(compare_settings(none, none), SettingsChange::kNone);
  EXPECT_EQ(compare_settings(none, {{"work_mem", "64kB"}}), SettingsChange::kReload);
  EXPECT_EQ(compare_settings({{"max_connections", "10"}}, {{"work_mem", "64kB"}}), SettingsChange::kRestart);
  EXPECT_EQ(compare_settings({{"max_connections", "10"}}, {{"max_connections", "10"}}), SettingsChange::kNone);
}

TEST(SettingsTest, AgreesWithTheServer) {
  testing::TestCluster cluster;
  const auto rows = cluster.query("SELECT lower(name), vartype, coalesce(unit, ''), context FROM pg_settings");
  std::map<std::string, std::vector<std::string>> known;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    known[rows.text(i, 0)] = {rows.text(i, 1), rows.text(i, 2), rows.text(i, 3)};
  }
  const auto properties = settings_schema_properties();
  EXPECT_GT(properties.size(), 50u);
  for (const auto& [name, property] : properties) {
    const std::string key(name);
    ASSERT_TRUE(known.contains(key)) << key;
    const bool restart = compare_settings({}, {{key, "x"}}) == SettingsChange::kRestart;
    EXPECT_EQ(restart, known[key][2] == "postmaster") << key;
    EXPECT_NE(known[key][2], "internal") << key;
  }
}

TEST(SettingsTest, RendersWhatTheServerTakes) {
  testing::TestCluster cluster;
  const auto values = accepted(
      R"({"work_mem": "8MB", "timezone": "Europe/Berlin", "max_connections": 33, "autovacuum_vacuum_cost_delay": "1.5ms",
          "log_min_duration_statement": -1, "default_transaction_isolation": "serializable", "max_wal_size": "2GB",
          "autovacuum_work_mem": "-1", "statement_timeout": "1h", "effective_io_concurrency": 10})");
  OpenServerConfig config;
  config.listen_addresses = "";
  config.resources.memory_bytes = 128u << 20;
  config.user = values;
  cluster.stop();
  os::RealFileSystem files;
  write_server_config(files, cluster.paths(), config, cluster.identity());
  cluster.start();
  auto connection = cluster.connect();
  EXPECT_EQ(connection.query("SHOW work_mem").text(0, 0), "8MB");
  EXPECT_EQ(connection.query("SHOW max_connections").text(0, 0), "33");
  EXPECT_EQ(connection.query("SHOW statement_timeout").text(0, 0), "1h");
  EXPECT_EQ(connection.query("SHOW autovacuum_vacuum_cost_delay").text(0, 0), "1500us");
  EXPECT_EQ(connection.query("SELECT count(*) FROM pg_file_settings WHERE error IS NOT NULL").text(0, 0), "0");
}

TEST(ServerConfigTest, QuotesWhatCouldBreakOut) {
  ClosedServerConfig config;
  config.fetch_socket = "../re'co%ve ry/fetch.sock";
  config.target.lsn = parse_lsn("0/3000060");
  config.target.timeline = {3};
  const auto text = render_postgresql_conf(config);
  EXPECT_NE(
      text.find(
          R"(restore_command = 'exec ../config/backstay-restore-wal ''../re''\\''''co%%ve ry/fetch.sock'' %f %p')"),
      std::string::npos)
      << text;
  EXPECT_NE(text.find("recovery_target_lsn = '0/3000060'"), std::string::npos);
  EXPECT_NE(text.find("recovery_target_inclusive = 'off'"), std::string::npos);
  EXPECT_NE(text.find("recovery_target_timeline = '3'"), std::string::npos);
  EXPECT_NE(text.find("recovery_target_action = 'promote'"), std::string::npos);
  EXPECT_NE(text.find("listen_addresses = ''"), std::string::npos);
  EXPECT_NE(text.find("hot_standby = 'off'"), std::string::npos);
}

TEST(ServerConfigTest, SettingsAreRaisedToWhatPreparedTransactionsNeed) {
  OpenServerConfig config;
  config.resources.max_connections = 98;
  config.user = {{"max_prepared_transactions", "1"}, {"work_mem", "4096"}};
  const auto text = render_postgresql_conf(config, {.max_prepared_transactions = 2, .lock_slots = 10'001});
  EXPECT_NE(text.find("max_prepared_transactions = '2'"), std::string::npos) << text;
  EXPECT_NE(text.find("max_locks_per_transaction = '101'"), std::string::npos) << text;
  EXPECT_NE(text.find("work_mem = '4096'"), std::string::npos) << text;
  const auto enough = render_postgresql_conf(config, {.max_prepared_transactions = 1, .lock_slots = 64});
  EXPECT_NE(enough.find("max_prepared_transactions = '1'"), std::string::npos) << enough;
  EXPECT_EQ(enough.find("max_locks_per_transaction"), std::string::npos) << enough;
}

TEST(ServerConfigTest, SummariesAreMadeWhereTheServerCanAndMay) {
  OpenServerConfig config;
  config.major = 17;
  EXPECT_NE(render_postgresql_conf(config).find("summarize_wal = 'on'"), std::string::npos);
  config.summarize_wal = false;
  EXPECT_NE(render_postgresql_conf(config).find("summarize_wal = 'off'"), std::string::npos);
  config.major = 16;
  EXPECT_EQ(render_postgresql_conf(config).find("summarize_wal"), std::string::npos);
}

TEST(ServerConfigTest, RecoversWithAtLeastTheSourcesLimits) {
  ClosedServerConfig config;
  config.limits = {500, 20, 30, 40, 90};
  config.target.timeline = {1};
  const auto text = render_postgresql_conf(config);
  for (const auto* line : {"max_connections = '500'", "max_worker_processes = '20'", "max_wal_senders = '30'",
                           "max_prepared_transactions = '1000'", "max_locks_per_transaction = '90'"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line;
  }
}

}  // namespace
}  // namespace backstay::postgres
