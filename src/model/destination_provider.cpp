#include "model/destination_provider.h"

#include <algorithm>
#include <array>
#include <string>

#include <fmt/format.h>

#include "core/error.h"

namespace backstay::model {
namespace {

constexpr std::string_view kR2 = "r2";
constexpr std::string_view kBackblaze = "backblaze";
constexpr std::array<std::string_view, 5> kProviders{"s3", kR2, kBackblaze, "minio", "custom"};
constexpr std::string_view kR2Region = "auto";
constexpr std::string_view kNoJurisdiction = "default";

/// Part of a host name, so that nothing else can be written into one.
bool is_label(std::string_view text) {
  const auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  return !text.empty() && text.size() <= 63 && std::ranges::all_of(text, fits) && text.front() != '-' &&
         text.back() != '-';
}

bool has_jurisdiction(const Destination& destination) {
  return !destination.jurisdiction.empty() && destination.jurisdiction != kNoJurisdiction;
}

/// Empty for a provider whose endpoint is no matter of rules.
std::string derived_endpoint(const Destination& destination) {
  if (destination.provider == kR2) {
    const std::string part = has_jurisdiction(destination) ? "." + destination.jurisdiction : "";
    return fmt::format("https://{}{}.r2.cloudflarestorage.com", destination.account_id, part);
  }
  if (destination.provider == kBackblaze) return fmt::format("https://s3.{}.backblazeb2.com", destination.region);
  return {};
}

class Faults {
 public:
  explicit Faults(std::string_view pointer) : pointer_(pointer) {}
  void add(std::string_view field, const std::string& message) {
    if (error_.fields().empty()) error_ = core::Error(core::Code::kInvalidArgument, message);
    error_.with_field(fmt::format("{}/{}", pointer_, field), message);
  }
  void raise() const {
    if (!error_.fields().empty()) throw error_;
  }

 private:
  std::string_view pointer_;
  core::Error error_{core::Code::kInvalidArgument, ""};
};

void judge_r2(const Destination& destination, Faults& faults) {
  if (!is_label(destination.account_id)) {
    faults.add("accountId",
               destination.account_id.empty()
                   ? "is required: the endpoint of 'r2' is made from it"
                   : fmt::format("'{}' is no account id: lower case letters and digits", destination.account_id));
  }
  if (has_jurisdiction(destination) && !is_label(destination.jurisdiction)) {
    faults.add("jurisdiction",
               fmt::format("'{}' is no jurisdiction: 'eu', 'fedramp' or 'default'", destination.jurisdiction));
  }
}

void judge(const Destination& destination, Faults& faults) {
  if (!destination.url.starts_with("s3://")) {
    faults.add("destinationPath",
               fmt::format("'{}' is no bucket: a provider goes with s3://bucket/prefix", destination.url));
  }
  if (!destination.endpoint_url.empty()) return;
  if (destination.provider == kR2) {
    judge_r2(destination, faults);
  } else if (destination.provider == kBackblaze) {
    if (!is_label(destination.region)) {
      faults.add("region", "is required, such as 'us-west-004': the endpoint of 'backblaze' is made from it");
    }
  } else if (destination.provider != "s3") {
    faults.add("endpointUrl", fmt::format("is required for the provider '{}'", destination.provider));
  }
}

}  // namespace

void complete_destination(Destination& destination, std::string_view pointer) {
  Faults faults(pointer);
  const auto& provider = destination.provider;
  if (provider.empty()) {
    for (const auto& [field, value] :
         {std::pair("accountId", destination.account_id), std::pair("jurisdiction", destination.jurisdiction)}) {
      if (!value.empty()) faults.add(field, "goes with the provider 'r2'");
    }
  } else if (std::ranges::find(kProviders, provider) == kProviders.end()) {
    faults.add("provider", fmt::format("'{}' is none of s3, r2, backblaze, minio, custom", provider));
  } else {
    judge(destination, faults);
  }
  faults.raise();
  if (destination.endpoint_url.empty()) destination.endpoint_url = derived_endpoint(destination);
  if (destination.region.empty() && provider == kR2) destination.region = kR2Region;
}

Destination without_derived(Destination destination) {
  const auto derived = derived_endpoint(destination);
  if (!derived.empty() && destination.endpoint_url == derived) destination.endpoint_url.clear();
  if (destination.provider == kR2 && destination.region == kR2Region) destination.region.clear();
  return destination;
}

}  // namespace backstay::model
