// Server-sent events, for as long as their token holds: it is asked for again while a stream lasts, and has few streams
// at a time.
#pragma once

#include <cstddef>
#include <functional>
#include <stop_token>
#include <string>

#include "api/authentication.h"
#include "api/token_places.h"
#include "control/principal.h"
#include "core/time.h"
#include "http/types.h"

namespace backstay::api {

/// Thread-safe.
class EventStreams {
 public:
  /// Between two signs of life, which keep proxies from closing a stream.
  static constexpr auto kKeepAlive = std::chrono::seconds(15);

  /// Both outlive this, and this outlives every stream.
  EventStreams(const Authentication& authentication, core::Clock& clock, std::size_t most_of_token = 8)
      : authentication_(authentication),
        clock_(clock),
        places_({.what = "event streams", .of_token = most_of_token, .retry_after = kKeepAlive}) {}

  /// What a stream sends next.
  struct Turn {
    /// Messages; empty: nothing happened.
    std::string text = {};
    bool is_last = false;
  };
  /// Waits for something to tell, for at most `at_most`. It sees what the principal sees, who is asked for anew. What
  /// it throws ends the stream.
  using NextTurn =
      std::function<Turn(const control::Principal& principal, const std::stop_token& stop, core::Duration at_most)>;
  /// Makes the turns of one stream.
  using Begin = std::function<NextTurn()>;

  /// Throws RateLimited if the token has as many streams as it may.
  http::Response open(const http::Request& request, const control::Principal& principal, const Begin& begin);

 private:
  /// The stream ends without an error where the token does.
  void run(const http::Request& request, const NextTurn& next, http::StreamWriter& writer,
           const std::stop_token& stop) const;

  const Authentication& authentication_;
  core::Clock& clock_;
  TokenPlaces places_;
};

/// One message. `data` has no line breaks.
std::string stream_message(std::string_view id, std::string_view name, std::string_view data);

}  // namespace backstay::api
