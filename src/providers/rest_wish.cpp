#include "providers/rest_wish.h"

#include <fmt/format.h>

#include "codec/hash.h"
#include "model/json_compare.h"
#include "model/json_schema.h"

namespace backstay::providers {
namespace {

namespace json = core::json;

constexpr std::size_t kLongestValue = 60;

std::string digest(std::string_view key, const json::value& value) {
  return core::to_hex(codec::hmac_sha256(core::as_bytes(key), core::as_bytes(model::canonical_text(value))));
}

std::string shown(const json::value& value) {
  auto text = core::to_text(value);
  return text.size() <= kLongestValue ? text : text.substr(0, kLongestValue) + "…";
}

/// The first key of `wanted` that the report has otherwise, or not at all.
std::string first_difference(std::string_view section, const json::object& wanted, const json::object& reported) {
  for (const auto& [key, value] : wanted) {
    const auto* found = reported.if_contains(key);
    if (found == nullptr) return fmt::format("{}.{} is absent, {} is wanted", section, std::string(key), shown(value));
    if (model::canonical_text(*found) != model::canonical_text(value)) {
      return fmt::format("{}.{} is {}, {} is wanted", section, std::string(key), shown(*found), shown(value));
    }
  }
  return {};
}

std::string plan_difference(const RestWish& wish, const BackendReport& report) {
  if (!report.parameters) return {};
  return first_difference("plan.parameters", wish.plan.at("parameters").as_object(), *report.parameters);
}

std::string config_difference(const RestWish& wish, const BackendReport& report) {
  if (!report.config) return {};
  return first_difference("config", wish.asked_config, *report.config);
}

bool version_differs(const RestWish& wish, const BackendReport& report) {
  return !wish.version.empty() && report.version && *report.version != wish.version;
}

bool pause_differs(const RestWish& wish, const BackendReport& report) {
  return report.pause && *report.pause != wish.pause;
}

}  // namespace

RestWish wish_of(const control::ServiceBody& body, const model::ProviderDefinition& offer) {
  json::object parameters;
  for (const auto& [name, value] : body.service.plan.resources) parameters[name] = value;
  return {.plan = {{"id", body.service.plan.id}, {"parameters", std::move(parameters)}},
          .config = model::with_defaults(offer.config_schema, body.service.config),
          .asked_config = body.service.config,
          .secrets = model::reveal_all(body.service.secrets),
          .pause = body.service.pause,
          .version = body.service.app_version};
}

json::object fingerprints(const RestWish& wish, const control::ServiceBody& body) {
  const auto& key = body.instance_secret.reveal();
  json::object made{{"plan", digest(key, wish.plan)},
                    {"config", digest(key, wish.config)},
                    {"secrets", digest(key, wish.secrets)},
                    {"pause", wish.pause}};
  if (!wish.version.empty()) made["version"] = wish.version;
  return made;
}

std::string difference(const RestWish& wish, const BackendReport& report) {
  if (auto text = plan_difference(wish, report); !text.empty()) return text;
  if (auto text = config_difference(wish, report); !text.empty()) return text;
  if (version_differs(wish, report)) {
    return fmt::format("version is {}, {} is wanted", *report.version, wish.version);
  }
  return pause_differs(wish, report) ? fmt::format("pause is {}, {} is wanted", *report.pause, wish.pause) : "";
}

json::object creation(const RestWish& wish, const model::Service& service) {
  json::object made{{"id", service.id},
                    {"teamId", service.team_id},
                    {"plan", wish.plan},
                    {"config", wish.config},
                    {"secrets", wish.secrets}};
  if (!wish.version.empty()) made["version"] = wish.version;
  return made;
}

json::object change(const RestWish& wish, const control::ServiceBody& body, const json::object& sent,
                    const std::optional<BackendReport>& report) {
  json::object made{{"id", body.service.id}, {"teamId", body.service.team_id}};
  const auto now = fingerprints(wish, body);
  const auto changed = [&](std::string_view section) {
    const auto* before = sent.if_contains(section);
    const auto* after = now.if_contains(section);
    return after != nullptr && (before == nullptr || *before != *after);
  };
  if (changed("plan") || (report && !plan_difference(wish, *report).empty())) made["plan"] = wish.plan;
  if (changed("config") || (report && !config_difference(wish, *report).empty())) made["config"] = wish.config;
  if (changed("secrets")) made["secrets"] = wish.secrets;
  if (changed("version") || (report && version_differs(wish, *report))) made["version"] = wish.version;
  if (changed("pause") || (report && pause_differs(wish, *report))) made["pause"] = wish.pause;
  return made;
}

}  // namespace backstay::providers
