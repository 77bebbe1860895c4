#include "control/housekeeping.h"

#include "core/log.h"
#include "metadata/audit.h"
#include "metadata/events.h"
#include "metadata/operations.h"
#include "metadata/teams.h"
#include "metadata/webhooks.h"

namespace backstay::control {
namespace {

constexpr auto kEvery = std::chrono::hours(1);
/// However young they are: a service that fails all day must not fill the disk.
constexpr std::size_t kMostEventsOfAService = 10'000;

}  // namespace

void Housekeeping::tick() {
  const auto now = clock_.steady_now();
  if (done_at_ && now - *done_at_ < kEvery) return;
  done_at_ = now;
  const auto oldest = clock_.now() - keep_;
  const auto operations = database_.write([&](auto& tx) { return metadata::Operations(tx).prune(oldest); });
  const auto events =
      database_.write([&](auto& tx) { return metadata::Events(tx).prune(oldest, kMostEventsOfAService); });
  const auto audit = database_.write([&](auto& tx) { return metadata::Audit(tx).prune(oldest); });
  const auto deliveries = database_.write([&](auto& tx) { return metadata::Deliveries(tx).prune(oldest); });
  const auto tokens = database_.write([&](auto& tx) { return metadata::Tokens(tx).prune(clock_.now()); });
  if (tokens > 0)
    core::log_info("tokens.pruned", fmt::format("{} sessions and access tokens that ended are gone", tokens));
  if (operations + events + audit + deliveries == 0) return;
  core::log_info("history.pruned",
                 fmt::format("{} operations, {} events, {} entries of the audit log and {} deliveries "
                             "of webhooks are gone",
                             operations, events, audit, deliveries));
}

}  // namespace backstay::control
