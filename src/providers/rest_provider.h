// Published providers: services that a backend of the adapter contract makes, somewhere else.
//
// Backstay sends what is wanted and watches what the backend reports; the two are compared again and again, so that
// whatever changes on either side is brought together. Work that waits for the backend says Error(not_yet) and is
// looked at again; no thread waits with it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "control/provider.h"
#include "control/provider_commands.h"
#include "core/time.h"
#include "http/client.h"
#include "providers/rest_backend_poller.h"

namespace backstay::providers {

/// What the provider needs; all outlive it.
struct RestProviderDependencies {
  http::Transport& transport;
  core::Clock& clock;
  /// What is published now; called from any thread.
  std::function<std::optional<model::ProviderDefinition>(std::string_view name, std::string_view version)> find;
};

std::unique_ptr<control::Provider> make_rest_provider(RestProviderDependencies dependencies, PollerConfig config = {});

/// Thread-safe if the transport is.
class RestBackendGate final : public control::BackendGate {
 public:
  explicit RestBackendGate(http::Transport& transport) : transport_(transport) {}
  std::optional<std::string> probe(const model::ApiBackend& backend) override;

 private:
  http::Transport& transport_;
};

}  // namespace backstay::providers
