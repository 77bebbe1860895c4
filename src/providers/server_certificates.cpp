#include "providers/server_certificates.h"

#include <unistd.h>

namespace backstay::providers {
namespace {

constexpr auto kValidity = std::chrono::hours(24 * 397);
constexpr auto kRenewBefore = std::chrono::hours(24 * 30);

std::string read_text(os::FileSystem& files, const std::filesystem::path& path) {
  return std::string(core::as_text(files.read_file(path)));
}

}  // namespace

codec::Certificate ServerCertificates::authority() {
  const core::LockGuard lock(mutex_);
  const auto certificate = directory_ / "ca.crt";
  const auto key = directory_ / "ca.key";
  if (files_.stat(certificate)) return {read_text(files_, certificate), core::Secret(read_text(files_, key))};
  auto made = codec::make_certificate_authority("Backstay services", clock_.now(), random_);
  files_.make_directories(directory_, 0700);
  files_.write_file_durably(key, core::as_bytes(made.key_pem.reveal()), 0600);
  // The certificate comes last: it says that both are there.
  files_.write_file_durably(certificate, core::as_bytes(made.certificate_pem), 0644);
  return made;
}

void ServerCertificates::ensure(const postgres::InstancePaths& paths, const std::optional<os::Identity>& identity,
                                const std::vector<std::string>& names) {
  const auto certificate = paths.tls() / kCertificateFile;
  const auto key = paths.tls() / kKeyFile;
  if (files_.stat(certificate) &&
      codec::certificate_not_after(read_text(files_, certificate)) > clock_.now() + kRenewBefore) {
    // A kill may have come between the writing of a file and the giving of its group.
    if (identity) {
      for (const auto& file : {certificate, key}) files_.set_owner(file, ::geteuid(), identity->gid);
    }
    return;
  }
  const auto made = codec::issue_server_certificate(authority(), names, clock_.now(), kValidity, random_);
  postgres::write_readable_file(files_, key, made.key_pem.reveal(), identity);
  postgres::write_readable_file(files_, certificate, made.certificate_pem, identity);
}

}  // namespace backstay::providers
