// Backstay's own certificate authority and the server certificates that it issues (X.509, EC P-256).
#pragma once

#include <string>
#include <vector>

#include "core/random.h"
#include "core/secret.h"
#include "core/time.h"

namespace backstay::codec {

struct Certificate {
  std::string certificate_pem = {};
  core::Secret key_pem = {};
};

/// A self-signed authority, valid from an hour before `now` for ten years.
Certificate make_certificate_authority(const std::string& common_name, core::Timestamp now, core::Random& random);

/// A server certificate for DNS names and IP addresses (at least one; the first is the common name), valid from an hour
/// before `now` for `validity`, never longer than the authority.
Certificate issue_server_certificate(const Certificate& authority, const std::vector<std::string>& names,
                                     core::Timestamp now, std::chrono::hours validity, core::Random& random);

/// When the certificate stops being valid. Throws Error(invalid_argument) for a text that is not a PEM certificate.
core::Timestamp certificate_not_after(const std::string& certificate_pem);

}  // namespace backstay::codec
