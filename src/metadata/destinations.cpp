#include "metadata/destinations.h"

#include "core/error.h"
#include "metadata/query.h"
#include "metadata/sealer.h"

namespace backstay::metadata {
namespace {

SealedPlace access_key_of(const std::string& id) {
  return {.table = "destinations", .column = "sealed_access_key", .row = id};
}
SealedPlace secret_key_of(const std::string& id) {
  return {.table = "destinations", .column = "sealed_secret_key", .row = id};
}

Values changing_values(const model::Destination& destination, Sealer& sealer) {
  return Values()
      .set("name", destination.name)
      .set("url", destination.url)
      .set("provider", destination.provider)
      .set("account_id", destination.account_id)
      .set("jurisdiction", destination.jurisdiction)
      .set("endpoint_url", destination.endpoint_url)
      .set("region", destination.region)
      .set("path_style", destination.path_style)
      .set("sealed_access_key", sealer.seal(access_key_of(destination.id), destination.access_key.reveal()))
      .set("sealed_secret_key", sealer.seal(secret_key_of(destination.id), destination.secret_key.reveal()))
      .set("probe", destination.probe)
      .set("probed_at", destination.probed_at)
      .set("is_default", destination.is_default)
      .set("made_for_service", destination.made_for_service)
      .set("lost_at", destination.lost_at);
}

model::Destination read_destination(const Row& row, Sealer& sealer) {
  model::Destination destination;
  destination.id = row.text("id");
  destination.team_id = row.integer("team_id");
  destination.name = row.text("name");
  destination.url = row.text("url");
  destination.provider = row.text("provider");
  destination.account_id = row.text("account_id");
  destination.jurisdiction = row.text("jurisdiction");
  destination.endpoint_url = row.text("endpoint_url");
  destination.region = row.text("region");
  destination.path_style = row.flag("path_style");
  destination.access_key = sealer.open(access_key_of(destination.id), row.text("sealed_access_key"));
  destination.secret_key = sealer.open(secret_key_of(destination.id), row.text("sealed_secret_key"));
  destination.probe = row.object("probe");
  destination.probed_at = row.maybe_time("probed_at");
  destination.is_default = row.flag("is_default");
  destination.made_for_service = row.flag("made_for_service");
  destination.lost_at = row.maybe_time("lost_at");
  destination.created_at = row.time("created_at");
  return destination;
}

std::vector<model::Destination> select(Transaction& tx, const std::string& rest, const Values& bound) {
  return Query(tx, "SELECT * FROM destinations " + rest).bind(bound).list<model::Destination>([&](const Row& row) {
    return read_destination(row, tx.sealer());
  });
}

std::optional<model::Destination> select_first(Transaction& tx, const std::string& rest, const Values& bound) {
  auto found = select(tx, rest, bound);
  if (found.empty()) return std::nullopt;
  return std::move(found.front());
}

/// A team has one default.
void take_default_role(Transaction& tx, const model::Destination& destination) {
  if (!destination.is_default) return;
  update(tx, "destinations", Values().set("is_default", false), "team_id = :team_id AND id <> :id",
         Values().set("team_id", destination.team_id).set("id", destination.id));
}

}  // namespace

void Destinations::insert(const model::Destination& destination) {
  auto values = changing_values(destination, tx_.sealer());
  values.set("id", destination.id).set("team_id", destination.team_id).set("created_at", destination.created_at);
  metadata::insert(tx_, "destinations", values);
  take_default_role(tx_, destination);
}

std::optional<model::Destination> Destinations::find(const std::string& id) {
  return select_first(tx_, "WHERE id = :id", Values().set("id", id));
}

model::Destination Destinations::require(const std::string& id) {
  auto found = find(id);
  if (!found) throw core::Error(core::Code::kNotFound, "destination '" + id + "' does not exist");
  return std::move(*found);
}

std::optional<model::Destination> Destinations::find_place(std::int64_t team_id, const std::string& url,
                                                           const std::string& endpoint_url) {
  return select_first(tx_,
                      "WHERE team_id = :team_id AND url = :url AND endpoint_url = :endpoint_url AND lost_at IS NULL "
                      "ORDER BY created_at, id",
                      Values().set("team_id", team_id).set("url", url).set("endpoint_url", endpoint_url));
}

std::vector<model::Destination> Destinations::list(std::optional<std::int64_t> team_id) {
  if (!team_id) return select(tx_, "ORDER BY created_at, id", {});
  return select(tx_, "WHERE team_id = :team_id OR team_id = 0 ORDER BY created_at, id",
                Values().set("team_id", *team_id));
}

std::optional<model::Destination> Destinations::find_default(std::int64_t team_id) {
  return select_first(tx_, "WHERE is_default = 1 AND (team_id = :team_id OR team_id = 0) ORDER BY team_id DESC",
                      Values().set("team_id", team_id));
}

void Destinations::update(const model::Destination& destination) {
  const auto values = changing_values(destination, tx_.sealer());
  if (metadata::update(tx_, "destinations", values, "id = :id", Values().set("id", destination.id)) == 0) {
    throw core::Error(core::Code::kNotFound, "destination '" + destination.id + "' does not exist");
  }
  take_default_role(tx_, destination);
}

std::optional<std::string> Destinations::repository_id(const std::string& id) {
  return Query(tx_, "SELECT repository_id FROM destinations WHERE id = :id AND repository_id <> ''")
      .bind(Values().set("id", id))
      .first<std::string>([](const Row& row) { return row.text("repository_id"); });
}

void Destinations::remember_repository(const std::string& id, const std::string& repository_id) {
  metadata::update(tx_, "destinations", Values().set("repository_id", repository_id), "id = :id AND repository_id = ''",
                   Values().set("id", id));
}

void Destinations::forget_repository(const std::string& id) {
  metadata::update(tx_, "destinations", Values().set("repository_id", std::string()), "id = :id",
                   Values().set("id", id));
}

std::vector<DestinationUser> Destinations::users(const std::string& id) {
  return Query(
             tx_,
             "SELECT 1 AS rank, 'service' AS kind, id, name FROM services WHERE destination_id = :id UNION ALL "
             "SELECT 2 AS rank, 'schedule' AS kind, id, CASE name WHEN '' THEN id ELSE name END AS name FROM schedules "
             "WHERE destination_id = :id AND deleted_at IS NULL UNION ALL "
             "SELECT 3 AS rank, 'backup' AS kind, id, id AS name FROM backups "
             "WHERE destination_id = :id AND state <> 'deleted' UNION ALL "
             "SELECT 4 AS rank, 'instance' AS kind, id, id AS name FROM instances "
             "WHERE destination_id = :id AND state <> 'removed' ORDER BY rank, name LIMIT 5")
      .bind(Values().set("id", id))
      .list<DestinationUser>(
          [](const Row& row) { return DestinationUser{row.text("kind"), row.text("id"), row.text("name")}; });
}

std::optional<std::string> Destinations::find_user(const std::string& id) {
  const auto found = users(id);
  if (found.empty()) return std::nullopt;
  return found.front().id;
}

void Destinations::remove(const std::string& id) {
  if (const auto used = find_user(id)) {
    throw core::Error(core::Code::kConflict, "destination '" + id + "' is in use by '" + *used + "'");
  }
  Query(tx_, "DELETE FROM destinations WHERE id = :id").bind(Values().set("id", id)).run();
}

}  // namespace backstay::metadata
