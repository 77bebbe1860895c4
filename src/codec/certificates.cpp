#include "codec/certificates.h"

#include <array>
#include <memory>

#include <fmt/format.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "core/error.h"

namespace backstay::codec {
namespace {

template <auto kFree>
struct FreeBy {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};
void free_bio(BIO* bio) { BIO_free(bio); }
using Key = std::unique_ptr<EVP_PKEY, FreeBy<EVP_PKEY_free>>;
using X509Pointer = std::unique_ptr<X509, FreeBy<X509_free>>;
using Bio = std::unique_ptr<BIO, FreeBy<free_bio>>;
using Extension = std::unique_ptr<X509_EXTENSION, FreeBy<X509_EXTENSION_free>>;
using Number = std::unique_ptr<BIGNUM, FreeBy<BN_free>>;

template <typename T>
T* check(T* pointer, const char* what) {
  if (pointer == nullptr) throw core::Error(core::Code::kInternal, fmt::format("cannot {}", what));
  return pointer;
}
void check(int ok, const char* what) {
  if (ok < 1) throw core::Error(core::Code::kInternal, fmt::format("cannot {}", what));
}

Key make_key() { return Key(check(EVP_EC_gen("P-256"), "make a key")); }

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long length = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(length)};
}

Bio memory_of(const std::string& text) {
  return Bio(check(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), "read a PEM text"));
}

std::string certificate_text(X509* certificate) {
  const Bio bio(check(BIO_new(BIO_s_mem()), "write a certificate"));
  check(PEM_write_bio_X509(bio.get(), certificate), "write a certificate");
  return text_of(bio.get());
}

core::Secret key_text(EVP_PKEY* key) {
  const Bio bio(check(BIO_new(BIO_s_secmem()), "write a key"));
  check(PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr), "write a key");
  return core::Secret(text_of(bio.get()));
}

X509Pointer read_certificate(const std::string& pem) {
  const Bio bio = memory_of(pem);
  X509Pointer certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (!certificate) throw core::Error(core::Code::kInvalidArgument, "the text is not a PEM certificate");
  return certificate;
}

Key read_key(const core::Secret& pem) {
  const Bio bio = memory_of(pem.reveal());
  Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
  if (!key) throw core::Error(core::Code::kInvalidArgument, "the text is not a PEM private key");
  return key;
}

std::time_t seconds(core::Timestamp time) {
  return std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
}

void set_serial(X509* certificate, core::Random& random) {
  const core::Bytes bytes = random.bytes(16);
  const Number number(
      check(BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()), nullptr),
            "number"));
  check(BN_clear_bit(number.get(), 127), "number");  // Serial numbers are positive.
  check(BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)), "number a certificate");
}

void set_common_name(X509* certificate, const std::string& name) {
  // 64 is the longest common name that X.509 allows; what clients check is the alternative names.
  const std::string shown = name.substr(0, 64);
  check(X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                                   reinterpret_cast<const unsigned char*>(shown.data()), static_cast<int>(shown.size()),
                                   -1, 0),
        "name a certificate");
}

void add_extension(X509* certificate, X509* issuer, int id, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str()));
  if (!extension) {
    throw core::Error(core::Code::kInvalidArgument, fmt::format("'{}' cannot be put into a certificate", value));
  }
  check(X509_add_ext(certificate, extension.get(), -1), "extend a certificate");
}

X509Pointer begin_certificate(EVP_PKEY* key, const std::string& name, core::Timestamp now, core::Random& random) {
  X509Pointer certificate(check(X509_new(), "make a certificate"));
  check(X509_set_version(certificate.get(), X509_VERSION_3), "make a certificate");
  set_serial(certificate.get(), random);
  check(X509_set_pubkey(certificate.get(), key), "make a certificate");
  set_common_name(certificate.get(), name);
  // Clocks differ a little between machines.
  check(ASN1_TIME_set(X509_getm_notBefore(certificate.get()), seconds(now - std::chrono::hours(1))),
        "date a certificate");
  return certificate;
}

bool is_address(const std::string& name) {
  ASN1_OCTET_STRING* const address = a2i_IPADDRESS(name.c_str());
  ASN1_OCTET_STRING_free(address);
  return address != nullptr;
}

std::string alternative_names(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) {
    // A comma or a line end would begin another name.
    if (name.empty() || name.find_first_of(",\n\r\\") != std::string::npos) {
      throw core::Error(core::Code::kInvalidArgument, fmt::format("'{}' is not a host name or an address", name));
    }
    if (!text.empty()) text += ",";
    text += (is_address(name) ? "IP:" : "DNS:") + name;
  }
  return text;
}

}  // namespace

Certificate make_certificate_authority(const std::string& common_name, core::Timestamp now, core::Random& random) {
  const Key key = make_key();
  const X509Pointer certificate = begin_certificate(key.get(), common_name, now, random);
  check(ASN1_TIME_set(X509_getm_notAfter(certificate.get()), seconds(now + std::chrono::years(10))),
        "date a certificate");
  check(X509_set_issuer_name(certificate.get(), X509_get_subject_name(certificate.get())), "sign a certificate");
  add_extension(certificate.get(), certificate.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
  add_extension(certificate.get(), certificate.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
  add_extension(certificate.get(), certificate.get(), NID_subject_key_identifier, "hash");
  check(X509_sign(certificate.get(), key.get(), EVP_sha256()), "sign a certificate");
  return {certificate_text(certificate.get()), key_text(key.get())};
}

Certificate issue_server_certificate(const Certificate& authority, const std::vector<std::string>& names,
                                     core::Timestamp now, std::chrono::hours validity, core::Random& random) {
  if (names.empty()) throw core::Error(core::Code::kInvalidArgument, "a server certificate needs a name");
  const X509Pointer issuer = read_certificate(authority.certificate_pem);
  const Key issuer_key = read_key(authority.key_pem);
  const Key key = make_key();
  const X509Pointer certificate = begin_certificate(key.get(), names.front(), now, random);
  const core::Timestamp end = std::min(now + validity, certificate_not_after(authority.certificate_pem));
  check(ASN1_TIME_set(X509_getm_notAfter(certificate.get()), seconds(end)), "date a certificate");
  check(X509_set_issuer_name(certificate.get(), X509_get_subject_name(issuer.get())), "sign a certificate");
  add_extension(certificate.get(), issuer.get(), NID_basic_constraints, "critical,CA:FALSE");
  add_extension(certificate.get(), issuer.get(), NID_key_usage, "critical,digitalSignature");
  add_extension(certificate.get(), issuer.get(), NID_ext_key_usage, "serverAuth");
  add_extension(certificate.get(), issuer.get(), NID_subject_key_identifier, "hash");
  add_extension(certificate.get(), issuer.get(), NID_authority_key_identifier, "keyid");
  add_extension(certificate.get(), issuer.get(), NID_subject_alt_name, alternative_names(names));
  check(X509_sign(certificate.get(), issuer_key.get(), EVP_sha256()), "sign a certificate");
  return {certificate_text(certificate.get()), key_text(key.get())};
}

core::Timestamp certificate_not_after(const std::string& certificate_pem) {
  const X509Pointer certificate = read_certificate(certificate_pem);
  std::tm time{};
  check(ASN1_TIME_to_tm(X509_get0_notAfter(certificate.get()), &time), "read a certificate's end");
  return core::Timestamp(std::chrono::seconds(timegm(&time)));
}

}  // namespace backstay::codec
