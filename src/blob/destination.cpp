#include "blob/destination.h"

#include <fmt/format.h>

#include "blob/driver.h"
#include "blob/metrics_store.h"
#include "blob/retrying_store.h"
#include "blob/s3_location.h"
#include "core/error.h"
#include "core/text.h"

namespace backstay::blob {
namespace {

using core::Code;
using core::Error;

constexpr std::string_view kFile = "file://";

bool is_file(const DestinationConfig& config) { return config.url.starts_with(kFile); }

void check_file(const DestinationConfig& config, std::string_view pointer, Error& error) {
  const std::string_view path = std::string_view(config.url).substr(kFile.size());
  if (!path.starts_with('/')) {
    error.with_field(fmt::format("{}/destinationPath", pointer), "write file:///absolute/path");
  }
  if (!config.endpoint_url.empty()) {
    error.with_field(fmt::format("{}/endpointUrl", pointer), "a directory has no endpoint");
  }
}

}  // namespace

void validate_destination(const DestinationConfig& config, std::string_view pointer) {
  Error error(Code::kInvalidArgument, fmt::format("destination '{}' cannot be used", config.url));
  if (is_file(config)) {
    check_file(config, pointer, error);
  } else if (config.url.starts_with("s3://")) {
    check_s3(config, pointer, error);
  } else {
    error.with_field(fmt::format("{}/destinationPath", pointer), "write s3://bucket/prefix/ or file:///directory");
  }
  if (error.fields().empty()) return;
  std::string message = error.message();
  for (const auto& field : error.fields()) message += "; " + field.message;
  Error full(Code::kInvalidArgument, message);
  for (const auto& field : error.fields()) full.with_field(field.pointer, field.message);
  throw full;
}

Driver open_driver(const DestinationConfig& config, const StorePolicy& policy, const StoreContext& context) {
  validate_destination(config);
  if (!is_file(config)) return open_s3(config, policy, context);
  const std::string path = core::url_decode(config.url.substr(kFile.size()));
  const auto root = resolve_directory(path, policy.directory_roots, policy.create_directories);
  return {.store = std::make_unique<DirectoryStore>(root, context.clock, context.random), .diagnostics = nullptr};
}

std::unique_ptr<Store> decorate(std::unique_ptr<Store> store, const RetryPolicy& retry, const StoreContext& context) {
  if (context.metrics != nullptr) {
    store = std::make_unique<MetricsStore>(std::move(store), context.clock, *context.metrics);
  }
  return std::make_unique<RetryingStore>(std::move(store), retry, context);
}

std::unique_ptr<Store> open_store(const DestinationConfig& config, const StorePolicy& policy, StoreContext context) {
  return decorate(open_driver(config, policy, context).store, policy.retry, context);
}

}  // namespace backstay::blob
