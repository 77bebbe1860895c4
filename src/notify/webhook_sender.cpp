#include "notify/webhook_sender.h"

#include <fmt/format.h>

#include "core/bytes.h"
#include "core/error.h"
#include "notify/signature.h"

namespace backstay::notify {
namespace {

constexpr auto kDeadline = std::chrono::seconds(10);

}  // namespace

void WebhookSender::check(const std::string& url) {
  const auto parts = http::parse_url(url);
  const bool numeric =
      parts.host.find(':') != std::string::npos || parts.host.find_first_not_of("0123456789.") == std::string::npos;
  if (!numeric) return;
  if (const auto kind = http::classify_address(parts.host); !egress_.allows(kind)) {
    throw core::Error(core::Code::kEgressRefused,
                      fmt::format("'{}' is a {}, which may not be reached", parts.host, http::describe(kind)));
  }
}

control::Receipt WebhookSender::send(const control::Message& message, const std::stop_token& stop) {
  try {
    const auto now = clock_.now();
    http::ClientRequest request;
    request.method = "POST";
    request.url = message.url;
    request.headers = {{"Content-Type", "application/json"},
                       {"User-Agent", "Backstay"},
                       {"webhook-id", message.id},
                       {"webhook-timestamp", signed_time(now)},
                       {"webhook-signature", sign(message.secret, message.id, now, message.body)}};
    request.body = core::as_bytes(message.body);
    request.sink = [](core::ByteSpan) {};  // what a receiver answers is of no interest
    request.deadline = kDeadline;
    const auto status = transport_.send(request, stop).status;
    return {status, status >= 200 && status < 300 ? "" : fmt::format("the receiver answered {}", status)};
  } catch (const core::Error& error) {
    return {0, error.message()};
  }
}

}  // namespace backstay::notify
