#include "control/principal.h"

#include "core/error.h"
#include "model/team.h"

namespace backstay::control {
namespace {

void require_scope(bool allowed, const Principal& principal, std::string_view scope) {
  if (allowed) return;
  throw core::Error(core::Code::kForbidden,
                    fmt::format("the token '{}' does not have the scope '{}'", principal.token_name, scope));
}

}  // namespace

void require_read(const Principal& principal) { require_scope(principal.may_read, principal, model::kScopeRead); }
void require_write(const Principal& principal) { require_scope(principal.may_write, principal, model::kScopeChange); }
void require_delete(const Principal& principal) {
  require_scope(principal.admin || principal.may_delete, principal, model::kScopeDelete);
}
void require_recover_in_place(const Principal& principal) {
  require_scope(principal.admin || principal.may_recover_in_place, principal, model::kScopeRecoverInPlace);
}
void require_admin(const Principal& principal) { require_scope(principal.admin, principal, model::kScopeAdmin); }

}  // namespace backstay::control
