// Sends signed messages to webhooks over HTTP.
#pragma once

#include <string>

#include "control/notifier.h"
#include "core/time.h"
#include "http/client.h"
#include "http/egress.h"

namespace backstay::notify {

/// Thread-safe.
class WebhookSender final : public control::Notifier {
 public:
  /// Both outlive it. The transport keeps to the egress policy by itself.
  WebhookSender(http::Transport& transport, core::Clock& clock, http::EgressPolicy egress)
      : transport_(transport), clock_(clock), egress_(egress) {}

  void check(const std::string& url) override;
  control::Receipt send(const control::Message& message, const std::stop_token& stop) override;

 private:
  http::Transport& transport_;
  core::Clock& clock_;
  http::EgressPolicy egress_;
};

}  // namespace backstay::notify
