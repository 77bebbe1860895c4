#include "control/archive_memory.h"

#include "core/json.h"
#include "metadata/destinations.h"
#include "metadata/settings.h"

namespace backstay::control {
namespace {

core::json::object to_json(const model::RecoveryWindow& window) {
  core::json::array gaps;
  for (const auto& gap : window.gaps) {
    gaps.push_back({{"from", core::format_time(gap.from)}, {"to", core::format_time(gap.to)}, {"reason", gap.reason}});
  }
  core::json::object object{{"destinationId", window.destination_id}, {"gaps", std::move(gaps)}};
  if (window.earliest) object["earliest"] = core::format_time(*window.earliest);
  if (window.latest) object["latest"] = core::format_time(*window.latest);
  return object;
}

std::optional<core::Timestamp> find_time(const core::json::object& object, std::string_view key) {
  const auto text = core::find_string(object, key);
  if (!text) return std::nullopt;
  return core::parse_time(*text);
}

model::RecoveryWindow from_json(const std::string& instance_id, const core::json::object& object) {
  model::RecoveryWindow window{.instance_id = instance_id,
                               .destination_id = core::require_string(object, "destinationId"),
                               .earliest = find_time(object, "earliest"),
                               .latest = find_time(object, "latest")};
  for (const auto& value : object.at("gaps").as_array()) {
    const auto& gap = core::as_object(value);
    window.gaps.push_back({core::parse_time(core::require_string(gap, "from")),
                           core::parse_time(core::require_string(gap, "to")), core::require_string(gap, "reason")});
  }
  return window;
}

std::string rate_key(const std::string& work) { return "rate/" + work; }

}  // namespace

std::string known_window_key(const std::string& instance_id) { return "instance/" + instance_id + "/window"; }

std::optional<std::string> StateArchiveMemory::repository_id(const std::string& destination_id) {
  return database_.read([&](auto& tx) { return metadata::Destinations(tx).repository_id(destination_id); });
}

void StateArchiveMemory::remember_repository(const std::string& destination_id, const std::string& repository_id) {
  database_.write([&](auto& tx) { metadata::Destinations(tx).remember_repository(destination_id, repository_id); });
}

std::optional<model::RecoveryWindow> StateArchiveMemory::window(const std::string& instance_id) {
  const auto text = database_.read([&](auto& tx) { return metadata::Settings(tx).get(known_window_key(instance_id)); });
  if (!text) return std::nullopt;
  const auto value = core::parse_json(*text);
  return from_json(instance_id, core::as_object(value));
}

void StateArchiveMemory::remember_window(const model::RecoveryWindow& window) {
  const auto text = core::to_text(to_json(window));
  database_.write([&](auto& tx) { metadata::Settings(tx).put(known_window_key(window.instance_id), text); });
}

std::optional<MeasuredRate> StateArchiveMemory::rate(const std::string& work) {
  const auto text = database_.read([&](auto& tx) { return metadata::Settings(tx).get(rate_key(work)); });
  if (!text) return std::nullopt;
  const auto value = core::parse_json(*text);
  const auto& object = core::as_object(value);
  return MeasuredRate{static_cast<std::uint64_t>(core::require_int(object, "bytes")),
                      core::Duration(core::require_int(object, "time")),
                      core::parse_time(core::require_string(object, "at"))};
}

void StateArchiveMemory::remember_rate(const std::string& work, const MeasuredRate& rate) {
  const auto text = core::to_text(
      core::json::object{{"bytes", rate.bytes}, {"time", rate.time.count()}, {"at", core::format_time(rate.at)}});
  database_.write([&](auto& tx) { metadata::Settings(tx).put(rate_key(work), text); });
}

}  // namespace backstay::control
