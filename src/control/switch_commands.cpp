// The part of ServiceCommands that switches a service over, and tells what that would do.
#include "control/idempotency.h"
#include "control/service_commands.h"
#include "control/switch_operation.h"
#include "control/switch_plan.h"
#include "core/error.h"
#include "metadata/services.h"

namespace backstay::control {
namespace {

void require_local(const ProviderRegistry& providers, const model::Service& service) {
  if (providers.of_kind(service.provider.kind).is_local()) return;
  throw core::Error(core::Code::kNotSupported,
                    fmt::format("the service '{}' cannot be switched over: its backend runs it, and the adapter "
                                "contract knows no way to exchange its data",
                                service.name))
      .with_hint("recover into a new service");
}

Preview in_words(metadata::Transaction& tx, const model::Service& service, const SwitchPlan& plan,
                 core::Duration grace) {
  Preview preview;
  const auto tell = [&](std::string effect) { preview.effects.push_back(std::move(effect)); };
  tell(plan.candidate ? fmt::format("the candidate '{}' gets the settings, users and passwords of '{}'",
                                    plan.candidate->name, service.name)
                      : fmt::format("the instance '{}' gets the settings, users and passwords that '{}' has now",
                                    plan.to.id, service.name));
  tell("backups that are being taken are cancelled");
  tell("the server is stopped, its connections are cut, and the other data is served on the same port");
  tell(fmt::format("what the service holds now stays for {} hours and can be switched back to",
                   std::chrono::duration_cast<std::chrono::hours>(grace).count()));
  if (plan.candidate) tell(fmt::format("the service '{}' ends", plan.candidate->name));
  if (service.backups.enabled && !has_confirmed_base(tx, plan.to.service_id, plan.to.id)) {
    tell("a backup is taken at once: until it is stored, what is written after the switch cannot be recovered");
  }
  preview.restarts = true;
  return preview;
}

}  // namespace

ServiceChange ServiceCommands::switch_service(const std::string& id, const SwitchRequest& request,
                                              const Principal& principal) {
  require_recover_in_place(principal);
  require_local(deps_.providers, require_service(id, principal));
  model::Service service;
  auto entered = deps_.database.write([&](auto& tx) {
    service = metadata::Services(tx).require(id);
    require_generation(principal, service);
    const auto plan = plan_switch(tx, service, request, deps_.clock.now());
    take_effect(tx, principal, service.id);
    return enter_switch({deps_.operations, events_, deps_.clock}, tx, service, plan);
  });
  for (const auto& cancelled : entered.cancelled) deps_.operations.cancel(cancelled);
  deps_.operations.ring();
  return {std::move(service), std::move(entered.operation)};
}

Preview ServiceCommands::preview_switch(const std::string& id, const SwitchRequest& request,
                                        const Principal& principal) {
  require_recover_in_place(principal);
  require_local(deps_.providers, require_service(id, principal));
  return deps_.database.read([&](auto& tx) {
    const auto service = metadata::Services(tx).require(id);
    require_generation(principal, service);
    const auto plan = plan_switch(tx, service, request, deps_.clock.now());
    return in_words(tx, service, plan, config_.rollback_grace);
  });
}

}  // namespace backstay::control
