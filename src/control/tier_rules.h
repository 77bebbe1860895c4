// What holds for services whose plan has a tier (model/tier.h): their backups, how much there may be of what, and how
// far back they can be taken. Nothing of it concerns others.
#pragma once

#include "control/refusals.h"
#include "control/requests.h"
#include "core/time.h"
#include "metadata/database.h"
#include "model/backup.h"
#include "model/recovery.h"
#include "model/service.h"
#include "model/tier.h"

namespace backstay::control {

/// True for a backup that its owner asked for by itself: neither the system's nor a run of a schedule, whoever began
/// it. These stay until they are deleted, and count.
bool is_owners(const model::Backup& backup);

/// The backups of a service of the tier, where `asked` leaves them open. What it asks otherwise is refused.
BackupsRequest tier_backups(const model::Tier& tier, BackupsRequest asked, Refusals& refusals);

/// Throws Error(quota_exceeded) if the team has as many services of the wanted one's tier as it may, that one not
/// counted. Recoveries are not asked: nobody is kept from his data because he has too much.
void require_tier_room(metadata::Transaction& tx, const model::Service& wanted);

/// Throws Error(quota_exceeded) unless one more backup that its owner asks for fits into the service's storage, beside
/// the data, the backups of this kind that there are, and those that schedules made. Each counts as the data that it
/// holds. A schedule's run whose time has come is not asked.
void require_backup_room(metadata::Transaction& tx, const model::Service& service);
/// Both, of a plan that the service is to have instead of the one before; without one more backup.
void require_plan_granted(metadata::Transaction& tx, const model::Service& before, const model::Service& wanted);

/// Throws Error(quota_exceeded) where the tier grants no recovery to a time, and Error(recovery_out_of_reach) that
/// names the earliest for a time before that.
void require_granted_time(const model::Service& source, core::Timestamp time, core::Timestamp now);
/// What the tier grants of a window. Throws Error(quota_exceeded) as above.
model::RecoveryWindow granted_window(const model::Service& source, model::RecoveryWindow window, core::Timestamp now);

}  // namespace backstay::control
