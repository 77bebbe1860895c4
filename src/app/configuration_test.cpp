#include "app/configuration.h"

#include <map>

#include <gtest/gtest.h>

#include "core/error.h"
#include "os/file_system.h"

namespace backstay::app {
namespace {

template <typename Act>
std::string refusal(Act act) {
  try {
    act();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::Code::kConfigError);
    return error.what();
  }
  ADD_FAILURE() << "accepted";
  return "";
}

std::string file_refusal(std::string_view text) {
  return refusal([&] {
    Configuration configuration;
    read_file_settings(configuration, text, "b.toml");
  });
}

void read_variables(Configuration& configuration, const std::map<std::string, std::string>& variables) {
  EnvironmentNames names;
  for (const auto& [name, value] : variables) names.push_back(name);
  read_environment_settings(
      configuration,
      [&](const std::string& name) {
        const auto found = variables.find(name);
        return found == variables.end() ? std::nullopt : std::optional(found->second);
      },
      names);
}

TEST(ConfigurationTest, ReadsAFile) {
  Configuration configuration;
  read_file_settings(configuration, R"(
[server]
listen = "0.0.0.0:443"
worker_threads = 3
[stores]
directory_roots = ["/srv/backups", "/mnt/b"]
allow_loopback = false
)",
                     "b.toml");
  EXPECT_EQ(configuration.server_listen, "0.0.0.0:443");
  EXPECT_EQ(configuration.server_worker_threads, 3);
  EXPECT_EQ(configuration.stores_directory_roots, (std::vector<std::string>{"/srv/backups", "/mnt/b"}));
  EXPECT_FALSE(configuration.stores_allow_loopback);
  EXPECT_EQ(configuration.server_state_dir, "/var/lib/backstay");
}

TEST(ConfigurationTest, RefusesWhatItDoesNotKnowWithItsLine) {
  EXPECT_EQ(file_refusal("[server]\nlisten = \"a\"\nlissten = \"b\"\n"), "b.toml line 3: server.lissten is no setting");
  EXPECT_EQ(file_refusal("\n[servers]\n"), "b.toml line 2: there is no section [servers]");
  EXPECT_EQ(file_refusal("listen = \"a\"\n"), "b.toml line 1: there is no section [listen]");
  EXPECT_NE(file_refusal("[server]\nlisten = \n").find("b.toml line 2"), std::string::npos);
}

TEST(ConfigurationTest, RefusesWrongTypesAndRanges) {
  EXPECT_EQ(file_refusal("[server]\nlisten = 8080\n"), "b.toml line 2: server.listen must be a string");
  EXPECT_EQ(file_refusal("[server]\nworker_threads = \"8\"\n"),
            "b.toml line 2: server.worker_threads must be an integer");
  EXPECT_EQ(file_refusal("[server]\nworker_threads = 0\n"),
            "b.toml line 2: server.worker_threads is 0, allowed are 1 to 256");
  EXPECT_EQ(file_refusal("[stores]\ndirectory_roots = [1]\n"),
            "b.toml line 2: stores.directory_roots must be an array of strings");
  EXPECT_EQ(file_refusal("[stores]\nallow_loopback = 1\n"),
            "b.toml line 2: stores.allow_loopback must be true or false");
}

TEST(ConfigurationTest, LetsTheEnvironmentOverride) {
  Configuration configuration;
  read_file_settings(configuration, "[server]\nlisten = \"127.0.0.1:1\"\n", "b.toml");
  read_variables(configuration, {{"BACKSTAY_SERVER_LISTEN", "127.0.0.1:2"},
                                 {"BACKSTAY_CONTROL_WORKER_THREADS", "2"},
                                 {"BACKSTAY_STORES_ALLOW_PRIVATE_NETWORKS", "false"},
                                 {"BACKSTAY_STORES_DIRECTORY_ROOTS", "/a, /b,"},
                                 {"BACKSTAY_URL", "http://elsewhere"},
                                 {"PATH", "/bin"}});
  EXPECT_EQ(configuration.server_listen, "127.0.0.1:2");
  EXPECT_EQ(configuration.control_worker_threads, 2);
  EXPECT_FALSE(configuration.stores_allow_private_networks);
  EXPECT_EQ(configuration.stores_directory_roots, (std::vector<std::string>{"/a", "/b"}));
}

TEST(ConfigurationTest, RefusesBadVariables) {
  Configuration configuration;
  EXPECT_EQ(refusal([&] { read_variables(configuration, {{"BACKSTAY_SERVER_LISSTEN", "x"}}); }),
            "the variable BACKSTAY_SERVER_LISSTEN names no setting");
  EXPECT_EQ(refusal([&] { read_variables(configuration, {{"BACKSTAY_SERVER_WORKER_THREADS", "many"}}); }),
            "BACKSTAY_SERVER_WORKER_THREADS is 'many', it must be an integer");
  EXPECT_EQ(refusal([&] { read_variables(configuration, {{"BACKSTAY_STORES_ALLOW_LOOPBACK", "yes"}}); }),
            "BACKSTAY_STORES_ALLOW_LOOPBACK is 'yes', it must be true or false");
}

TEST(ConfigurationTest, CompletesWhatFollowsFromTheStateDirectory) {
  Configuration configuration;
  configuration.server_state_dir = "/srv/state/";
  configuration.server_public_url = "https://backstay.example/";
  complete(configuration);
  EXPECT_EQ(configuration.server_public_url, "https://backstay.example");
  EXPECT_EQ(configuration.server_state_dir, "/srv/state");
  EXPECT_EQ(configuration.server_services_dir, "/srv/state");
  EXPECT_EQ(configuration.stores_directory_roots, std::vector<std::string>{"/srv/state/stores"});
}

TEST(ConfigurationTest, ServicesMayLiveBesideTheState) {
  Configuration configuration;
  configuration.server_state_dir = "/srv/first";
  configuration.server_services_dir = "/srv/services/";
  complete(configuration);
  EXPECT_EQ(configuration.server_services_dir, "/srv/services");
  EXPECT_EQ(configuration.stores_directory_roots, std::vector<std::string>{"/srv/services/stores"});
}

TEST(ConfigurationTest, ChecksWhatSpansSettings) {
  Configuration configuration;
  configuration.server_tls_key_file = "/k";
  EXPECT_NE(refusal([&] { complete(configuration); }).find("given together"), std::string::npos);
  configuration.server_tls_key_file = "";
  configuration.postgres_first_port = 30001;
  configuration.postgres_last_port = 30000;
  EXPECT_NE(refusal([&] { complete(configuration); }).find("postgres.first_port"), std::string::npos);
  configuration = {};
  configuration.postgres_first_uid = 80000;
  EXPECT_NE(refusal([&] { complete(configuration); }).find("postgres.first_uid"), std::string::npos);
  configuration = {};
  configuration.server_public_url = "backstay.example";
  EXPECT_NE(refusal([&] { complete(configuration); }).find("'backstay.example'"), std::string::npos);
  configuration = {};
  configuration.stores_directory_roots = {"backups"};
  EXPECT_NE(refusal([&] { complete(configuration); }).find("'backups'"), std::string::npos);
  configuration = {};
  configuration.server_log_level = "loud";
  EXPECT_NE(refusal([&] { complete(configuration); }).find("loud"), std::string::npos);
}

TEST(ConfigurationTest, IsDocumentedSettingBySetting) {
  const auto content = os::RealFileSystem().read_file(BACKSTAY_SOURCE_DIR "/docs/operations/configuration.md");
  const std::string reference = configuration_reference();
  EXPECT_NE(core::as_text(content).find(reference), std::string_view::npos)
      << "docs/operations/configuration.md should contain this table:\n"
      << reference;
}

}  // namespace
}  // namespace backstay::app
