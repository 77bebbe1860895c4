#include "metadata/migrations.h"

#include <fmt/format.h>

#include "core/error.h"
#include "metadata/back_end.h"
#include "metadata/query.h"

namespace backstay::metadata {
namespace {

// Times are microseconds since 1970 in UTC, JSON is TEXT, truth is 0 or 1, "sealed" columns are the Sealer's texts.
const std::vector<Migration> kMigrations{
    {1,
     {
         R"(CREATE TABLE settings (
              key TEXT NOT NULL PRIMARY KEY,
              value TEXT NOT NULL))",
         // Numbers that count up without gaps in order of commit.
         "CREATE TABLE counters (name TEXT NOT NULL PRIMARY KEY, value BIGINT NOT NULL)",
         "INSERT INTO counters (name, value) VALUES ('events', 0), ('operations', 0)",
         R"(CREATE TABLE teams (
              id BIGINT NOT NULL PRIMARY KEY,
              name TEXT NOT NULL,
              slug TEXT NOT NULL UNIQUE,
              sealed_recovery_key TEXT NOT NULL,
              kit_fetched_at BIGINT,
              created_at BIGINT NOT NULL))",
         R"(CREATE TABLE tokens (
              id TEXT NOT NULL PRIMARY KEY,
              name TEXT NOT NULL,
              hash TEXT NOT NULL UNIQUE,
              scopes TEXT NOT NULL,
              all_teams BIGINT NOT NULL,
              team_ids TEXT NOT NULL,
              created_at BIGINT NOT NULL,
              expires_at BIGINT,
              last_used_at BIGINT,
              revoked_at BIGINT))",
         R"(CREATE TABLE destinations (
              id TEXT NOT NULL PRIMARY KEY,
              team_id BIGINT NOT NULL,
              name TEXT NOT NULL,
              url TEXT NOT NULL,
              endpoint_url TEXT NOT NULL,
              region TEXT NOT NULL,
              path_style BIGINT NOT NULL,
              sealed_access_key TEXT NOT NULL,
              sealed_secret_key TEXT NOT NULL,
              probe TEXT NOT NULL,
              probed_at BIGINT,
              is_default BIGINT NOT NULL,
              created_at BIGINT NOT NULL))",
         "CREATE INDEX destinations_team ON destinations (team_id)",
         R"(CREATE TABLE services (
              id TEXT NOT NULL PRIMARY KEY,
              team_id BIGINT NOT NULL REFERENCES teams (id),
              name TEXT NOT NULL,
              provider_name TEXT NOT NULL,
              provider_version TEXT NOT NULL,
              provider_kind TEXT NOT NULL,
              plan TEXT NOT NULL,
              config TEXT NOT NULL,
              sealed_secrets TEXT NOT NULL,
              backups TEXT NOT NULL,
              sealed_backup_secrets TEXT NOT NULL,
              destination_id TEXT NOT NULL,
              pause BIGINT NOT NULL,
              app_version TEXT NOT NULL,
              recovered_from TEXT NOT NULL,
              generation BIGINT NOT NULL,
              delete_requested_at BIGINT,
              deleted_at BIGINT,
              expires_at BIGINT,
              created_at BIGINT NOT NULL,
              updated_at BIGINT NOT NULL,
              state TEXT NOT NULL,
              observed_generation BIGINT NOT NULL,
              instance_id TEXT NOT NULL,
              details TEXT NOT NULL,
              reason TEXT NOT NULL,
              next_step TEXT NOT NULL,
              last_error TEXT NOT NULL))",
         "CREATE UNIQUE INDEX services_name ON services (team_id, name) WHERE deleted_at IS NULL",
         "CREATE INDEX services_team ON services (team_id, created_at, id)",
         "CREATE INDEX services_order ON services (created_at, id)",
         "CREATE INDEX services_destination ON services (destination_id)",
         R"(CREATE TABLE instances (
              id TEXT NOT NULL PRIMARY KEY,
              service_id TEXT NOT NULL REFERENCES services (id) ON DELETE CASCADE,
              node TEXT NOT NULL,
              state TEXT NOT NULL,
              directory TEXT NOT NULL,
              port BIGINT NOT NULL,
              uid BIGINT NOT NULL,
              engine_major BIGINT NOT NULL,
              system_id BIGINT NOT NULL,
              timeline BIGINT NOT NULL,
              destination_id TEXT NOT NULL,
              branch_instance TEXT NOT NULL,
              branch_timeline BIGINT NOT NULL,
              branch_lsn BIGINT NOT NULL,
              served_from BIGINT,
              served_until BIGINT,
              epoch BIGINT NOT NULL,
              facts TEXT NOT NULL,
              created_at BIGINT NOT NULL))",
         "CREATE INDEX instances_service ON instances (service_id, created_at)",
         R"(CREATE TABLE allocations (
              kind TEXT NOT NULL,
              node TEXT NOT NULL,
              value BIGINT NOT NULL,
              owner TEXT NOT NULL,
              PRIMARY KEY (kind, node, value)))",
         "CREATE INDEX allocations_owner ON allocations (owner)",
         R"(CREATE TABLE backups (
              id TEXT NOT NULL PRIMARY KEY,
              service_id TEXT NOT NULL REFERENCES services (id) ON DELETE CASCADE,
              team_id BIGINT NOT NULL,
              instance_id TEXT NOT NULL,
              destination_id TEXT NOT NULL,
              mechanism TEXT NOT NULL,
              origin TEXT NOT NULL,
              state TEXT NOT NULL,
              scheduled_at BIGINT NOT NULL,
              initiated_at BIGINT,
              taken_at BIGINT,
              stored_at BIGINT,
              confirmed_at BIGINT,
              verified_at BIGINT,
              start_lsn BIGINT NOT NULL,
              stop_lsn BIGINT NOT NULL,
              timeline BIGINT NOT NULL,
              data_bytes BIGINT NOT NULL,
              stored_bytes BIGINT NOT NULL,
              error TEXT NOT NULL,
              next_step TEXT NOT NULL))",
         "CREATE INDEX backups_service ON backups (service_id, scheduled_at, id)",
         "CREATE INDEX backups_team ON backups (team_id, scheduled_at, id)",
         "CREATE INDEX backups_order ON backups (scheduled_at, id)",
         "CREATE INDEX backups_destination ON backups (destination_id)",
         R"(CREATE TABLE operations (
              sequence BIGINT NOT NULL PRIMARY KEY,
              id TEXT NOT NULL UNIQUE,
              kind TEXT NOT NULL,
              team_id BIGINT NOT NULL,
              service_id TEXT NOT NULL,
              lane TEXT NOT NULL,
              state TEXT NOT NULL,
              is_open BIGINT NOT NULL,
              step TEXT NOT NULL,
              step_number BIGINT NOT NULL,
              steps BIGINT NOT NULL,
              progress TEXT NOT NULL,
              attempts BIGINT NOT NULL,
              request TEXT NOT NULL,
              sealed_secrets TEXT NOT NULL,
              result TEXT NOT NULL,
              error TEXT NOT NULL,
              cancel_requested BIGINT NOT NULL,
              not_before BIGINT NOT NULL,
              lease_owner TEXT NOT NULL,
              lease_until BIGINT,
              created_at BIGINT NOT NULL,
              started_at BIGINT,
              finished_at BIGINT))",
         "CREATE INDEX operations_open ON operations (sequence) WHERE is_open = 1",
         "CREATE INDEX operations_open_lane ON operations (lane, sequence) WHERE is_open = 1",
         "CREATE UNIQUE INDEX operations_running_lane ON operations (lane) WHERE state = 'running' AND lane <> ''",
         "CREATE INDEX operations_service ON operations (service_id, sequence)",
         "CREATE INDEX operations_finished ON operations (finished_at)",
         R"(CREATE TABLE events (
              sequence BIGINT NOT NULL PRIMARY KEY,
              id TEXT NOT NULL UNIQUE,
              team_id BIGINT NOT NULL,
              service_id TEXT NOT NULL,
              name TEXT NOT NULL,
              time BIGINT NOT NULL,
              observed_at BIGINT NOT NULL,
              severity BIGINT NOT NULL,
              body TEXT NOT NULL,
              attributes TEXT NOT NULL))",
         "CREATE INDEX events_service ON events (service_id, sequence)",
         "CREATE INDEX events_team ON events (team_id, sequence)",
         "CREATE INDEX events_time ON events (time)",
     }},
    {2,
     {
         R"(CREATE TABLE providers (
              name TEXT NOT NULL,
              version TEXT NOT NULL,
              document TEXT NOT NULL,
              sealed_secret TEXT NOT NULL,
              is_global BIGINT NOT NULL,
              team_ids TEXT NOT NULL,
              created_at BIGINT NOT NULL,
              PRIMARY KEY (name, version)))",
         // How often it changed: other servers of the state notice by it.
         "INSERT INTO counters (name, value) VALUES ('providers', 0)",
         // The ids by which a platform that uses Backstay as its backend knows services and backups.
         R"(CREATE TABLE external_ids (
              kind TEXT NOT NULL,
              team_id BIGINT NOT NULL,
              external_id TEXT NOT NULL,
              object_id TEXT NOT NULL UNIQUE,
              caller_team_id BIGINT NOT NULL,
              created_at BIGINT NOT NULL,
              PRIMARY KEY (kind, team_id, external_id)))",
     }},
    {3,
     {
         // Which repository is there, once one was made or first opened: from then on no other one is taken for it.
         "ALTER TABLE destinations ADD COLUMN repository_id TEXT NOT NULL DEFAULT ''",
     }},
    {4,
     {
         R"(CREATE TABLE servers (
              epoch BIGINT NOT NULL PRIMARY KEY,
              id TEXT NOT NULL UNIQUE,
              beats BIGINT NOT NULL,
              entered_at BIGINT NOT NULL))",
         "INSERT INTO counters (name, value) VALUES ('servers', 0), ('changes', 0)",
         // The epoch of the server that drives it, 0 for none, and the number of its last change among all services.
         "ALTER TABLE services ADD COLUMN driver BIGINT NOT NULL DEFAULT 0",
         "ALTER TABLE services ADD COLUMN change BIGINT NOT NULL DEFAULT 0",
         "CREATE INDEX services_driver ON services (driver, change)",
         "CREATE INDEX services_state ON services (state)",
         "CREATE INDEX operations_team ON operations (team_id, sequence)",
     }},
    {5,
     {
         R"(CREATE TABLE idempotency_keys (
              caller TEXT NOT NULL,
              key_text TEXT NOT NULL,
              sealed_request TEXT NOT NULL,
              state TEXT NOT NULL,
              attempt TEXT NOT NULL,
              lease_until BIGINT NOT NULL,
              subject TEXT NOT NULL,
              status BIGINT NOT NULL,
              sealed_answer TEXT NOT NULL,
              expires_at BIGINT NOT NULL,
              PRIMARY KEY (caller, key_text)))",
         "CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at)",
     }},
    {6,
     {
         // What its owner says of a backup, and why it goes.
         "ALTER TABLE backups ADD COLUMN pinned BIGINT NOT NULL DEFAULT 0",
         "ALTER TABLE backups ADD COLUMN expires_at BIGINT",
         "ALTER TABLE backups ADD COLUMN label TEXT NOT NULL DEFAULT ''",
         "ALTER TABLE backups ADD COLUMN removal_reason TEXT NOT NULL DEFAULT ''",
         // When old backups of a service, and garbage of a repository, are looked for again.
         "ALTER TABLE services ADD COLUMN retention_due_at BIGINT",
         "UPDATE services SET retention_due_at = 0 WHERE destination_id <> '' OR expires_at IS NOT NULL",
         "CREATE INDEX services_retention ON services (driver, retention_due_at)",
         "ALTER TABLE destinations ADD COLUMN prune_due_at BIGINT",
         // True for one that was made because a service named the place: it goes when nothing needs it any more.
         "ALTER TABLE destinations ADD COLUMN made_for_service BIGINT NOT NULL DEFAULT 0",
     }},
    {7,
     {
         R"(CREATE TABLE audit (
              sequence BIGINT NOT NULL PRIMARY KEY,
              id TEXT NOT NULL UNIQUE,
              at BIGINT NOT NULL,
              token_id TEXT NOT NULL,
              token_name TEXT NOT NULL,
              all_teams BIGINT NOT NULL,
              team_ids TEXT NOT NULL,
              method TEXT NOT NULL,
              operation TEXT NOT NULL,
              path TEXT NOT NULL,
              object_id TEXT NOT NULL,
              parameters TEXT NOT NULL,
              status BIGINT NOT NULL,
              code TEXT NOT NULL,
              trace_id TEXT NOT NULL,
              request_id TEXT NOT NULL,
              client TEXT NOT NULL))",
         "CREATE INDEX audit_at ON audit (at)",
         "CREATE INDEX audit_token ON audit (token_id, sequence)",
         "CREATE INDEX audit_object ON audit (object_id, sequence)",
         "INSERT INTO counters (name, value) VALUES ('audit', 0)",
     }},
    {8, {"ALTER TABLE services ADD COLUMN deletion_protection BIGINT NOT NULL DEFAULT 0"}},
    {9,
     {
         R"(CREATE TABLE webhooks (
              id TEXT NOT NULL PRIMARY KEY,
              team_id BIGINT NOT NULL,
              name TEXT NOT NULL,
              url TEXT NOT NULL,
              events TEXT NOT NULL,
              sealed_secret TEXT NOT NULL,
              enabled BIGINT NOT NULL,
              disabled_reason TEXT NOT NULL,
              failing_since BIGINT,
              after_sequence BIGINT NOT NULL,
              created_at BIGINT NOT NULL))",
         R"(CREATE TABLE webhook_deliveries (
              id TEXT NOT NULL PRIMARY KEY,
              sequence BIGINT NOT NULL UNIQUE,
              webhook_id TEXT NOT NULL,
              team_id BIGINT NOT NULL,
              event_id TEXT NOT NULL,
              event_name TEXT NOT NULL,
              body TEXT NOT NULL,
              state TEXT NOT NULL,
              attempts BIGINT NOT NULL,
              next_at BIGINT NOT NULL,
              created_at BIGINT NOT NULL,
              finished_at BIGINT,
              last_status BIGINT NOT NULL,
              last_error TEXT NOT NULL))",
         "CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook_id, state, next_at)",
         "CREATE INDEX webhook_deliveries_of ON webhook_deliveries (webhook_id, sequence)",
         "CREATE INDEX webhook_deliveries_end ON webhook_deliveries (finished_at)",
         "INSERT INTO counters (name, value) VALUES ('webhook_deliveries', 0)",
     }},
    {10, {"CREATE INDEX backups_waiting ON backups (origin, team_id) WHERE state = 'scheduled'"}},
    {11,
     {
         "ALTER TABLE services ADD COLUMN labels TEXT NOT NULL DEFAULT '{}'",
         "ALTER TABLE backups ADD COLUMN labels TEXT NOT NULL DEFAULT '{}'",
         "ALTER TABLE backups ADD COLUMN schedule_id TEXT NOT NULL DEFAULT ''",
         "ALTER TABLE backups ADD COLUMN number BIGINT NOT NULL DEFAULT 0",
         R"(UPDATE backups SET number = counted.number
              FROM (SELECT id, ROW_NUMBER() OVER (ORDER BY scheduled_at, id) AS number FROM backups) AS counted
              WHERE counted.id = backups.id)",
         "INSERT INTO counters (name, value) SELECT 'backups', COUNT(*) FROM backups",
         "CREATE UNIQUE INDEX backups_number ON backups (number)",
     }},
    {12,
     {
         R"(CREATE TABLE schedules (
              id TEXT NOT NULL PRIMARY KEY,
              team_id BIGINT NOT NULL,
              service_id TEXT NOT NULL REFERENCES services (id) ON DELETE CASCADE,
              name TEXT NOT NULL,
              destination_id TEXT NOT NULL,
              cron TEXT NOT NULL,
              time_zone TEXT NOT NULL,
              interval_h BIGINT NOT NULL,
              counted_from BIGINT NOT NULL,
              retention_count BIGINT NOT NULL,
              retention_days BIGINT NOT NULL,
              mechanism TEXT NOT NULL,
              enabled BIGINT NOT NULL,
              next_at BIGINT,
              last_run_at BIGINT,
              last_backup_id TEXT NOT NULL,
              last_outcome TEXT NOT NULL,
              generation BIGINT NOT NULL,
              created_at BIGINT NOT NULL,
              updated_at BIGINT NOT NULL,
              deleted_at BIGINT))",
         "CREATE INDEX schedules_due ON schedules (next_at)",
         "CREATE INDEX schedules_service ON schedules (service_id, created_at)",
         "CREATE INDEX schedules_destination ON schedules (destination_id)",
         "CREATE INDEX backups_schedule ON backups (schedule_id) WHERE schedule_id <> ''",
     }},
    {13,
     {
         "ALTER TABLE services ADD COLUMN candidate_of TEXT NOT NULL DEFAULT ''",
         "ALTER TABLE instances ADD COLUMN served_before TEXT NOT NULL DEFAULT '[]'",
         "ALTER TABLE instances ADD COLUMN kept_until BIGINT",
         "ALTER TABLE instances ADD COLUMN unsent BIGINT NOT NULL DEFAULT 0",
         "CREATE INDEX services_candidates ON services (candidate_of) WHERE candidate_of <> ''",
         "CREATE INDEX instances_kept ON instances (kept_until) WHERE kept_until IS NOT NULL",
     }},
    {14,
     {
         R"(CREATE TABLE accounts (
              id TEXT NOT NULL PRIMARY KEY,
              email TEXT NOT NULL UNIQUE,
              first_name TEXT NOT NULL,
              last_name TEXT NOT NULL,
              role TEXT NOT NULL,
              team_ids TEXT NOT NULL,
              password_hash TEXT NOT NULL,
              created_at BIGINT NOT NULL,
              updated_at BIGINT NOT NULL,
              last_login_at BIGINT))",
         "ALTER TABLE tokens ADD COLUMN kind TEXT NOT NULL DEFAULT 'key'",
         "ALTER TABLE tokens ADD COLUMN account_id TEXT NOT NULL DEFAULT ''",
         "ALTER TABLE tokens ADD COLUMN key_id TEXT NOT NULL DEFAULT ''",
         "ALTER TABLE tokens ADD COLUMN grants TEXT NOT NULL DEFAULT '[]'",
         "CREATE INDEX tokens_kind ON tokens (kind, created_at)",
         "CREATE INDEX tokens_account ON tokens (account_id) WHERE account_id <> ''",
     }},
    {15, {"ALTER TABLE destinations ADD COLUMN lost_at BIGINT"}},
    {16,
     {
         "ALTER TABLE destinations ADD COLUMN provider TEXT NOT NULL DEFAULT ''",
         "ALTER TABLE destinations ADD COLUMN account_id TEXT NOT NULL DEFAULT ''",
         "ALTER TABLE destinations ADD COLUMN jurisdiction TEXT NOT NULL DEFAULT ''",
         "ALTER TABLE backups ADD COLUMN stands_alone BIGINT NOT NULL DEFAULT 0",
     }},
    {17,
     {
         "ALTER TABLE backups ADD COLUMN verification TEXT NOT NULL DEFAULT '{}'",
         "ALTER TABLE services ADD COLUMN verification_due_at BIGINT",
         "UPDATE services SET verification_due_at = 0 WHERE destination_id <> ''",
         "CREATE INDEX services_verification ON services (driver, verification_due_at)",
     }},
    {24,
     {
         "ALTER TABLE backups ADD COLUMN full_wanted BIGINT NOT NULL DEFAULT 0",
         "ALTER TABLE backups ADD COLUMN base_id TEXT NOT NULL DEFAULT ''",
         "ALTER TABLE backups ADD COLUMN read_bytes BIGINT NOT NULL DEFAULT 0",
         "ALTER TABLE backups ADD COLUMN full_reason TEXT NOT NULL DEFAULT ''",
     }}};

int stored_version(soci::session& sql) {
  Query(sql, "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)").run();
  return Query(sql, "SELECT version FROM schema_version ORDER BY version DESC LIMIT 1")
      .first<int>([](const Row& row) { return static_cast<int>(row.integer("version")); })
      .value_or(0);
}

void apply(const BackEnd& back_end, soci::session& sql, const Migration& migration) {
  back_end.begin(sql, Access::kWrite);
  try {
    for (const auto statement : migration.statements) Query(sql, std::string(statement)).run();
    Query(sql, "INSERT INTO schema_version (version) VALUES (:version)")
        .bind(Values().set("version", migration.version))
        .run();
    Query(sql, "COMMIT").run();
  } catch (const core::Error&) {
    if (sql.is_connected()) Query(sql, "ROLLBACK").run();
    throw;
  }
}

}  // namespace

std::span<const Migration> migrations() { return kMigrations; }

void migrate(const BackEnd& back_end, soci::session& sql, std::span<const Migration> steps) {
  const auto lock = back_end.lock_schema(sql);
  const int version = stored_version(sql);
  const int newest = steps.back().version;
  if (version > newest) {
    throw core::Error(core::Code::kStateTooNew,
                      fmt::format("the state has schema {}, this program knows up to {}", version, newest));
  }
  if (version == newest) return;
  if (version > 0) back_end.keep_before(sql, newest);
  for (const auto& step : steps) {
    if (step.version > version) apply(back_end, sql, step);
  }
}

}  // namespace backstay::metadata
