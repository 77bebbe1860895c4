// A self-signed certificate for 127.0.0.1 and its key, as PEM files that go with the object.
#pragma once

#include <filesystem>

namespace backstay::http::testing {

class TlsTestFiles {
 public:
  TlsTestFiles();
  ~TlsTestFiles();
  TlsTestFiles(const TlsTestFiles&) = delete;
  TlsTestFiles& operator=(const TlsTestFiles&) = delete;
  [[nodiscard]] std::filesystem::path certificate() const { return directory_ / "certificate.pem"; }
  [[nodiscard]] std::filesystem::path key() const { return directory_ / "key.pem"; }

 private:
  std::filesystem::path directory_;
};

}  // namespace backstay::http::testing
