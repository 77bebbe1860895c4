// The PostgreSQL installations of this machine.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace backstay::postgres {

struct Installation {
  int major = 0;
  std::string version;  ///< as `postgres --version` says it, e.g. "15.20"
  std::filesystem::path bin;

  [[nodiscard]] std::filesystem::path program(std::string_view name) const { return bin / name; }
};

/// Debian's layout: one directory for each major, programs in <major>/bin.
inline constexpr std::string_view kDebianRoot = "/usr/lib/postgresql";

/// Every installation with a server and initdb, the newest version of each major, majors ascending. A directory may be
/// a root of <major>/bin directories, an installation, or its bin directory; one that does not exist is passed over.
std::vector<Installation> find_installations(std::span<const std::filesystem::path> directories);

/// The one of this major; throws Error(unknown_provider) that names the majors that are there.
const Installation& installation_of(std::span<const Installation> installations, int major);

}  // namespace backstay::postgres
