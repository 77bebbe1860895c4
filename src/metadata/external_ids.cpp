#include "metadata/external_ids.h"

#include "core/error.h"
#include "metadata/query.h"

namespace backstay::metadata {
namespace {

ExternalId read_external_id(const Row& row) {
  return {.kind = row.text("kind"),
          .team_id = row.integer("team_id"),
          .external_id = row.text("external_id"),
          .object_id = row.text("object_id"),
          .caller_team_id = row.integer("caller_team_id"),
          .created_at = row.time("created_at")};
}

Values identity(const std::string& kind, std::int64_t team_id, const std::string& external_id) {
  return Values().set("kind", kind).set("team_id", team_id).set("external_id", external_id);
}

constexpr auto kWhere = " WHERE kind = :kind AND team_id = :team_id AND external_id = :external_id";

}  // namespace

void ExternalIds::insert(const ExternalId& id) {
  if (find(id.kind, id.team_id, id.external_id)) {
    throw core::Error(core::Code::kAlreadyExists, "the " + id.kind + " '" + id.external_id + "' exists already");
  }
  auto values = identity(id.kind, id.team_id, id.external_id);
  values.set("object_id", id.object_id).set("caller_team_id", id.caller_team_id).set("created_at", id.created_at);
  metadata::insert(tx_, "external_ids", values);
}

std::optional<ExternalId> ExternalIds::find(const std::string& kind, std::int64_t team_id,
                                            const std::string& external_id) {
  return Query(tx_, std::string("SELECT * FROM external_ids") + kWhere)
      .bind(identity(kind, team_id, external_id))
      .first<ExternalId>(read_external_id);
}

std::vector<ExternalId> ExternalIds::list(const std::string& kind, std::int64_t team_id) {
  return Query(tx_,
               "SELECT * FROM external_ids WHERE kind = :kind AND team_id = :team_id ORDER BY created_at, external_id")
      .bind(Values().set("kind", kind).set("team_id", team_id))
      .list<ExternalId>(read_external_id);
}

void ExternalIds::remove(const std::string& kind, std::int64_t team_id, const std::string& external_id) {
  Query(tx_, std::string("DELETE FROM external_ids") + kWhere).bind(identity(kind, team_id, external_id)).run();
}

}  // namespace backstay::metadata
