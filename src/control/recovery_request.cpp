#include "control/service_operations.h"

namespace backstay::control {
namespace {

constexpr std::string_view kPlanSecret = "plan/";

}  // namespace

void store_recovery(const BackupTarget& from, const RecoveryPlan& plan, core::json::object& request,
                    model::Secrets& secrets) {
  const auto& destination = from.destination;
  request["from"] = {{"id", destination.id},
                     {"url", destination.url},
                     {"endpointUrl", destination.endpoint_url},
                     {"region", destination.region},
                     {"pathStyle", destination.path_style}};
  request["plan"] = plan.facts;
  request["description"] = plan.description;
  request["forecast"] = plan.forecast;
  secrets["accessKey"] = destination.access_key;
  secrets["secretKey"] = destination.secret_key;
  secrets["recoveryKey"] = from.recovery_key;
  for (const auto& [name, secret] : plan.secrets) secrets[std::string(kPlanSecret) + name] = secret;
}

std::pair<BackupTarget, RecoveryPlan> load_recovery(const model::Operation& operation) {
  const auto& from = core::require_object(operation.request, "from", "/request");
  BackupTarget target;
  target.destination.id = core::require_string(from, "id");
  target.destination.url = core::require_string(from, "url");
  target.destination.endpoint_url = core::require_string(from, "endpointUrl");
  target.destination.region = core::require_string(from, "region");
  target.destination.path_style = core::find_bool(from, "pathStyle").value_or(true);
  target.destination.access_key = operation.secrets.at("accessKey");
  target.destination.secret_key = operation.secrets.at("secretKey");
  target.recovery_key = operation.secrets.at("recoveryKey");
  RecoveryPlan plan{
      core::require_object(operation.request, "plan"), core::require_string(operation.request, "description"), {}, {}};
  for (const auto& [name, secret] : operation.secrets) {
    if (name.starts_with(kPlanSecret)) plan.secrets[name.substr(kPlanSecret.size())] = secret;
  }
  return {std::move(target), std::move(plan)};
}

}  // namespace backstay::control
