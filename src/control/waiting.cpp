// Work that waits for a backend elsewhere: what it waits for is the reason of its service's state.
#include "control/service_operations.h"
#include "metadata/services.h"

namespace backstay::control {

void note_waiting(const WorkDependencies& deps, metadata::Transaction& tx, const model::Operation& operation,
                  const core::Error& error) {
  using enum model::ServiceState;
  auto service = metadata::Services(tx).find(operation.service_id);
  if (!service) return;
  auto& status = service->status;
  const bool published = deps.providers.find(service->provider.name, service->provider.version).has_value();
  const auto before = status.state;
  if (!published && before != kDeleting) {
    status.state = kInvalidProvider;
  } else if (before == kInvalidProvider) {
    status.state = status.observed_generation == 0 ? kCreating : kUpdating;
  }
  if (status.state == before && status.reason == error.message()) return;
  status.reason = error.message();
  status.next_step = error.hint();
  metadata::Services(tx).update_status(service->id, status, deps.clock.now());
  if (status.state == before) return;
  if (published) {
    deps.events.record(tx, *service, events::kServiceProviderBack, "the provider of the service is published again");
  } else {
    deps.events.record(tx, *service, events::kServiceProviderGone,
                       fmt::format("{}; {}", error.message(), error.hint()));
  }
}

}  // namespace backstay::control
