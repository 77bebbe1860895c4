#include "metadata/instances.h"

#include <set>

#include "core/error.h"
#include "metadata/query.h"

namespace backstay::metadata {
namespace {

core::json::array spans_json(const std::vector<model::ServedSpan>& spans) {
  core::json::array array;
  for (const auto& span : spans) {
    array.push_back({span.from.time_since_epoch().count(), span.until.time_since_epoch().count()});
  }
  return array;
}

std::vector<model::ServedSpan> read_spans(const core::json::array& array) {
  const auto time = [](const core::json::value& value) {
    return core::Timestamp(core::Duration(value.to_number<std::int64_t>()));
  };
  std::vector<model::ServedSpan> spans;
  for (const auto& value : array) spans.push_back({time(value.as_array().at(0)), time(value.as_array().at(1))});
  return spans;
}

Values changing_values(const model::Instance& instance) {
  const auto branch = instance.branched_from.value_or(model::BranchPoint{});
  return Values()
      .set("node", instance.node)
      .set("state", model::to_text(instance.state))
      .set("directory", instance.directory)
      .set("port", instance.port)
      .set("uid", instance.uid)
      .set("engine_major", instance.engine_major)
      .set("system_id", instance.system_id)
      .set("timeline", instance.timeline)
      .set("destination_id", instance.destination_id)
      .set("branch_instance", branch.instance_id)
      .set("branch_timeline", branch.timeline)
      .set("branch_lsn", branch.lsn)
      .set("served_from", instance.served_from)
      .set("served_until", instance.served_until)
      .set("served_before", spans_json(instance.served_before))
      .set("kept_until", instance.kept_until)
      .set("unsent", instance.unsent)
      .set("facts", instance.facts);
}

std::optional<model::BranchPoint> read_branch(const Row& row) {
  auto from = row.text("branch_instance");
  if (from.empty()) return std::nullopt;
  return model::BranchPoint{.instance_id = std::move(from),
                            .timeline = static_cast<std::uint32_t>(row.integer("branch_timeline")),
                            .lsn = static_cast<std::uint64_t>(row.integer("branch_lsn"))};
}

model::Instance read_instance(const Row& row) {
  model::Instance instance;
  instance.id = row.text("id");
  instance.service_id = row.text("service_id");
  instance.node = row.text("node");
  instance.state = model::instance_state_from_text(row.text("state"));
  instance.directory = row.text("directory");
  instance.port = static_cast<std::uint16_t>(row.integer("port"));
  instance.uid = static_cast<std::uint32_t>(row.integer("uid"));
  instance.engine_major = static_cast<int>(row.integer("engine_major"));
  instance.system_id = static_cast<std::uint64_t>(row.integer("system_id"));
  instance.timeline = static_cast<std::uint32_t>(row.integer("timeline"));
  instance.destination_id = row.text("destination_id");
  instance.branched_from = read_branch(row);
  instance.served_from = row.maybe_time("served_from");
  instance.served_until = row.maybe_time("served_until");
  instance.served_before = read_spans(row.array("served_before"));
  instance.kept_until = row.maybe_time("kept_until");
  instance.unsent = row.flag("unsent");
  instance.epoch = row.integer("epoch");
  instance.facts = row.object("facts");
  instance.created_at = row.time("created_at");
  return instance;
}

[[noreturn]] void throw_not_found(const std::string& id) {
  throw core::Error(core::Code::kNotFound, "instance '" + id + "' does not exist");
}

}  // namespace

void Instances::insert(const model::Instance& instance) {
  auto values = changing_values(instance);
  values.set("id", instance.id)
      .set("service_id", instance.service_id)
      .set("epoch", instance.epoch)
      .set("created_at", instance.created_at);
  metadata::insert(tx_, "instances", values);
}

std::optional<model::Instance> Instances::find(const std::string& id) {
  return Query(tx_, "SELECT * FROM instances WHERE id = :id")
      .bind(Values().set("id", id))
      .first<model::Instance>(read_instance);
}

model::Instance Instances::require(const std::string& id) {
  auto found = find(id);
  if (!found) throw_not_found(id);
  return std::move(*found);
}

std::vector<model::Instance> Instances::list_of_service(const std::string& service_id) {
  return Query(tx_, "SELECT * FROM instances WHERE service_id = :service_id ORDER BY created_at, id")
      .bind(Values().set("service_id", service_id))
      .list<model::Instance>(read_instance);
}

std::vector<model::Instance> Instances::list_living(const std::string& node) {
  return Query(tx_, "SELECT * FROM instances WHERE node = :node AND state <> 'removed' ORDER BY created_at, id")
      .bind(Values().set("node", node))
      .list<model::Instance>(read_instance);
}

void Instances::update(const model::Instance& instance) {
  const auto changed = metadata::update(
      tx_, "instances", changing_values(instance), "id = :id AND (state <> 'removed' OR :new_state = 'removed')",
      Values().set("id", instance.id).set("new_state", model::to_text(instance.state)));
  if (changed > 0) return;
  if (!find(instance.id)) throw_not_found(instance.id);
  throw core::Error(core::Code::kConflict, "instance '" + instance.id + "' is removed; it does not change any more");
}

void Instances::move(const std::string& id, const std::string& service_id) {
  const auto moved =
      metadata::update(tx_, "instances", Values().set("service_id", service_id), "id = :id", Values().set("id", id));
  if (moved == 0) throw_not_found(id);
}

std::vector<model::Instance> Instances::list_kept_until(core::Timestamp now, std::int64_t server) {
  return Query(tx_,
               "SELECT instances.* FROM instances JOIN services ON services.id = instances.service_id WHERE "
               "instances.kept_until <= :now AND instances.state = 'stopped' AND services.driver = :server "
               "ORDER BY instances.kept_until, instances.id")
      .bind(Values().set("now", now).set("server", server))
      .list<model::Instance>(read_instance);
}

std::int64_t Instances::next_epoch(const std::string& id) {
  const auto changed =
      Query(tx_, "UPDATE instances SET epoch = epoch + 1 WHERE id = :id").bind(Values().set("id", id)).run();
  if (changed == 0) throw_not_found(id);
  return require(id).epoch;
}

std::int64_t Allocations::allocate(const std::string& kind, const std::string& node, const std::string& owner,
                                   const NumberRange& range, const std::function<bool(std::int64_t)>& usable) {
  const auto key = Values().set("kind", kind).set("node", node);
  const auto read_value = [](const Row& row) { return row.integer("value"); };
  const auto own = Query(tx_, "SELECT value FROM allocations WHERE kind = :kind AND node = :node AND owner = :owner")
                       .bind(key)
                       .bind(Values().set("owner", owner))
                       .first<std::int64_t>(read_value);
  if (own) return *own;
  const auto listed = Query(tx_, "SELECT value FROM allocations WHERE kind = :kind AND node = :node")
                          .bind(key)
                          .list<std::int64_t>(read_value);
  const std::set<std::int64_t> taken(listed.begin(), listed.end());
  const auto count = range.last - range.first + 1;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto value = range.first + (range.begin - range.first + i) % count;
    if (taken.contains(value) || (usable && !usable(value))) continue;
    auto values = key;
    metadata::insert(tx_, "allocations", values.set("value", value).set("owner", owner));
    return value;
  }
  throw core::Error(core::Code::kStateError, "no " + kind + " is left between " + std::to_string(range.first) +
                                                 " and " + std::to_string(range.last) + " on node '" + node + "'");
}

std::int64_t Allocations::allocate_in_turn(const std::string& kind, const std::string& node, const std::string& owner,
                                           std::int64_t first, std::int64_t last,
                                           const std::function<bool(std::int64_t)>& usable) {
  const auto counter = Values().set("name", "last " + kind + " of " + node);
  const auto before =
      Query(tx_, "SELECT value FROM counters WHERE name = :name").bind(counter).first<std::int64_t>([](const Row& row) {
        return row.integer("value");
      });
  const auto begin = before && *before >= first && *before < last ? *before + 1 : first;
  const auto value = allocate(kind, node, owner, {first, last, begin}, usable);
  auto values = counter;
  values.set("value", value);
  if (before) {
    Query(tx_, "UPDATE counters SET value = :value WHERE name = :name").bind(values).run();
  } else {
    metadata::insert(tx_, "counters", values);
  }
  return value;
}

void Allocations::exchange(const std::string& kind, const std::string& one, const std::string& other) {
  Query(tx_,
        "UPDATE allocations SET owner = CASE owner WHEN :one THEN :other ELSE :one END "
        "WHERE kind = :kind AND (owner = :one OR owner = :other)")
      .bind(Values().set("kind", kind).set("one", one).set("other", other))
      .run();
}

void Allocations::release(const std::string& kind, const std::string& owner) {
  Query(tx_, "DELETE FROM allocations WHERE kind = :kind AND owner = :owner")
      .bind(Values().set("kind", kind).set("owner", owner))
      .run();
}

void Allocations::release_all(const std::string& owner) {
  Query(tx_, "DELETE FROM allocations WHERE owner = :owner").bind(Values().set("owner", owner)).run();
}

}  // namespace backstay::metadata
