#include "app/state_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>

#include <fmt/format.h>

#include "core/error.h"
#include "core/json.h"
#include "core/text.h"
#include "core/time.h"

namespace backstay::app {
namespace {

using core::Code;
using core::Error;

constexpr mode_t kTraversable = 0711;
constexpr mode_t kPrivate = 0600;

/// A child of a killed server holds the lock until its exec: that is waited for, a living server is not.
os::Descriptor take_lock(const std::filesystem::path& file) {
  constexpr auto kPause = std::chrono::milliseconds(100);
  constexpr int kAttempts = 20;
  os::Descriptor lock = os::open_file(file, O_RDWR | O_CREAT, kPrivate);
  core::SystemClock clock;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return lock;
    if (errno != EWOULDBLOCK) throw core::system_error(fmt::format("cannot lock '{}'", file.string()), errno);
    clock.wait({}, kPause);
  }
  throw Error(Code::kConflict, fmt::format("another server uses the state directory '{}'", file.parent_path().string()))
      .with_hint("stop that server, or give this one a state directory of its own");
}

/// What somebody made stays as it is; its mode may be meant.
void require_traversable(const std::filesystem::path& path, mode_t mode) {
  if (::geteuid() != 0 || (mode & S_IXOTH) != 0) return;
  throw Error(Code::kConfigError, fmt::format("the state directory '{}' lets no other user pass", path.string()))
      .with_hint(
          "services run under users of their own and must reach their directories below it: chmod o+x it, or name "
          "a directory that does not exist yet");
}

}  // namespace

StateDirectory::StateDirectory(std::filesystem::path path, os::FileSystem& files, core::Random& random)
    : path_(std::move(path)), files_(files) {
  const auto found = files_.stat(path_);
  if (found && found->type != os::FileType::kDirectory) {
    throw Error(Code::kConfigError, fmt::format("the state directory '{}' is no directory", path_.string()));
  }
  if (!found) {
    files_.make_directories(path_, kTraversable);
    files_.set_mode(path_, kTraversable);
  } else {
    require_traversable(path_, found->mode);
  }
  lock_ = take_lock(path_ / "lock");
  remove_endpoint();
  identify(random);
  lacks_admin_token_ = files_.stat(first_start_marker()).has_value();
}

/// The marker first: a directory that has an identity has had its first start, or has the marker.
void StateDirectory::identify(core::Random& random) {
  const auto file = path_ / "server-id";
  if (!files_.stat(file)) {
    if (!files_.stat(database_file())) files_.write_file_durably(first_start_marker(), {}, kPrivate);
    files_.write_file_durably(file, core::as_bytes(random.uuid() + "\n"), 0644);
  }
  const core::Bytes content = files_.read_file(file);
  server_id_ = core::trim(core::as_text(content));
}

void StateDirectory::put_endpoint(const std::string& url) {
  const std::string text = core::to_text(core::json::object{{"url", url}}) + "\n";
  files_.write_file_durably(path_ / "endpoint.json", core::as_bytes(text), 0644);
}

void StateDirectory::remove_endpoint() { files_.remove(path_ / "endpoint.json"); }

void StateDirectory::put_admin_token(const core::Secret& token) {
  const core::Secret line(token.reveal() + "\n");
  files_.write_file_durably(admin_token_file(), core::as_bytes(line.reveal()), kPrivate);
  files_.remove(first_start_marker());
  files_.sync_directory(path_);
  lacks_admin_token_ = false;
}

}  // namespace backstay::app
