#include "api/event_streams.h"

#include <fmt/format.h>

namespace backstay::api {

std::string stream_message(std::string_view id, std::string_view name, std::string_view data) {
  return fmt::format("id: {}\nevent: {}\ndata: {}\n\n", id, name, data);
}

http::Response EventStreams::open(const http::Request& request, const control::Principal& principal,
                                  const Begin& begin) {
  http::Request asked;  // what authentication reads of it
  asked.path = request.path;
  asked.headers = request.headers;
  http::Response response;
  response.headers = {{"Content-Type", "text/event-stream"}, {"Cache-Control", "no-store"}};
  response.stream = [this, asked, begin, place = places_.take(principal.token_id)](
                        http::StreamWriter& writer, const std::stop_token& stop) { run(asked, begin(), writer, stop); };
  return response;
}

void EventStreams::run(const http::Request& request, const NextTurn& next, http::StreamWriter& writer,
                       const std::stop_token& stop) const {
  std::optional<control::Principal> principal;
  core::SteadyTime asked_at{};
  while (!stop.stop_requested()) {
    if (!principal || clock_.steady_now() - asked_at >= kKeepAlive) {
      principal = authentication_.find(request);
      if (!principal) return;
      asked_at = clock_.steady_now();
    }
    const auto turn = next(*principal, stop, kKeepAlive);
    if (stop.stop_requested()) return;
    if (!writer.write(turn.text.empty() ? ": still here\n\n" : turn.text) || turn.is_last) return;
  }
}

}  // namespace backstay::api
