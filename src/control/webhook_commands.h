// Webhooks as their teams see them: made, changed, tested, and what became of each message.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "control/event_log.h"
#include "control/notifier.h"
#include "control/precondition.h"
#include "control/preview.h"
#include "control/principal.h"
#include "core/random.h"
#include "core/time.h"
#include "metadata/database.h"
#include "model/webhook.h"

namespace backstay::control {

struct CreateWebhookRequest {
  std::int64_t team_id = 0;
  std::string name{};
  std::string url{};
  std::vector<std::string> events{};
};

/// What is absent keeps its value.
struct UpdateWebhookRequest {
  std::optional<std::string> name{};
  std::optional<std::string> url{};
  std::optional<std::vector<std::string>> events{};
  std::optional<bool> enabled{};
};

/// What the commands need; all outlive them.
struct WebhookDependencies {
  metadata::Database& database;
  Notifier& notifier;
  core::Clock& clock;
  core::Random& random;
};

/// Thread-safe. A webhook of a team that the principal does not see is not_found, and so are those of team 0,
/// but for administrators.
class WebhookCommands {
 public:
  static constexpr std::size_t kMostOfTeam = 20;

  explicit WebhookCommands(WebhookDependencies dependencies)
      : deps_(dependencies), events_(deps_.clock, deps_.random) {}

  /// With its secret, which is shown this once.
  model::Webhook create(const CreateWebhookRequest& request, const Principal& principal);
  /// Enabled again, it is told of what happens from then on; what waited is not sent.
  model::Webhook update(const std::string& id, const UpdateWebhookRequest& request, const Principal& principal,
                        const Precondition<model::Webhook>& precondition = {});
  Preview remove(const std::string& id, const Principal& principal, Effect effect = Effect::kLasting,
                 const Precondition<model::Webhook>& precondition = {});
  model::Webhook webhook(const std::string& id, const Principal& principal);
  std::vector<model::Webhook> webhooks(std::optional<std::int64_t> team_id, const Principal& principal);

  /// A message 'webhook.test', sent at once. conflict for a webhook that is disabled, and while one waits.
  model::Delivery test(const std::string& id, const Principal& principal);
  /// Sends a message once more, with the id that it had.
  model::Delivery redeliver(const std::string& id, const std::string& delivery_id, const Principal& principal);
  model::Delivery delivery(const std::string& delivery_id, const Principal& principal);
  /// Newest first.
  std::vector<model::Delivery> deliveries(const std::string& id, std::int64_t before_sequence, std::size_t limit,
                                          const Principal& principal);

 private:
  model::Webhook require(metadata::Transaction& tx, const std::string& id, const Principal& principal);
  void check(const std::string& name, const std::string& url, const std::vector<std::string>& events);

  WebhookDependencies deps_;
  EventLog events_;
};

}  // namespace backstay::control
