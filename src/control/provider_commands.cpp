#include "control/provider_commands.h"

#include <algorithm>
#include <set>

#include <fmt/ranges.h>

#include "control/events.h"
#include "control/idempotency.h"
#include "core/error.h"
#include "metadata/teams.h"
#include "model/provider_document.h"

namespace backstay::control {
namespace {

bool sees(const model::ProviderScope& scope, const Principal& principal) {
  return scope.global ||
         std::ranges::any_of(scope.team_ids, [&](std::int64_t team) { return principal.sees_team(team); });
}

/// Changing it changes it for all of its teams.
void require_rights(const model::ProviderScope& scope, const Principal& principal) {
  require_write(principal);
  if (principal.admin) return;
  if (scope.global) {
    throw core::Error(core::Code::kForbidden, "a provider for all teams needs a token with the scope 'admin'")
        .with_field("/scope", "must be {\"type\": \"team\", \"teamIds\": […]} for this token");
  }
  const auto foreign =
      std::ranges::find_if(scope.team_ids, [&](std::int64_t team) { return !principal.sees_team(team); });
  if (foreign == scope.team_ids.end()) return;
  throw core::Error(core::Code::kForbidden, fmt::format("the token may not change what team {} uses", *foreign))
      .with_field("/scope/teamIds", "names a team that this token does not see");
}

bool same(const metadata::PublishedProvider& a, const metadata::PublishedProvider& b) {
  return a.document == b.document && a.scope == b.scope &&
         core::equal_in_constant_time(a.secret.reveal(), b.secret.reveal());
}

std::string title(const metadata::PublishedProvider& provider) {
  return fmt::format("the provider '{}' version '{}'", provider.name, provider.version);
}

std::string changes_of(const metadata::PublishedProvider& before, const metadata::PublishedProvider& after) {
  std::vector<std::string> changed;
  std::set<std::string> keys;
  for (const auto* document : {&before.document, &after.document}) {
    for (const auto& [key, value] : *document) keys.emplace(key);
  }
  for (const auto& key : keys) {
    const auto *old = before.document.if_contains(key), *now = after.document.if_contains(key);
    if (old == nullptr || now == nullptr || *old != *now) changed.push_back(key);
  }
  if (!(before.scope == after.scope)) changed.emplace_back("scope");
  if (!core::equal_in_constant_time(before.secret.reveal(), after.secret.reveal())) {
    changed.emplace_back("the backend's secret");
  }
  return changed.empty() ? "nothing changes" : fmt::format("{} is changed: {}", title(after), fmt::join(changed, ", "));
}

model::ProviderScope scope_of(const core::json::object& body) {
  const auto* scope = core::find_object(body, "scope");
  return scope == nullptr ? model::ProviderScope{} : model::scope_from_json(*scope);
}

std::string endpoint_of(const core::json::object& document) {
  return std::string(document.at("backend").at("api").at("endpoint").as_string());
}

}  // namespace

struct ProviderCommands::Wanted {
  metadata::PublishedProvider provider;
  /// Why its backend does not answer yet.
  std::optional<std::string> silence;
  /// It is a change of one that was there.
  bool was_there = false;

  [[nodiscard]] std::string in_words() const {
    return silence ? fmt::format("; its backend does not answer as it should: {}", *silence) : "";
  }
};

ProviderCommands::ProviderCommands(ProviderCommandDependencies dependencies)
    : deps_(dependencies), events_(deps_.clock, deps_.random) {}

void ProviderCommands::refuse_built_in(const std::string& name) {
  if (!deps_.providers.is_built_in(name)) return;
  throw core::Error(core::Code::kConflict, fmt::format("the provider '{}' is built in", name))
      .with_field("/name", "belongs to a provider that is built in")
      .with_hint("publish yours under another name");
}

ProviderCommands::Wanted ProviderCommands::judge(const core::json::object& body, const model::ProviderScope& scope,
                                                 const Principal& principal) {
  auto offer = model::provider_from_document(body);
  refuse_built_in(offer.name);
  require_rights(scope, principal);
  for (std::size_t i = 0; i < scope.team_ids.size(); ++i) {
    if (deps_.database.read([&](auto& tx) { return metadata::Teams(tx).find(scope.team_ids[i]); })) continue;
    const auto message = fmt::format("there is no team {}", scope.team_ids[i]);
    throw core::Error(core::Code::kInvalidArgument, message).with_field("/scope/teamIds", message);
  }
  Wanted wanted;
  wanted.provider = {.name = offer.name,
                     .version = offer.version,
                     .document = model::to_json(offer),
                     .secret = offer.backend->secret,
                     .scope = scope,
                     .created_at = deps_.clock.now()};
  return wanted;
}

/// Outside of transactions. A backend may come after its provider; only an address that cannot be is refused.
void ProviderCommands::probe(Wanted& wanted) {
  try {
    wanted.silence = deps_.backends.probe({endpoint_of(wanted.provider.document), wanted.provider.secret});
  } catch (core::Error& error) {
    throw error.with_field("/backend/api/endpoint", error.message());
  }
}

void ProviderCommands::tell(metadata::Transaction& tx, const metadata::PublishedProvider& provider, EventKind kind,
                            const std::string& body) {
  const std::map<std::string, std::string> attributes{{"provider.name", provider.name},
                                                      {"provider.version", provider.version}};
  if (provider.scope.global) return events_.record(tx, 0, kind, body, attributes);
  for (const auto team : provider.scope.team_ids) events_.record(tx, team, kind, body, attributes);
}

void ProviderCommands::write_new(metadata::Transaction& tx, const Wanted& wanted, const Principal& principal) {
  const auto& provider = wanted.provider;
  metadata::Providers(tx).insert(provider);
  take_effect(tx, principal, provider.name + '/' + provider.version);
  tell(tx, provider, events::kProviderPublished, title(provider) + " was published" + wanted.in_words());
}

ProviderCommands::Change ProviderCommands::write(const Wanted& wanted, const Principal& principal, Effect effect,
                                                 const Precondition& precondition) {
  auto provider = wanted.provider;
  Preview preview;
  auto tx = deps_.database.begin(metadata::Access::kWrite);
  metadata::Providers providers(tx);
  if (const auto before = providers.find(provider.name, provider.version); !before) {
    if (wanted.was_there) throw core::Error(core::Code::kNotFound, title(provider) + " was withdrawn meanwhile");
    write_new(tx, wanted, principal);
    preview.effects = {title(provider) + " is published" + wanted.in_words()};
  } else {
    require_rights(before->scope, principal);
    require_precondition(precondition, offer_of(*before));
    provider.created_at = before->created_at;
    preview.effects = {changes_of(*before, provider) + (same(*before, provider) ? "" : wanted.in_words())};
    if (!same(*before, provider)) {
      providers.update(provider);
      tell(tx, provider, events::kProviderChanged, title(provider) + " was changed" + wanted.in_words());
    }
  }
  if (effect == Effect::kDryRun) return {offer_of(provider), std::move(preview)};
  tx.commit();
  deps_.providers.refresh(deps_.database);
  return {offer_of(provider), std::move(preview)};
}

model::ProviderDefinition ProviderCommands::create(const core::json::object& body, const Principal& principal) {
  auto wanted = judge(body, scope_of(body), principal);
  const auto& provider = wanted.provider;
  const auto require_new = [&](auto& tx) {
    if (!metadata::Providers(tx).find(provider.name, provider.version)) return;
    throw core::Error(core::Code::kAlreadyExists, title(provider) + " exists already")
        .with_hint("replace it with PUT, change it with PATCH, or publish another schemaVersion");
  };
  deps_.database.read(require_new);
  probe(wanted);
  deps_.database.write([&](auto& tx) {
    require_new(tx);
    write_new(tx, wanted, principal);
  });
  deps_.providers.refresh(deps_.database);
  return offer_of(provider);
}

ProviderCommands::Change ProviderCommands::upsert(const core::json::object& body, const Principal& principal,
                                                  Effect effect) {
  auto wanted = judge(body, scope_of(body), principal);
  probe(wanted);
  return write(wanted, principal, effect);
}

metadata::PublishedProvider ProviderCommands::require(metadata::Transaction& tx, const std::string& name,
                                                      const std::string& version, const Principal& principal) {
  auto found = metadata::Providers(tx).find(name, version);
  if (!found || !sees(found->scope, principal)) {
    throw core::Error(core::Code::kNotFound, fmt::format("there is no provider '{}' version '{}'", name, version));
  }
  require_rights(found->scope, principal);
  return std::move(*found);
}

ProviderCommands::Change ProviderCommands::update(const std::string& name, const std::string& version,
                                                  const core::json::object& body, const Principal& principal,
                                                  Effect effect, const Precondition& precondition) {
  require_write(principal);
  refuse_built_in(name);
  const auto before = deps_.database.read([&](auto& tx) { return require(tx, name, version, principal); });
  auto document = before.document;
  for (const auto& [key, value] : body) {
    if (key != "scope") document[key] = value;
  }
  // Two names of one thing: what the body says of one goes for both.
  for (const auto& [key, twin] : {std::pair("version", "schemaVersion"), std::pair("schemaVersion", "version")}) {
    if (body.contains(key) && !body.contains(twin)) document[twin] = body.at(key);
  }
  const auto scope = body.contains("scope") ? scope_of(body) : before.scope;
  auto wanted = judge(document, scope, principal);
  if (wanted.provider.name != name || wanted.provider.version != version) {
    const bool renamed = wanted.provider.name != name;
    throw core::Error(core::Code::kInvalidArgument, "a provider keeps its name and its schemaVersion")
        .with_field(renamed ? "/name" : "/schemaVersion", "cannot be changed")
        .with_hint("publish it anew under the other name");
  }
  const auto* backend = core::find_object(body, "backend");
  const bool gives_secret = backend != nullptr && backend->at("api").as_object().contains("secret");
  if (!gives_secret && endpoint_of(document) == endpoint_of(before.document)) wanted.provider.secret = before.secret;
  wanted.was_there = true;
  if (backend != nullptr) probe(wanted);
  return write(wanted, principal, effect, precondition);
}

Preview ProviderCommands::remove(const std::string& name, const std::string& version, const Principal& principal,
                                 Effect effect, const Precondition& precondition) {
  require_delete(principal);
  refuse_built_in(name);
  auto tx = deps_.database.begin(metadata::Access::kWrite);
  const auto before = require(tx, name, version, principal);
  require_precondition(precondition, offer_of(before));
  metadata::Providers(tx).remove(name, version);
  Preview preview{.effects = {title(before) + " is withdrawn; its services stay, and cannot be changed until it is "
                                              "published again"}};
  if (effect == Effect::kDryRun) return preview;
  tell(tx, before, events::kProviderRemoved,
       title(before) + " was withdrawn; its services stay, and cannot be changed until it is published again");
  tx.commit();
  deps_.providers.refresh(deps_.database);
  return preview;
}

}  // namespace backstay::control
