#include "metadata/testing/temporary_database.h"

#include <cerrno>
#include <cstdlib>

#include "core/error.h"
#include "metadata/testing/temporary_server.h"

namespace backstay::metadata::testing {
namespace {

std::filesystem::path make_directory() {
  auto pattern = (std::filesystem::temp_directory_path() / "backstay-state-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw core::system_error("cannot make a directory for the test", errno);
  return pattern;
}

}  // namespace

std::string name_of(Store store) { return store == Store::kSqlite ? "Sqlite" : "Postgresql"; }

TemporaryDatabase::TemporaryDatabase(Store store) : directory_(make_directory()) {
  config_.file = directory_ / "state.db";
  if (store == Store::kPostgresql) config_.url = TemporaryServer::shared().make_database();
  config_.key.bytes.fill(std::byte{42});
  config_.readers = 2;
  reopen();
}

TemporaryDatabase::~TemporaryDatabase() {
  close();
  if (!config_.url.empty()) TemporaryServer::shared().drop_database(config_.url);
  std::filesystem::remove_all(directory_);
}

void TemporaryDatabase::reopen() {
  close();
  database_ = Database::open(config_, random_);
}

}  // namespace backstay::metadata::testing
