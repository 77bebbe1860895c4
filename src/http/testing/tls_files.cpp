#include "http/testing/tls_files.h"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

namespace backstay::http::testing {
namespace {

template <auto free>
struct Free {
  template <typename T>
  void operator()(T* object) const {
    free(object);
  }
};
using File = std::unique_ptr<std::FILE, Free<&std::fclose>>;
using Key = std::unique_ptr<EVP_PKEY, Free<&EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Free<&X509_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Free<&X509_EXTENSION_free>>;

void require(bool good) {
  if (!good) throw std::runtime_error("cannot make a test certificate");
}

void extend(X509* certificate, int nid, const char* value) {
  const Extension extension(X509V3_EXT_conf_nid(nullptr, nullptr, nid, value));
  require(extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1);
}

Certificate sign(EVP_PKEY* key) {
  Certificate certificate(X509_new());
  X509* const x = certificate.get();
  X509_set_version(x, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
  X509_gmtime_adj(X509_getm_notBefore(x), -3600);
  X509_gmtime_adj(X509_getm_notAfter(x), 24L * 3600);
  X509_set_pubkey(x, key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("127.0.0.1"), -1, -1, 0);
  X509_set_issuer_name(x, X509_get_subject_name(x));
  extend(x, NID_basic_constraints, "critical,CA:TRUE");
  extend(x, NID_subject_alt_name, "IP:127.0.0.1");
  require(X509_sign(x, key, EVP_sha256()) > 0);
  return certificate;
}

}  // namespace

TlsTestFiles::TlsTestFiles() {
  std::string pattern = (std::filesystem::temp_directory_path() / "backstay-tls-XXXXXX").string();
  require(::mkdtemp(pattern.data()) != nullptr);
  directory_ = pattern;
  const Key pair(EVP_EC_gen("P-256"));
  require(pair != nullptr);
  const File key_file(std::fopen(key().c_str(), "w"));
  require(key_file && PEM_write_PrivateKey(key_file.get(), pair.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1);
  const File certificate_file(std::fopen(certificate().c_str(), "w"));
  require(certificate_file && PEM_write_X509(certificate_file.get(), sign(pair.get()).get()) == 1);
}

TlsTestFiles::~TlsTestFiles() { std::filesystem::remove_all(directory_); }

}  // namespace backstay::http::testing
