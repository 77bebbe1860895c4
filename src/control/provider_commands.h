// Publishing providers: made, replaced, changed and withdrawn while the server runs.
//
// A global one needs an administrator, one of teams a token that may write and sees all of them. Services outlive their
// provider: they show "invalid provider" until it is published again.
#pragma once

#include <optional>
#include <string>

#include "control/event_log.h"
#include "control/precondition.h"
#include "control/preview.h"
#include "control/principal.h"
#include "control/provider_registry.h"
#include "core/json.h"
#include "core/random.h"
#include "core/time.h"
#include "metadata/database.h"

namespace backstay::control {

/// The way to published backends, as control sees it; providers/ implements it.
class BackendGate {
 public:
  virtual ~BackendGate() = default;
  /// Throws Error(invalid_argument) for an address that is none and Error(egress_refused) for one that may not be
  /// reached. Otherwise asks the backend once: why it does not answer as it should, nothing if it does.
  virtual std::optional<std::string> probe(const model::ApiBackend& backend) = 0;
};

/// What the commands need; all outlive them.
struct ProviderCommandDependencies {
  metadata::Database& database;
  ProviderRegistry& providers;
  BackendGate& backends;
  core::Clock& clock;
  core::Random& random;
};

/// Thread-safe. Bodies are documents (model/provider_document.h) with an optional `scope`; a body without one means
/// global. A provider that the principal does not see is not_found.
class ProviderCommands {
 public:
  explicit ProviderCommands(ProviderCommandDependencies dependencies);

  using Precondition = control::Precondition<model::ProviderDefinition>;
  /// What it is then, and what that changes.
  struct Change {
    model::ProviderDefinition provider;
    Preview preview;
  };

  /// Throws Error(already_exists).
  model::ProviderDefinition create(const core::json::object& body, const Principal& principal);
  /// Makes it, or replaces all of it. Nothing happens if it is like this already.
  Change upsert(const core::json::object& body, const Principal& principal, Effect effect = Effect::kLasting);
  /// Replaces the keys that the body has. The secret of the backend stays only while its address does: it must not be
  /// sent to another one because whoever changes the address does not know it.
  Change update(const std::string& name, const std::string& version, const core::json::object& body,
                const Principal& principal, Effect effect = Effect::kLasting, const Precondition& precondition = {});
  Preview remove(const std::string& name, const std::string& version, const Principal& principal,
                 Effect effect = Effect::kLasting, const Precondition& precondition = {});

 private:
  struct Wanted;
  Wanted judge(const core::json::object& body, const model::ProviderScope& scope, const Principal& principal);
  void probe(Wanted& wanted);
  Change write(const Wanted& wanted, const Principal& principal, Effect effect, const Precondition& precondition = {});
  void write_new(metadata::Transaction& tx, const Wanted& wanted, const Principal& principal);
  metadata::PublishedProvider require(metadata::Transaction& tx, const std::string& name, const std::string& version,
                                      const Principal& principal);
  void refuse_built_in(const std::string& name);
  void tell(metadata::Transaction& tx, const metadata::PublishedProvider& provider, EventKind kind,
            const std::string& body);

  ProviderCommandDependencies deps_;
  EventLog events_;
};

}  // namespace backstay::control
