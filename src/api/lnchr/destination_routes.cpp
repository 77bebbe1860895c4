#include <array>
#include <utility>

#include "api/lnchr/call.h"
#include "api/lnchr/dialect.h"
#include "api/lnchr/resources.h"
#include "api/lnchr/route_groups.h"
#include "api/lnchr/schemas.h"

namespace backstay::api::lnchr {
namespace {

namespace json = core::json;
using control::Principal;
using http::Request;
using http::Response;

constexpr std::string_view kDestination = "backup destination";
constexpr std::string_view kRoot = "/settings/backup-destinations";

/// The platform's names of the fields of a destination's config.
const std::array<std::pair<std::string_view, std::string_view>, 5> kConfig{{{"provider", "provider"},
                                                                            {"region", "region"},
                                                                            {"endpoint", "endpointUrl"},
                                                                            {"account_id", "accountId"},
                                                                            {"jurisdiction", "jurisdiction"}}};

const FieldNames& field_names() {
  static const FieldNames names = [] {
    FieldNames made{{"/config/destinationPath", "/bucket"}, {"/config/accessKeyId", "/access_key"},
                    {"/config/accessKey", "/access_key"},   {"/secrets/accessKey", "/access_key"},
                    {"/secrets/secretKey", "/secret_key"},  {"/teamId", "/tenant"}};
    for (const auto& [own, house] : kConfig) made["/config/" + std::string(house)] = "/" + std::string(own);
    return made;
  }();
  return names;
}

/// What a change takes away: null or an empty text. A provider is exchanged, never taken away.
void take_away(Body& body, json::object& config) {
  for (const auto& [own, house] : kConfig) {
    if (own != "provider" && body.has(own) && !body.word(own)) config[house] = nullptr;
  }
}

/// What of the config the body names.
json::object config_of(Body& body) {
  json::object config;
  for (const auto& [own, house] : kConfig) {
    if (const auto text = body.word(own)) config[house] = *text;
  }
  return config;
}

model::Secrets secrets_of(Body& body) {
  model::Secrets secrets;
  if (const auto key = body.word("access_key")) secrets["accessKey"] = core::Secret(*key);
  if (const auto key = body.word("secret_key")) secrets["secretKey"] = core::Secret(*key);
  return secrets;
}

class Handlers {
 public:
  explicit Handlers(const Context& context) : context_(context) {}

  [[nodiscard]] Response list(const Request& request, const Principal& principal) const {
    const auto team = tenant_of(context_.queries, request, principal);
    json::array found;
    for (const auto& destination : context_.queries.destinations(team, principal)) {
      if (!destination.made_for_service) found.push_back(destination_resource(destination));
    }
    return success(found);
  }

  [[nodiscard]] Response get(const Request& request, const Principal& principal) const {
    return success(destination_resource(require(request, principal)));
  }

  [[nodiscard]] Response create(const Request& request, const Principal& principal) const {
    Body body(request);
    control::CreateDestinationRequest wanted;
    wanted.team_id = owning_team(context_.queries, request, principal);
    wanted.name = body->text("name").value_or("");
    wanted.config = config_of(body);
    wanted.config["destinationPath"] =
        url_of({.bucket = body->text("bucket").value_or(""), .prefix = body.word("prefix").value_or("")});
    wanted.secrets = secrets_of(body);
    wanted.is_default = body->flag("is_default").value_or(false);
    body.finish();
    return in_own_words(field_names(), [&] {
      return success(destination_resource(context_.commands.create_destination(wanted, principal).destination), 201);
    });
  }

  [[nodiscard]] Response change(const Request& request, const Principal& principal) const {
    const auto before = require(request, principal);
    const auto wanted = change_of(before, request);
    return in_own_words(field_names(), [&] {
      return success(
          destination_resource(context_.commands.update_destination(before.id, wanted, principal).destination));
    });
  }

  [[nodiscard]] Response remove(const Request& request, const Principal& principal) const {
    static_cast<void>(context_.commands.delete_destination(require(request, principal).id, principal));
    Response gone;
    gone.status = 204;
    return gone;
  }

  [[nodiscard]] Response made(const Principal& principal, const std::string& id) const {
    return success(destination_resource(context_.queries.destination(id, principal)), 201);
  }

 private:
  static control::UpdateDestinationRequest change_of(const model::Destination& before, const Request& request) {
    Body body(request);
    control::UpdateDestinationRequest wanted;
    wanted.name = body->text("name");
    wanted.is_default = body->flag("is_default");
    auto config = config_of(body);
    take_away(body, config);
    if (body.has("bucket") || body.has("prefix")) {
      auto place = place_of(before.url);
      if (const auto bucket = body->text("bucket")) place.bucket = *bucket;
      if (body.has("prefix")) place.prefix = body.word("prefix").value_or("");
      config["destinationPath"] = url_of(place);
    }
    auto secrets = secrets_of(body);
    body.finish();
    if (!config.empty()) wanted.config = std::move(config);
    if (!secrets.empty()) wanted.secrets = std::move(secrets);
    return wanted;
  }

  [[nodiscard]] model::Destination require(const Request& request, const Principal& principal) const {
    const auto team = tenant_of(context_.queries, request, principal);
    const auto id = path_id(request, kDestination);
    for (auto& destination : context_.queries.destinations(team, principal)) {
      if (destination.id == id) return std::move(destination);
    }
    throw not_found(kDestination);
  }

  Context context_;
};

}  // namespace

void add_destination_routes(RouteTable& routes, const Context& context) {
  const Handlers handlers(context);
  const auto add = [&](const Call& call, auto member, const ReplayHandler& replay = {}) {
    routes.add(
        described(call, "destinations"),
        [handlers, member](const Request& request, const Principal& principal) {
          return (handlers.*member)(request, principal);
        },
        replay);
  };
  const std::string one = std::string(kRoot) + "/{id}";
  add({.method = "GET",
       .path = std::string(kRoot),
       .operation = "destinations-list",
       .summary = "List backup destinations",
       .data = array_of(destination_schema())},
      &Handlers::list);
  add({.method = "POST",
       .path = std::string(kRoot),
       .operation = "destinations-create",
       .summary = "Enter a bucket, which is probed first",
       .scope = Scope::kWrite,
       .body = create_destination_schema(),
       .status = 201,
       .data = destination_schema()},
      &Handlers::create, [handlers](const Request&, const Principal& principal, const std::string& id) {
        return handlers.made(principal, id);
      });
  add({.method = "GET",
       .path = one,
       .operation = "destinations-get",
       .summary = "One backup destination",
       .data = destination_schema()},
      &Handlers::get);
  add({.method = "PUT",
       .path = one,
       .operation = "destinations-change",
       .summary = "Change what is given of a backup destination",
       .description = "It is probed again where anything but its name changes. Keys that are absent or empty stay; "
                      "another bucket, prefix or endpoint needs both.",
       .scope = Scope::kWrite,
       .body = change_destination_schema(),
       .data = destination_schema()},
      &Handlers::change);
  add({.method = "DELETE",
       .path = one,
       .operation = "destinations-delete",
       .summary = "Remove a backup destination that nothing uses; what is stored there stays",
       .scope = Scope::kDelete,
       .status = 204},
      &Handlers::remove);
}

}  // namespace backstay::api::lnchr
