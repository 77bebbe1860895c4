#include <fmt/format.h>

#include "api/house/paging.h"
#include "api/house/request_parts.h"
#include "api/house/resources.h"
#include "api/house/route_groups.h"
#include "core/error.h"
#include "core/text.h"

namespace backstay::api::house {
namespace {

using control::Principal;
using http::Request;
using http::Response;

/// Other servers of the state write events too, so that nothing in this process could ring.
constexpr auto kLookEvery = std::chrono::milliseconds(500);
constexpr std::size_t kAtOnce = 100;

control::EventFilter filter_of(const Request& request) {
  control::EventFilter filter;
  filter.service_id = query_service(request);
  filter.team_id = query_team(request);
  filter.since = query_time(request, "since");
  filter.until = query_time(request, "until");
  filter.after = query_integer(request, "after");
  if (const auto names = request.query_value("name")) filter.names = core::split(*names, ',');
  if (const auto least = request.query_value("severity")) filter.min_severity = control::severity_from_text(*least);
  return filter;
}

Response list(const Context& context, const Request& request, const Principal& principal) {
  const Page page(context.queries, request, kUsualLimit);
  auto filter = filter_of(request);
  filter.limit = page.fetch();
  if (!page.after().empty()) (filter.after ? filter.after : filter.before) = core::parse_int(page.after());
  return page.answer(context.queries.events(filter, principal), event_resource,
                     [](const auto& event) { return std::to_string(event.sequence); });
}

/// The event that the listener had last: what it says, else the newest that there is.
std::int64_t listened_to(const Context& context, const Request& request, const Principal& principal) {
  if (const auto last = request.headers.find("Last-Event-ID")) {
    const auto sequence = core::parse_int(*last);
    if (sequence && *sequence >= 0) return *sequence;
    throw core::Error(core::Code::kInvalidArgument, fmt::format("'{}' is the id of no event of this stream", *last))
        .with_field("Last-Event-ID", "must be the id of a message of this stream");
  }
  if (const auto after = query_integer(request, "after")) return *after;
  control::EventFilter newest;
  newest.limit = 1;
  const auto events = context.queries.events(newest, principal);
  return events.empty() ? 0 : events.front().sequence;
}

class Turns {
 public:
  Turns(const Context& context, control::EventFilter filter) : context_(context), filter_(std::move(filter)) {}

  EventStreams::Turn operator()(const Principal& principal, const std::stop_token& stop, core::Duration at_most) {
    const auto until = context_.clock.steady_now() + at_most;
    EventStreams::Turn turn;
    do {
      for (const auto& event : context_.queries.events(filter_, principal)) {
        filter_.after = event.sequence;
        turn.text += stream_message(std::to_string(event.sequence), "event", core::to_text(event_resource(event)));
      }
    } while (turn.text.empty() && context_.clock.steady_now() < until && context_.clock.wait(stop, kLookEvery));
    return turn;
  }

 private:
  Context context_;
  control::EventFilter filter_;
};

Response listen(const Context& context, const Request& request, const Principal& principal) {
  auto filter = filter_of(request);
  filter.after = listened_to(context, request, principal);
  filter.limit = kAtOnce;
  // A wrong filter is refused here, not in the stream.
  static_cast<void>(context.queries.events(filter, principal));
  return context.streams.open(request, principal, [context, filter] { return Turns(context, filter); });
}

bool wants_stream(const Request& request) {
  return request.headers.find("Accept").value_or("").find("text/event-stream") != std::string::npos;
}

std::vector<Parameter> filter_parameters() {
  const core::json::object time{{"type", "string"}, {"format", "date-time"}};
  auto parameters = service_parameters();
  for (auto& parameter : team_parameters()) parameters.push_back(std::move(parameter));
  parameters.push_back({.name = "name",
                        .description = "only of these names, with commas between; 'backup.*' means all that begin so",
                        .schema = {{"type", "string"}, {"minLength", 1}, {"maxLength", 1000}}});
  parameters.push_back({.name = "severity",
                        .description = "only of this severity or a higher one",
                        .schema = {{"type", "string"}, {"enum", {"info", "warning", "error"}}}});
  parameters.push_back({.name = "since", .description = "only at this time or later", .schema = time});
  parameters.push_back({.name = "until", .description = "only before this time", .schema = time});
  parameters.push_back({.name = "after",
                        .description = "only events after this sequence number, oldest first",
                        .schema = {{"type", "integer"}, {"minimum", 0}}});
  return parameters;
}

}  // namespace

void add_event_routes(RouteTable& routes, const Context& context) {
  routes.add({.method = "GET",
              .path = "/events",
              .operation = "events-list",
              .tag = "Events",
              .summary = "List events, newest first, or listen to them",
              .description = "With Accept: text/event-stream, events are sent as they happen, each with its sequence "
                             "number as its id. A listener that comes back says Last-Event-ID and gets what it missed. "
                             "The stream ends when its token does.",
              .query = filter_parameters(),
              .paged = true,
              .usual_limit = kUsualLimit,
              .streamed = true,
              .answer = array_of(ref("Event"))},
             [context](const Request& request, const Principal& principal) {
               return wants_stream(request) ? listen(context, request, principal) : list(context, request, principal);
             });
}

}  // namespace backstay::api::house
