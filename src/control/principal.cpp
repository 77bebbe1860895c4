#include "control/principal.h"

#include <fmt/format.h>

#include "core/error.h"
#include "model/team.h"

namespace backstay::control {
namespace {

core::Error missing(const Principal& principal, std::string_view scope) {
  return {core::Code::kForbidden,
          fmt::format("the token '{}' does not have the scope '{}'", principal.token_name, scope)};
}

}  // namespace

bool Principal::may(std::string_view scope) const {
  if (const auto whole = model::whole_of(scope)) return may(*whole) || parts.contains(scope);
  if (scope == model::kScopeRead) return may_read;
  if (scope == model::kScopeChange) return may_write;
  if (scope == model::kScopeDelete) return admin || may_delete;
  if (scope == model::kScopeRecoverInPlace) return admin || may_recover_in_place;
  if (scope == model::kScopeWrite)
    return may_read && may_write && may(model::kScopeDelete) && may(model::kScopeRecoverInPlace);
  if (scope == model::kScopeMetrics) return admin || may_read_metrics;
  return admin;
}

void require_scope(const Principal& principal, std::string_view scope) {
  if (!principal.may(scope)) throw missing(principal, scope);
}

void require_any_read(const Principal& principal) {
  if (!principal.may_read && principal.parts.empty()) throw missing(principal, model::kScopeRead);
}

void require_read(const Principal& principal) { require_scope(principal, model::kScopeRead); }
void require_write(const Principal& principal) { require_scope(principal, model::kScopeChange); }
void require_delete(const Principal& principal) { require_scope(principal, model::kScopeDelete); }
void require_recover_in_place(const Principal& principal) { require_scope(principal, model::kScopeRecoverInPlace); }
void require_admin(const Principal& principal) { require_scope(principal, model::kScopeAdmin); }

}  // namespace backstay::control
