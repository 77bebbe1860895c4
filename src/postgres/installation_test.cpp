#include "postgres/installation.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "os/file_system.h"
#include "postgres/dump_programs.h"
#include "postgres/testing/test_cluster.h"

namespace backstay::postgres {
namespace {

namespace fs = std::filesystem;

class InstallationTest : public ::testing::Test {
 protected:
  /// A PostgreSQL that only says which it is.
  void install(const std::string& place, const std::string& version, bool clients = false) {
    const auto bin = directory_.path() / place / "bin";
    files_.make_directories(bin, 0755);
    write(bin / "postgres", "#!/bin/sh\necho 'postgres (PostgreSQL) " + version + "'\n");
    for (const char* name : {"initdb", "pg_dump", "pg_restore"}) {
      if (clients || std::string_view(name) == "initdb") write(bin / name, "#!/bin/sh\n");
    }
  }
  void write(const fs::path& path, const std::string& text) {
    files_.write_file_durably(path, core::as_bytes(text), 0755);
  }
  [[nodiscard]] fs::path at(const std::string& place) const { return directory_.path() / place; }

  os::RealFileSystem files_;
  testing::TemporaryDirectory directory_;
};

TEST_F(InstallationTest, SeveralRootsAreOneListOfMajors) {
  install("debian/15", "15.18 (Debian 15.18-0+deb12u1)");
  install("own/18", "18.4");
  install("own/17", "17.10");
  install("prefix", "16.2");
  const auto found = find_installations(std::vector{at("debian"), at("own"), at("prefix"), at("nowhere")});
  ASSERT_EQ(found.size(), 4U);
  EXPECT_EQ(found[0].version, "15.18");
  EXPECT_EQ(found[1].bin, at("prefix") / "bin");
  EXPECT_EQ(found[2].version, "17.10");
  EXPECT_EQ(found[3].major, 18);
}

TEST_F(InstallationTest, NewestMinorOfAMajorIsTaken) {
  install("one/15", "15.9");
  install("two/15", "15.18");
  const auto found = find_installations(std::vector{at("two"), at("one")});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].version, "15.18");
}

TEST_F(InstallationTest, MajorThatIsNotThereIsRefusedWithThoseThatAre) {
  install("own/15", "15.18");
  install("own/17", "17.10");
  const auto found = find_installations(std::vector{at("own")});
  EXPECT_EQ(installation_of(found, 17).version, "17.10");
  try {
    std::ignore = installation_of(found, 16);
    FAIL() << "16 is not installed";
  } catch (const core::Error& e) {
    EXPECT_EQ(e.code(), core::Code::kUnknownProvider);
    EXPECT_EQ(e.message(), "PostgreSQL 16 is not installed; there is 15, 17");
  }
}

TEST_F(InstallationTest, ProgramsOfAWorkAreLookedForAmongTheMajorsThatFit) {
  install("own/14", "14.2", true);
  install("own/15", "15.18", true);
  install("own/16", "16.3", true);
  install("own/17", "17.10");
  install("own/18", "18.4", true);
  const auto found = find_installations(std::vector{at("own")});
  const auto usable = usable_installations(found, 15, 17, dump_problem);
  ASSERT_EQ(usable.size(), 2U);
  EXPECT_EQ(usable.front()->major, 15);
  EXPECT_EQ(usable.back()->major, 16);
  EXPECT_TRUE(usable_installations(found, 17, 17, dump_problem).empty());
}

}  // namespace
}  // namespace backstay::postgres
