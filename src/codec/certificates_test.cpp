#include "codec/certificates.h"

#include <gtest/gtest.h>

#include <memory>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "core/error.h"

namespace backstay::codec {
namespace {

using X509Pointer = std::unique_ptr<X509, decltype(&X509_free)>;

X509Pointer read(const std::string& pem) {
  BIO* const bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  X509Pointer certificate(PEM_read_bio_X509(bio, nullptr, nullptr, nullptr), &X509_free);
  BIO_free(bio);
  return certificate;
}

/// X509_V_OK if `leaf` is a server's certificate that `authority` vouches for at `when`.
int verify(const std::string& authority, const std::string& leaf, core::Timestamp when) {
  const X509Pointer root = read(authority);
  const X509Pointer certificate = read(leaf);
  const std::unique_ptr<X509_STORE, decltype(&X509_STORE_free)> store(X509_STORE_new(), &X509_STORE_free);
  X509_STORE_add_cert(store.get(), root.get());
  const std::unique_ptr<X509_STORE_CTX, decltype(&X509_STORE_CTX_free)> context(X509_STORE_CTX_new(),
                                                                                &X509_STORE_CTX_free);
  X509_STORE_CTX_init(context.get(), store.get(), certificate.get(), nullptr);
  X509_STORE_CTX_set_default(context.get(), "ssl_server");
  X509_STORE_CTX_set_time(context.get(), 0, std::chrono::floor<std::chrono::seconds>(when).time_since_epoch().count());
  X509_verify_cert(context.get());
  return X509_STORE_CTX_get_error(context.get());
}

class CertificatesTest : public ::testing::Test {
 protected:
  core::SystemRandom random_;
  const core::Timestamp now_ = core::parse_time("2026-05-01T00:00:00Z");
  const Certificate authority_ = make_certificate_authority("Backstay test authority", now_, random_);
};

TEST_F(CertificatesTest, TheAuthorityVouchesForItsServersWhileTheyAreValid) {
  const auto server = issue_server_certificate(authority_, {"db.example.org", "127.0.0.1", "::1"}, now_,
                                               std::chrono::hours(24), random_);
  EXPECT_EQ(verify(authority_.certificate_pem, server.certificate_pem, now_), X509_V_OK);
  EXPECT_EQ(verify(authority_.certificate_pem, server.certificate_pem, now_ + std::chrono::hours(25)),
            X509_V_ERR_CERT_HAS_EXPIRED);
  EXPECT_EQ(certificate_not_after(server.certificate_pem), now_ + std::chrono::hours(24));
  const X509Pointer certificate = read(server.certificate_pem);
  EXPECT_EQ(X509_check_host(certificate.get(), "db.example.org", 0, 0, nullptr), 1);
  EXPECT_EQ(X509_check_host(certificate.get(), "other.example.org", 0, 0, nullptr), 0);
  EXPECT_EQ(X509_check_ip_asc(certificate.get(), "127.0.0.1", 0), 1);
  EXPECT_EQ(X509_check_ip_asc(certificate.get(), "::1", 0), 1);
  EXPECT_EQ(X509_check_ip_asc(certificate.get(), "127.0.0.2", 0), 0);
}

TEST_F(CertificatesTest, AnotherAuthorityDoesNot) {
  const auto other = make_certificate_authority("Backstay test authority", now_, random_);
  const auto server = issue_server_certificate(authority_, {"localhost"}, now_, std::chrono::hours(24), random_);
  EXPECT_NE(verify(other.certificate_pem, server.certificate_pem, now_), X509_V_OK);
  EXPECT_NE(verify(server.certificate_pem, server.certificate_pem, now_), X509_V_OK);
}

TEST_F(CertificatesTest, NoServerOutlivesTheAuthority) {
  const auto server =
      issue_server_certificate(authority_, {"localhost"}, now_, std::chrono::hours(24 * 365 * 20), random_);
  EXPECT_EQ(certificate_not_after(server.certificate_pem), certificate_not_after(authority_.certificate_pem));
}

TEST_F(CertificatesTest, RefusesNamesThatWouldBecomeOthers) {
  for (const char* const name : {"", "a,DNS:b", "a\nb"}) {
    EXPECT_THROW(issue_server_certificate(authority_, {name}, now_, std::chrono::hours(1), random_), core::Error);
  }
  EXPECT_THROW(issue_server_certificate(authority_, {}, now_, std::chrono::hours(1), random_), core::Error);
  EXPECT_THROW(certificate_not_after("nonsense"), core::Error);
}

}  // namespace
}  // namespace backstay::codec
