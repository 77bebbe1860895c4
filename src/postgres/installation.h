// The PostgreSQL installations of this machine.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
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

/// What an installation lacks for some work, in words; nothing if it can do it.
using InstallationProblem = std::function<std::optional<std::string>(const Installation&)>;

/// Those of the majors `lowest` to `highest` that have what a work needs, majors ascending.
std::vector<const Installation*> usable_installations(std::span<const Installation> installations, int lowest,
                                                      int highest, const InstallationProblem& problem);

}  // namespace backstay::postgres
