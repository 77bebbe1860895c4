// What is wanted of a service at a backend, in the words of the adapter contract, and how it compares with what the
// backend reports.
#pragma once

#include <string>

#include "control/provider.h"
#include "core/json.h"
#include "model/provider.h"
#include "providers/rest_backend.h"

namespace backstay::providers {

/// The sections of a request. A PATCH carries those that changed.
struct RestWish {
  /// {"id", "parameters"}: everything that the plan grants, what it fixes included.
  core::json::object plan{};
  /// With the defaults of the schema: a backend is not expected to know them.
  core::json::object config{};
  /// Only what was asked for: this is what a report is held against.
  core::json::object asked_config{};
  core::json::object secrets{};
  bool pause = false;
  /// The application version that was chosen; empty if none was.
  std::string version{};
};

RestWish wish_of(const control::ServiceBody& body, const model::ProviderDefinition& offer);

/// What a wish looks like to whoever must not see it: a text for each section that changes with it. Secrets are hashed
/// under the instance's own key.
core::json::object fingerprints(const RestWish& wish, const control::ServiceBody& body);

/// What differs between the wish and the report, for people: "config.version is '16', '17' is wanted"; empty if
/// nothing does. What the backend reports beyond the wish, and what it does not report at all, is no difference.
std::string difference(const RestWish& wish, const BackendReport& report);

/// The body of POST without recoverFrom.
core::json::object creation(const RestWish& wish, const model::Service& service);
/// The body of PATCH: the sections whose fingerprints differ from `sent`, and those in which the report differs. Only
/// "id" and "teamId" if none does.
core::json::object change(const RestWish& wish, const control::ServiceBody& body, const core::json::object& sent,
                          const std::optional<BackendReport>& report);

}  // namespace backstay::providers
