// What the reconciler makes of the looks at a service's archive: events that tell a thing once, and metrics.
#include "control/reconciler.h"

#include <algorithm>

#include "metadata/events.h"

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

using model::ChainFault;
constexpr FaultEvents kFaultEvents[] = {
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
     "at a quarter of an hour a store refuses all requests", "the clocks of the store and of this machine agree again"},
};

/// The faults whose begin was told and whose end was not: by this run of the server or by another one.
std::set<model::ChainFault> told_faults(metadata::Transaction& tx, const std::string& service_id) {
  metadata::EventFilter filter{.service_id = service_id, .newest_first = true};
  for (const auto& kinds : kFaultEvents) {
    filter.names.emplace_back(kinds.begins.name);
    filter.names.emplace_back(kinds.ends.name);
  }
  const auto events = metadata::Events(tx).list(filter);
  std::set<model::ChainFault> told;
  for (const auto& kinds : kFaultEvents) {
    const auto last = std::ranges::find_if(
        events, [&](const auto& event) { return event.name == kinds.begins.name || event.name == kinds.ends.name; });
    if (last != events.end() && last->name == kinds.begins.name) told.insert(kinds.fault);
  }
  return told;
}

}  // namespace

void Reconciler::judge_chain(const Look& look, Watch& watch) {
  const auto& service = look.body.service;
  const auto report = deps_.providers.of_kind(service.provider.kind).chain(look.body.instance.id);
  watch.gauges->show_chain(report, deps_.clock.now());
  if (!report) return;
  if (!watch.faults) {
    watch.faults = deps_.database.read([&](auto& tx) { return told_faults(tx, service.id); });
  }
  for (const auto& kinds : kFaultEvents) {
    const auto now = std::ranges::find(report->problems, kinds.fault, &model::ChainProblem::fault);
    const bool is_there = now != report->problems.end();
    if (is_there == watch.faults->contains(kinds.fault)) continue;
    // What was not looked at may go on.
    if (!is_there && !report->checked_at) continue;
    const std::string body = is_there ? now->reason + "; " + kinds.next_step : kinds.over;
    deps_.database.write(
        [&](auto& tx) { deps_.events.record(tx, service, is_there ? kinds.begins : kinds.ends, body); });
    if (is_there) {
      watch.faults->insert(kinds.fault);
    } else {
      watch.faults->erase(kinds.fault);
    }
  }
}

}  // namespace backstay::control
