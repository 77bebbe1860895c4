// What the reconciler makes of the looks at a service's archive: events that tell a thing once, and metrics.
#include "control/reconciler.h"

#include <algorithm>

namespace backstay::control {
namespace {

/// A gap is told by what is at risk.
struct FaultEvents {
  model::ChainFault fault;
  EventKind begins;
  EventKind ends;
  const char* next_step;
  const char* over;
};

const FaultEvents* events_of(model::ChainFault fault) {
  using model::ChainFault;
  static const FaultEvents all[] = {
      {ChainFault::kSlotStalled, events::kWalSlotStalled, events::kWalSlotMoves,
       "the server keeps what the store lacks within a bound; look at the store, and at what else of this event's time "
       "is told",
       "the server's replication slot moves again"},
      {ChainFault::kTimelineDiverged, events::kWalDiverged, events::kWalRejoined,
       "nothing it writes now can be recovered from this archive: recover the service into a new one, or bring back "
       "the data that it had",
       "the server writes on from where its archive ends"},
      {ChainFault::kObjectMissing, events::kBackupsIncomplete, events::kBackupsWhole,
       "bring them back if the store keeps old versions, and see who removes objects there; where a new backup mends "
       "it, one is taken now",
       "nothing that backups and their WAL need is missing any more"},
      {ChainFault::kClockDrift, events::kStoreClockDrifts, events::kStoreClockFits,
       "at a quarter of an hour a store refuses all requests",
       "the clocks of the store and of this machine agree again"},
  };
  const auto* const found = std::ranges::find(all, fault, &FaultEvents::fault);
  return found == std::end(all) ? nullptr : found;
}

}  // namespace

void Reconciler::judge_chain(const Look& look, Watch& watch) {
  const auto& service = look.body.service;
  const auto report = deps_.providers.of_kind(service.provider.kind).chain(look.body.instance.id);
  watch.gauges->show_chain(report, deps_.clock.now());
  if (!report) return;
  for (const auto fault : model::kChainFaults) {
    const auto* const kinds = events_of(fault);
    if (kinds == nullptr) continue;
    const auto now = std::ranges::find(report->problems, fault, &model::ChainProblem::fault);
    const bool is_there = now != report->problems.end();
    if (is_there == watch.faults.contains(fault)) continue;
    const std::string body = is_there ? now->reason + "; " + kinds->next_step : kinds->over;
    deps_.database.write(
        [&](auto& tx) { deps_.events.record(tx, service, is_there ? kinds->begins : kinds->ends, body); });
    if (is_there) {
      watch.faults.insert(fault);
    } else {
      watch.faults.erase(fault);
    }
  }
}

}  // namespace backstay::control
