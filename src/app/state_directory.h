// The state directory of a server: its lock, and the files that people and scripts read in it.
//
// The directory is 0711, so that services under their own users reach their own parts; everything in it is closed to
// others by its own mode.
#pragma once

#include <filesystem>
#include <string>

#include "core/random.h"
#include "core/secret.h"
#include "os/file.h"
#include "os/file_system.h"

namespace backstay::app {

/// Holds the directory's lock as long as it lives.
class StateDirectory {
 public:
  /// Makes the directory if it is missing. Throws Error(conflict) if another server holds it, Error(config_error) for a
  /// path that is no directory. `files` outlives this.
  StateDirectory(std::filesystem::path path, os::FileSystem& files, core::Random& random);

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::filesystem::path database_file() const { return path_ / "state.sqlite"; }
  [[nodiscard]] std::filesystem::path admin_token_file() const { return path_ / "admin-token"; }
  /// Who the server is to others that share its state: made with the directory, and its own as long as the directory
  /// is.
  [[nodiscard]] const std::string& server_id() const { return server_id_; }

  /// endpoint.json, {"url": …}: there exactly while the server takes requests.
  void put_endpoint(const std::string& url);
  void remove_endpoint();

  /// True until the first admin token is in its file: at the first start, and after one that was killed before.
  [[nodiscard]] bool lacks_admin_token() const { return lacks_admin_token_; }
  /// admin-token, 0600: the token and a line feed.
  void put_admin_token(const core::Secret& token);

 private:
  void identify(core::Random& random);
  [[nodiscard]] std::filesystem::path first_start_marker() const { return path_ / "first-start"; }

  std::filesystem::path path_;
  os::FileSystem& files_;
  os::Descriptor lock_;
  std::string server_id_;
  bool lacks_admin_token_ = false;
};

}  // namespace backstay::app
