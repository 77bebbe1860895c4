#include "metadata/events.h"

#include <fmt/format.h>

#include "metadata/query.h"

namespace backstay::metadata {
namespace {

core::json::object attributes_json(const std::map<std::string, std::string>& attributes) {
  core::json::object object;
  for (const auto& [name, value] : attributes) object[name] = value;
  return object;
}

model::Event read_event(const Row& row) {
  model::Event event;
  event.id = row.text("id");
  event.sequence = row.integer("sequence");
  event.team_id = row.integer("team_id");
  event.service_id = row.text("service_id");
  event.name = row.text("name");
  event.time = row.time("time");
  event.observed_at = row.time("observed_at");
  event.severity = static_cast<int>(row.integer("severity"));
  event.body = row.text("body");
  for (const auto& [name, value] : row.object("attributes")) event.attributes[name] = value.as_string();
  return event;
}

Conditions conditions_of(const EventFilter& filter) {
  Conditions conditions;
  auto& values = conditions.values();
  if (!filter.service_id.empty()) {
    conditions.add("service_id = :service_id");
    values.set("service_id", filter.service_id);
  }
  if (filter.team_ids) conditions.add_in("team_id", *filter.team_ids);
  if (!filter.names.empty()) conditions.add_in("name", filter.names);
  if (filter.min_severity > 0) {
    conditions.add("severity >= :min_severity");
    values.set("min_severity", filter.min_severity);
  }
  if (filter.since) {
    conditions.add("time >= :since");
    values.set("since", *filter.since);
  }
  if (filter.until) {
    conditions.add("time < :until");
    values.set("until", *filter.until);
  }
  if (filter.after_sequence > 0) {
    conditions.add("sequence > :after_sequence");
    values.set("after_sequence", filter.after_sequence);
  }
  if (filter.before_sequence > 0) {
    conditions.add("sequence < :before_sequence");
    values.set("before_sequence", filter.before_sequence);
  }
  return conditions;
}

/// The last `count` events of each service, as conditions that name where they begin: in one statement with the search
/// for that, PostgreSQL would rather read all events.
Conditions last_of_each(Transaction& tx, const std::vector<std::string>& service_ids, std::size_t count) {
  Conditions page;
  page.add_in("id", service_ids);
  page.values().set("skip", count - 1);
  Conditions last;
  std::string any;
  Query(tx,
        "SELECT id, COALESCE((SELECT nth.sequence FROM events AS nth WHERE nth.service_id = services.id ORDER BY "
        "nth.sequence DESC LIMIT 1 OFFSET :skip), 0) AS begins FROM services" +
            page.where())
      .bind(page.values())
      .each([&](const Row& row) {
        const auto name = fmt::format("service_{}", last.values().size());
        last.values().set(name, row.text("id"));
        any += fmt::format("{}(service_id = :{} AND sequence >= {})", any.empty() ? "(" : " OR ", name,
                           row.integer("begins"));
      });
  last.add(any.empty() ? "1 = 0" : any + ")");
  return last;
}

}  // namespace

std::int64_t Events::append(const model::Event& event) {
  const auto sequence = next_number(tx_, "events");
  insert(tx_, "events",
         Values()
             .set("sequence", sequence)
             .set("id", event.id)
             .set("team_id", event.team_id)
             .set("service_id", event.service_id)
             .set("name", event.name)
             .set("time", event.time)
             .set("observed_at", event.observed_at)
             .set("severity", event.severity)
             .set("body", event.body)
             .set("attributes", attributes_json(event.attributes)));
  return sequence;
}

std::vector<model::Event> Events::recent(const std::string& service_id, std::size_t count) {
  return list({.service_id = service_id, .newest_first = true, .limit = count});
}

std::map<std::string, std::vector<model::Event>> Events::recent_of(const std::vector<std::string>& service_ids,
                                                                   std::size_t count) {
  std::map<std::string, std::vector<model::Event>> events;
  if (count == 0) return events;
  for_each_batch(service_ids, [&](const std::vector<std::string>& batch) {
    auto last = last_of_each(tx_, batch, count);
    Query(tx_, "SELECT * FROM events" + last.where() + " ORDER BY sequence DESC")
        .bind(last.values())
        .each([&](const Row& row) {
          auto event = read_event(row);
          events[event.service_id].push_back(std::move(event));
        });
  });
  return events;
}

std::vector<model::Event> Events::list(const EventFilter& filter) {
  auto conditions = conditions_of(filter);
  return Query(tx_, "SELECT * FROM events" + conditions.where() + " ORDER BY sequence" +
                        (filter.newest_first ? " DESC" : "") + limit_clause(filter.limit))
      .bind(conditions.values())
      .list<model::Event>(read_event);
}

std::size_t Events::prune(core::Timestamp older_than, std::size_t keep_each) {
  const auto old =
      Query(tx_, "DELETE FROM events WHERE time < :older_than").bind(Values().set("older_than", older_than)).run();
  return old + Query(tx_,
                     "DELETE FROM events WHERE sequence IN (SELECT sequence FROM (SELECT sequence, row_number() OVER "
                     "(PARTITION BY service_id ORDER BY sequence DESC) AS place FROM events WHERE service_id <> '') AS "
                     "ranked WHERE place > :keep_each)")
                   .bind(Values().set("keep_each", keep_each))
                   .run();
}

}  // namespace backstay::metadata
