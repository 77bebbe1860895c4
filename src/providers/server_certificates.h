// TLS for services: Backstay's own certificate authority and the certificates that it gives to servers.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "codec/certificates.h"
#include "core/mutex.h"
#include "core/random.h"
#include "core/time.h"
#include "os/file_system.h"
#include "postgres/instance_paths.h"

namespace backstay::providers {

/// Thread-safe. The authority lies in `directory` as ca.crt and ca.key (0600) and is made when it is first needed.
class ServerCertificates {
 public:
  ServerCertificates(std::filesystem::path directory, os::FileSystem& files, core::Clock& clock, core::Random& random)
      : directory_(std::move(directory)), files_(files), clock_(clock), random_(random) {}

  /// Makes sure that the instance has a certificate for these names that holds for a month at least.
  void ensure(const postgres::InstancePaths& paths, const std::optional<os::Identity>& identity,
              const std::vector<std::string>& names);

 private:
  codec::Certificate authority();

  std::filesystem::path directory_;
  os::FileSystem& files_;
  core::Clock& clock_;
  core::Random& random_;
  core::Mutex mutex_;
};

inline constexpr std::string_view kCertificateFile = "server.crt";
inline constexpr std::string_view kKeyFile = "server.key";

}  // namespace backstay::providers
