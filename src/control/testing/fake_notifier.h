// A notifier that keeps what it was to send and answers as it was told.
#pragma once

#include <vector>

#include "control/notifier.h"
#include "core/error.h"
#include "core/mutex.h"

namespace backstay::control::testing {

/// Thread-safe, but for its members.
class FakeNotifier final : public Notifier {
 public:
  void check(const std::string& url) override {
    if (url == refused) throw core::Error(core::Code::kEgressRefused, "the address '" + url + "' is refused");
  }
  Receipt send(const Message& message, const std::stop_token& /*stop*/) override {
    const core::LockGuard lock(mutex_);
    sent.push_back(message);
    return message.url == dead ? Receipt{500, "the receiver answered 500"} : answer;
  }
  std::string refused;
  /// An address that takes nothing.
  std::string dead;
  Receipt answer{200, ""};
  std::vector<Message> sent;

 private:
  core::Mutex mutex_;
};

}  // namespace backstay::control::testing
