#include "control/stores.h"

#include "core/error.h"
#include "model/destination_provider.h"

namespace backstay::control {
namespace {

/// The first of the keys that config or secrets has.
core::Secret find_key(const core::json::object& config, const model::Secrets& secrets,
                      std::initializer_list<std::string_view> keys, std::string_view pointer) {
  for (const auto key : keys) {
    if (const auto found = secrets.find(std::string(key)); found != secrets.end()) return found->second;
    if (auto text = core::find_string(config, key, std::string(pointer) + "/config")) return core::Secret(*text);
  }
  return {};
}

/// What a refusal without a field is most likely about; nothing for what is no refusal of the store.
std::optional<std::string_view> likely_place(core::Code code, const model::Destination& destination) {
  const std::string_view address = destination.endpoint_url.empty() ? "/destinationPath" : "/endpointUrl";
  using enum core::Code;
  switch (code) {
    case kStoreUnreachable:
    case kEgressRefused: return address;
    case kStoreAccessDenied: return "/secretKey";
    case kStoreNotFound:
    case kStoreRefused:
    case kPathNotAllowed:
    case kInvalidArgument: return "/destinationPath";
    default: return std::nullopt;
  }
}

}  // namespace

core::Error at_place(const core::Error& error, const model::Destination& destination, std::string_view pointer) {
  const auto likely = likely_place(error.code(), destination);
  if (!likely) return error;
  core::Error placed(error.code(), error.message());
  placed.with_hint(error.hint());
  const auto refuse = [&](std::string_view field, const std::string& message) {
    const bool secret = field == "/accessKey" || field == "/secretKey";
    placed.with_field(fmt::format("{}/{}{}", pointer, secret ? "secrets" : "config", field), message);
  };
  for (const auto& field : error.fields()) refuse(field.pointer, field.message);
  if (error.fields().empty()) refuse(*likely, error.message());
  return placed;
}

model::Destination parse_destination(const core::json::object& config, const model::Secrets& secrets,
                                     std::string_view pointer) {
  const std::string config_pointer = std::string(pointer) + "/config";
  model::Destination destination;
  const auto url = core::find_string(config, "destinationPath", config_pointer);
  if (!url || url->empty()) {
    throw core::Error(core::Code::kInvalidArgument, "the destination of the backups is not named")
        .with_field(config_pointer + "/destinationPath", "is required: s3://bucket/prefix or file:///directory");
  }
  destination.url = *url;
  // One place has one spelling, so that it gets one repository.
  while (destination.url.size() > 8 && destination.url.ends_with('/')) destination.url.pop_back();
  destination.endpoint_url = core::find_string(config, "endpointUrl", config_pointer).value_or("");
  while (destination.endpoint_url.ends_with('/')) destination.endpoint_url.pop_back();
  destination.region = core::find_string(config, "region", config_pointer).value_or("");
  destination.provider = core::find_string(config, "provider", config_pointer).value_or("");
  destination.account_id = core::find_string(config, "accountId", config_pointer).value_or("");
  destination.jurisdiction = core::find_string(config, "jurisdiction", config_pointer).value_or("");
  model::complete_destination(destination, config_pointer);
  destination.path_style = core::find_bool(config, "pathStyle", config_pointer).value_or(true);
  destination.access_key = find_key(config, secrets, {"accessKey", "accessKeyId"}, pointer);
  destination.secret_key = find_key({}, secrets, {"secretKey"}, pointer);
  return destination;
}

void require_keys(const model::Destination& destination, std::string_view pointer) {
  if (!destination.url.starts_with("s3://")) return;
  core::Error error(core::Code::kInvalidArgument, fmt::format("the keys of '{}' are not complete", destination.url));
  if (destination.access_key.empty()) {
    error.with_field(std::string(pointer) + "/secrets/accessKey", "is required (or config.accessKeyId)");
  }
  if (destination.secret_key.empty()) error.with_field(std::string(pointer) + "/secrets/secretKey", "is required");
  if (!error.fields().empty()) throw error;
}

core::json::object probe_to_json(const std::vector<ProbeCheck>& checks) {
  core::json::array rows;
  for (const auto& check : checks) {
    rows.push_back(
        {{"name", check.name}, {"essential", check.essential}, {"passed", check.passed}, {"message", check.message}});
  }
  return {{"checks", std::move(rows)}};
}

}  // namespace backstay::control
