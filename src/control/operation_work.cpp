#include "control/operation_work.h"

#include "control/body_loader.h"
#include "metadata/services.h"

namespace backstay::control {

std::string instance_of(const model::Operation& operation) {
  return core::require_string(operation.request, "instanceId", "/request");
}

ServiceBody body_of(const WorkDependencies& deps, const model::Operation& operation) {
  return deps.database.read([&](auto& tx) {
    const auto service = metadata::Services(tx).require(operation.service_id);
    return load_body(tx, service, instance_of(operation));
  });
}

Provider& provider_of(const WorkDependencies& deps, const ServiceBody& body) {
  return deps.providers.of_kind(body.service.provider.kind);
}

void destroy_instance(const WorkDependencies& deps, StepContext& context) {
  destroy_instance(deps, context, instance_of(context.operation()));
}

void destroy_instance(const WorkDependencies& deps, StepContext& context, const std::string& instance_id) {
  const auto body = deps.database.read([&](auto& tx) {
    return load_body(tx, metadata::Services(tx).require(context.operation().service_id), instance_id);
  });
  deps.stop_companions(body.instance.id);
  provider_of(deps, body).destroy(body, context);
}

}  // namespace backstay::control
