#include "postgres/installation.h"

#include <map>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.h"
#include "core/text.h"
#include "os/process.h"

namespace backstay::postgres {
namespace {

namespace fs = std::filesystem;

/// "postgres (PostgreSQL) 15.20 (Debian …)" -> "15.20".
std::optional<std::string> read_version(const fs::path& bin) {
  os::SystemProcessRunner runner;
  os::Command command;
  command.argv = {(bin / "postgres").string(), "--version"};
  command.deadline = std::chrono::seconds(10);
  const auto result = runner.run(command, {});
  constexpr std::string_view kMark = "(PostgreSQL) ";
  const auto at = result.output.find(kMark);
  if (result.exit_code != 0 || at == std::string::npos) return std::nullopt;
  const auto rest = std::string_view(result.output).substr(at + kMark.size());
  return std::string(core::trim(rest.substr(0, rest.find_first_of(" \n"))));
}

void consider(const fs::path& bin, std::map<int, Installation>& found) {
  std::error_code ignored;
  if (!fs::is_regular_file(bin / "postgres", ignored) || !fs::is_regular_file(bin / "initdb", ignored)) return;
  const auto version = read_version(bin);
  if (!version) return;
  const auto dot = version->find_first_not_of("0123456789");
  const auto major = core::parse_int(std::string_view(*version).substr(0, dot));
  const auto minor = dot == std::string::npos ? 0 : core::parse_int(std::string_view(*version).substr(dot + 1));
  if (!major) return;
  Installation installation{static_cast<int>(*major), *version, bin};
  const auto [at, fresh] = found.try_emplace(installation.major, installation);
  if (fresh) return;
  const auto& other = at->second.version;
  const auto other_dot = other.find('.');
  const auto other_minor = other_dot == std::string::npos ? 0 : core::parse_int(other.substr(other_dot + 1));
  if (minor.value_or(0) > other_minor.value_or(0)) at->second = installation;
}

}  // namespace

std::vector<Installation> find_installations(std::span<const fs::path> directories) {
  std::map<int, Installation> found;
  for (const auto& directory : directories) {
    consider(directory, found);
    consider(directory / "bin", found);
    std::error_code missing;
    for (const auto& child : fs::directory_iterator(directory, missing)) consider(child.path() / "bin", found);
  }
  std::vector<Installation> result;
  for (auto& [major, installation] : found) result.push_back(std::move(installation));
  return result;
}

const Installation& installation_of(std::span<const Installation> installations, int major) {
  std::vector<int> majors;
  for (const auto& installation : installations) {
    if (installation.major == major) return installation;
    majors.push_back(installation.major);
  }
  throw core::Error(core::Code::kUnknownProvider,
                    majors.empty()
                        ? fmt::format("PostgreSQL {} is not installed, nor is any other", major)
                        : fmt::format("PostgreSQL {} is not installed; there is {}", major, fmt::join(majors, ", ")));
}

std::vector<const Installation*> usable_installations(std::span<const Installation> installations, int lowest,
                                                      int highest, const InstallationProblem& problem) {
  std::vector<const Installation*> usable;
  for (const auto& installation : installations) {
    const bool fits = installation.major >= lowest && installation.major <= highest;
    if (fits && !problem(installation)) usable.push_back(&installation);
  }
  return usable;
}

}  // namespace backstay::postgres
