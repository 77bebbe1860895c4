// Where backups go, as control sees it: settings, a probe, and the recovery kit. The drivers are in blob/; providers/
// implements the gate to them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/json.h"
#include "core/secret.h"
#include "model/destination.h"
#include "model/secrets.h"
#include "model/team.h"

namespace backstay::control {

/// Reads the keys of backups.config and backups.secrets: destinationPath, endpointUrl, region, pathStyle, provider,
/// accountId, jurisdiction (model/destination_provider.h), accessKeyId or accessKey in config or secrets, secretKey in
/// secrets. Sets only where it is and how to open it. Throws Error(invalid_argument) with a field below `pointer`.
model::Destination parse_destination(const core::json::object& config, const model::Secrets& secrets,
                                     std::string_view pointer);
/// Throws the same if an S3 store is named without its keys.
void require_keys(const model::Destination& destination, std::string_view pointer);

struct ProbeCheck {
  std::string name;
  bool essential = false;
  bool passed = false;
  /// What was seen, and what to change if it did not pass.
  std::string message;
};

/// Thread-safe.
class StoreGate {
 public:
  virtual ~StoreGate() = default;
  /// Judges what needs no look at the store. Throws Error(invalid_argument) with one field for each fault, named after
  /// the settings: "/destinationPath", "/endpointUrl", "/region", "/accessKey", "/secretKey".
  virtual void check(const model::Destination& destination) = 0;
  /// Tries what Backstay needs of a store, for the destination's team; a directory is made if the destination is new
  /// (has no id). Throws Error(unavailable) while too many requests wait for stores, and if something essential does
  /// not work, naming what to change, and what opening it throws (a path outside the allowed roots, an address that may
  /// not be reached).
  virtual std::vector<ProbeCheck> probe(const model::Destination& destination) = 0;
  /// True if the place can be read and holds the repository of this id.
  virtual bool holds_repository(const model::Destination& destination, const std::string& repository_id) = 0;
  /// The team's recovery kit as text for people: what it is, the recovery key, how it is used.
  [[nodiscard]] virtual std::string recovery_kit(const model::Team& team,
                                                 const std::vector<model::Destination>& destinations) const = 0;
  /// A new team key in the form that the kit prints.
  [[nodiscard]] virtual core::Secret make_recovery_key() = 0;
};

/// A refusal of the store that a request names below `pointer`, as a refusal of the request: with the places of config
/// and secrets there. Other errors stay as they are.
core::Error at_place(const core::Error& error, const model::Destination& destination, std::string_view pointer);

/// The report as destinations keep it.
core::json::object probe_to_json(const std::vector<ProbeCheck>& checks);

}  // namespace backstay::control
