// Tells webhooks of events, at least once, in the order of the events but for those that have to be tried again.
//
// What has happened is entered as deliveries in one transaction with the place in the event log up to which that was
// done; so a kill at any moment neither loses an event nor enters it twice. A delivery that was sent and not noted when
// the server was killed is sent again with the same id.
#pragma once

#include <stop_token>
#include <string>

#include "control/event_log.h"
#include "control/notifier.h"
#include "core/random.h"
#include "core/time.h"
#include "metadata/database.h"
#include "model/webhook.h"

namespace backstay::control {

/// What it needs; all outlive it.
struct DispatchDependencies {
  metadata::Database& database;
  Notifier& notifier;
  core::Clock& clock;
  core::Random& random;
};

/// For one thread, on one server of the state.
class WebhookDispatch {
 public:
  explicit WebhookDispatch(DispatchDependencies dependencies)
      : deps_(dependencies), events_(deps_.clock, deps_.random) {}

  /// Enters what has happened, and sends what is due, to several webhooks at a time. True if more may be due at once.
  /// Throws what the state throws.
  bool turn(const std::stop_token& stop);

 private:
  /// True if there may be more to enter.
  bool enter_events();
  /// Sends what is due of one webhook, until one is not taken.
  void serve(const std::string& webhook_id, const std::stop_token& stop);
  void note(const std::string& delivery_id, const Receipt& outcome);
  /// What a failure does to the delivery, and to a webhook that takes nothing any more.
  void note_failure(metadata::Transaction& tx, model::Webhook& webhook, model::Delivery& delivery,
                    const Receipt& outcome);

  DispatchDependencies deps_;
  EventLog events_;
};

}  // namespace backstay::control
