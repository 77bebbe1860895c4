#include "metadata/providers.h"

#include "core/error.h"
#include "metadata/query.h"
#include "metadata/sealer.h"

namespace backstay::metadata {
namespace {

constexpr auto kCounter = "providers";
constexpr auto kWhere = "name = :the_name AND version = :the_version";

Values identity(const std::string& name, const std::string& version) {
  return Values().set("the_name", name).set("the_version", version);
}

std::string row_of(const std::string& name, const std::string& version) { return name + "/" + version; }

SealedPlace secret_of(const std::string& row) { return {.table = "providers", .column = "sealed_secret", .row = row}; }

Values changing_values(const PublishedProvider& provider, Sealer& sealer) {
  const std::string row = row_of(provider.name, provider.version);
  return Values()
      .set("document", provider.document)
      .set("sealed_secret", sealer.seal(secret_of(row), provider.secret.reveal()))
      .set("is_global", provider.scope.global)
      .set("team_ids", core::json::array(provider.scope.team_ids.begin(), provider.scope.team_ids.end()));
}

PublishedProvider read_provider(const Row& row, Sealer& sealer) {
  PublishedProvider provider;
  provider.name = row.text("name");
  provider.version = row.text("version");
  provider.document = row.object("document");
  provider.secret = sealer.open(secret_of(row_of(provider.name, provider.version)), row.text("sealed_secret"));
  provider.scope.global = row.flag("is_global");
  for (const auto& id : row.array("team_ids")) provider.scope.team_ids.push_back(id.as_int64());
  provider.created_at = row.time("created_at");
  return provider;
}

}  // namespace

void Providers::insert(const PublishedProvider& provider) {
  if (find(provider.name, provider.version)) {
    throw core::Error(core::Code::kAlreadyExists,
                      "the provider '" + provider.name + "' version '" + provider.version + "' exists already");
  }
  auto values = changing_values(provider, tx_.sealer());
  values.set("name", provider.name).set("version", provider.version).set("created_at", provider.created_at);
  metadata::insert(tx_, "providers", values);
  next_number(tx_, kCounter);
}

std::optional<PublishedProvider> Providers::find(const std::string& name, const std::string& version) {
  return Query(tx_, std::string("SELECT * FROM providers WHERE ") + kWhere)
      .bind(identity(name, version))
      .first<PublishedProvider>([&](const Row& row) { return read_provider(row, tx_.sealer()); });
}

std::vector<PublishedProvider> Providers::list() {
  return Query(tx_, "SELECT * FROM providers ORDER BY name, version").list<PublishedProvider>([&](const Row& row) {
    return read_provider(row, tx_.sealer());
  });
}

void Providers::update(const PublishedProvider& provider) {
  const auto values = changing_values(provider, tx_.sealer());
  if (metadata::update(tx_, "providers", values, kWhere, identity(provider.name, provider.version)) == 0) {
    throw core::Error(core::Code::kNotFound,
                      "the provider '" + provider.name + "' version '" + provider.version + "' does not exist");
  }
  next_number(tx_, kCounter);
}

bool Providers::remove(const std::string& name, const std::string& version) {
  const auto removed =
      Query(tx_, std::string("DELETE FROM providers WHERE ") + kWhere).bind(identity(name, version)).run();
  if (removed == 0) return false;
  next_number(tx_, kCounter);
  return true;
}

std::int64_t Providers::revision() {
  return Query(tx_, "SELECT value FROM counters WHERE name = :counter")
      .bind(Values().set("counter", kCounter))
      .first<std::int64_t>([](const Row& row) { return row.integer("value"); })
      .value_or(0);
}

}  // namespace backstay::metadata
