// Destinations: from what a tenant writes to an open store.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "blob/store.h"
#include "core/metrics.h"
#include "core/random.h"
#include "core/secret.h"
#include "core/time.h"
#include "http/egress.h"

namespace backstay::blob {

enum class AddressingStyle {
  kAuto,         // virtual host for amazonaws.com, else path
  kPath,         // https://host/bucket/key
  kVirtualHost,  // https://bucket.host/key
};

/// Where backups go, as the tenant says it. Nothing here is checked yet.
struct DestinationConfig {
  std::string url = {};           // "s3://bucket/prefix/" or "file:///directory"
  std::string endpoint_url = {};  // S3: "https://s3.eu-central-1.amazonaws.com"; empty: Amazon's, by region
  std::string region = {};  // S3: empty: from the endpoint's host, else from the store's own error, else us-east-1
  std::string access_key = {};
  core::Secret secret_key = {};
  AddressingStyle addressing = AddressingStyle::kAuto;
};

/// How patiently a store is asked again.
struct RetryPolicy {
  unsigned attempts = 6;
  std::chrono::milliseconds first_delay = std::chrono::milliseconds(100);
  std::chrono::milliseconds longest_delay = std::chrono::seconds(10);
  std::chrono::milliseconds deadline = std::chrono::minutes(2);  // no new attempt after this
};

/// What the operator allows and configures, the same for every tenant.
struct StorePolicy {
  std::vector<std::filesystem::path> directory_roots =
      {};  // file:// destinations lie below one of these; none: refused
  http::EgressPolicy egress = {};
  std::filesystem::path ca_file = {};  // PEM; trusted for stores instead of the system's authorities if set
  bool create_directories = false;     // make a missing file:// directory below its root
  RetryPolicy retry = {};
  std::chrono::milliseconds request_deadline = std::chrono::seconds(60);  // one request of one part
  std::chrono::seconds stall_time = std::chrono::seconds(30);             // a request that does not move is cut
  std::uint64_t part_size = 16 * 1024 * 1024;                             // multipart well above this; at least 5 MiB
};

/// What a store is opened with. All must outlive the store; `metrics` may be null.
struct StoreContext {
  core::Clock& clock;
  core::Random& random;
  core::Metrics* metrics = nullptr;
  std::stop_token stop = {};  // ends waits and running requests with Error(cancelled)
};

/// Checks everything that needs no I/O. Throws Error(invalid_argument) with one field for each fault; `pointer` is the
/// JSON Pointer of the object that held destinationPath, endpointUrl, region, accessKey and secretKey.
void validate_destination(const DestinationConfig& config, std::string_view pointer = "");

/// Driver, metrics and retries. Makes no request yet; a directory must exist (store_not_found) below an allowed root
/// after resolving symbolic links (path_not_allowed). Throws what validate_destination throws.
std::unique_ptr<Store> open_store(const DestinationConfig& config, const StorePolicy& policy, StoreContext context);

}  // namespace backstay::blob
