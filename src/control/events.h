// Every event that Backstay records, in one place: names, severities and where they belong.
//
// The body is a sentence for people: what happened, what it means for the data, what to do next.
#pragma once

#include <string_view>

#include "model/event.h"

namespace backstay::control {

struct EventKind {
  std::string_view name;
  int severity;
};

namespace events {
inline constexpr EventKind kServiceCreated{"service.created", model::kSeverityInfo};
inline constexpr EventKind kServiceSynchronized{"service.synchronized", model::kSeverityInfo};
inline constexpr EventKind kServiceUpdating{"service.updating", model::kSeverityInfo};
inline constexpr EventKind kServicePausing{"service.pausing", model::kSeverityInfo};
inline constexpr EventKind kServicePaused{"service.paused", model::kSeverityInfo};
inline constexpr EventKind kServicePausedUnarchived{"service.paused_unarchived", model::kSeverityWarning};
inline constexpr EventKind kServiceUnpausing{"service.unpausing", model::kSeverityInfo};
inline constexpr EventKind kServiceCreateFailed{"service.create_failed", model::kSeverityError};
inline constexpr EventKind kServiceUpdateFailed{"service.update_failed", model::kSeverityError};
inline constexpr EventKind kServiceDeleting{"service.deleting", model::kSeverityInfo};
inline constexpr EventKind kServiceDeleted{"service.deleted", model::kSeverityInfo};
inline constexpr EventKind kServiceDeleteFailed{"service.delete_failed", model::kSeverityError};
inline constexpr EventKind kServiceUndeleting{"service.undeleting", model::kSeverityInfo};
inline constexpr EventKind kServiceUndeleteFailed{"service.undelete_failed", model::kSeverityError};
inline constexpr EventKind kServiceUnreachable{"service.unreachable", model::kSeverityError};
inline constexpr EventKind kServiceReachable{"service.reachable", model::kSeverityInfo};
inline constexpr EventKind kServiceLimitsMissing{"service.limits_missing", model::kSeverityWarning};

inline constexpr EventKind kServiceDrifted{"service.drifted", model::kSeverityWarning};
inline constexpr EventKind kServiceLost{"service.lost", model::kSeverityError};
inline constexpr EventKind kServiceBackendReports{"service.backend_reports", model::kSeverityError};
inline constexpr EventKind kServiceProviderGone{"service.provider_gone", model::kSeverityError};
inline constexpr EventKind kServiceProviderBack{"service.provider_back", model::kSeverityInfo};

inline constexpr EventKind kServerDied{"server.died", model::kSeverityError};
inline constexpr EventKind kServerRestarted{"server.restarted", model::kSeverityInfo};
inline constexpr EventKind kServerRestartFailed{"server.restart_failed", model::kSeverityError};

inline constexpr EventKind kBackupScheduled{"backup.scheduled", model::kSeverityInfo};
inline constexpr EventKind kBackupStarted{"backup.started", model::kSeverityInfo};
inline constexpr EventKind kBackupStored{"backup.stored", model::kSeverityInfo};
inline constexpr EventKind kBackupConfirmed{"backup.confirmed", model::kSeverityInfo};
inline constexpr EventKind kBackupFailed{"backup.failed", model::kSeverityError};
inline constexpr EventKind kBackupsEnabled{"backups.enabled", model::kSeverityInfo};
inline constexpr EventKind kBackupsDisabled{"backups.disabled", model::kSeverityWarning};

inline constexpr EventKind kRecoveryStarted{"recovery.started", model::kSeverityInfo};
inline constexpr EventKind kRecoveryFinished{"recovery.finished", model::kSeverityInfo};
inline constexpr EventKind kRecoveryFailed{"recovery.failed", model::kSeverityError};

inline constexpr EventKind kStorageHigh{"storage.high", model::kSeverityWarning};
inline constexpr EventKind kStorageFull{"storage.full", model::kSeverityError};
inline constexpr EventKind kStorageFits{"storage.fits", model::kSeverityInfo};

inline constexpr EventKind kWalBehind{"wal.behind", model::kSeverityWarning};
inline constexpr EventKind kWalCaughtUp{"wal.caught_up", model::kSeverityInfo};
inline constexpr EventKind kWalGap{"wal.gap", model::kSeverityError};
inline constexpr EventKind kStoreUnreachable{"store.unreachable", model::kSeverityError};
inline constexpr EventKind kStoreReachable{"store.reachable", model::kSeverityInfo};

inline constexpr EventKind kOperationRetrying{"operation.retrying", model::kSeverityWarning};
inline constexpr EventKind kOperationCancelled{"operation.cancelled", model::kSeverityWarning};
inline constexpr EventKind kTeamCreated{"team.created", model::kSeverityInfo};
inline constexpr EventKind kTokenCreated{"token.created", model::kSeverityInfo};
inline constexpr EventKind kTokenDeleted{"token.deleted", model::kSeverityInfo};
inline constexpr EventKind kDestinationCreated{"destination.created", model::kSeverityInfo};
inline constexpr EventKind kDestinationDeleted{"destination.deleted", model::kSeverityInfo};
inline constexpr EventKind kProviderPublished{"provider.published", model::kSeverityInfo};
inline constexpr EventKind kProviderChanged{"provider.changed", model::kSeverityInfo};
inline constexpr EventKind kProviderRemoved{"provider.removed", model::kSeverityWarning};
}  // namespace events

}  // namespace backstay::control
