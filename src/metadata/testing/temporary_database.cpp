#include "metadata/testing/temporary_database.h"

#include <cerrno>
#include <cstdlib>

#include "core/error.h"

namespace backstay::metadata::testing {
namespace {

std::filesystem::path make_directory() {
  auto pattern = (std::filesystem::temp_directory_path() / "backstay-state-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw core::system_error("cannot make a directory for the test", errno);
  return pattern;
}

}  // namespace

TemporaryDatabase::TemporaryDatabase() : directory_(make_directory()) {
  config_.file = directory_ / "state.db";
  config_.key.bytes.fill(std::byte{42});
  config_.readers = 2;
  reopen();
}

TemporaryDatabase::~TemporaryDatabase() {
  close();
  std::filesystem::remove_all(directory_);
}

void TemporaryDatabase::reopen() {
  close();
  database_ = Database::open(config_, random_);
}

}  // namespace backstay::metadata::testing
