// Databases as Cloudheed's clients see services.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/cloudheed/routes.h"
#include "api/dialect_request.h"
#include "control/principal.h"
#include "core/json.h"
#include "core/secret.h"
#include "model/operation.h"
#include "model/service.h"

namespace backstay::api::cloudheed {

inline constexpr std::string_view kRegionLabel = "cloudheed.region";
/// Of what is no tier's plan.
inline constexpr std::string_view kNoTier = "custom";
/// Three to 63 lower-case letters, digits and single hyphens; the first is a letter, the last no hyphen.
core::json::object name_schema();
core::json::object database_schema();
core::json::object database_item_schema();

/// Reads what the objects of databases show. Lives as long as a request.
class Databases {
 public:
  Databases(const Context& context, const control::Principal& principal) : context_(context), principal_(principal) {}

  /// The database that the path names: a service that runs PostgreSQL. Throws Error(not_found).
  [[nodiscard]] model::Service require(const std::string& id) const;
  /// The same, also for whoever may read no more of it than its backups.
  [[nodiscard]] model::Service require_for_backups(const std::string& id) const;
  /// Everything but the password.
  [[nodiscard]] core::json::object object(const model::Service& service) const;
  [[nodiscard]] core::json::object item(const model::Service& service) const;
  [[nodiscard]] std::string status(const model::Service& service) const;
  /// Of the installed PostgreSQL, the newest last.
  [[nodiscard]] std::vector<std::string> versions() const;
  [[nodiscard]] std::string region(const model::Service& service) const;

 private:
  [[nodiscard]] std::string updating_status(const model::Service& service) const;
  [[nodiscard]] std::string version(const model::Service& service) const;

  const Context& context_;
  const control::Principal& principal_;
};

/// With the password, or as much as anybody may see without it; null until the address is known.
core::json::value connection_string(const model::Service& service, const std::optional<core::Secret>& password);
/// The name that the offer has for the password among its secrets.
std::string_view password_field(const model::Service& service);
/// What the platform calls the house's fields.
const FieldNames& database_fields();

}  // namespace backstay::api::cloudheed
