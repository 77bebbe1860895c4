#include "backup/slot_watch.h"

#include <fmt/format.h>

namespace backstay::backup {

std::optional<std::string> SlotWatch::see(const std::optional<postgres::SlotState>& slot, postgres::Lsn server_end,
                                          core::SteadyTime now) {
  if (!written_.empty() && server_end < written_.back().end) written_.clear();  // another server
  written_.push_back({now, server_end});
  while (written_.size() > 1 && now - written_[1].at >= patience_) written_.pop_front();
  const Written& before = written_.front();
  if (now - before.at < patience_) return std::nullopt;
  if (!slot) return "the server has no replication slot for its archive: it keeps no WAL for it";
  if (!slot->restart_lsn) return fmt::format("the server gave up its replication slot ({})", slot->wal_status);
  if (*slot->restart_lsn >= before.end) return std::nullopt;
  return fmt::format("the server's replication slot stands at {}, behind {} that was written {} s ago ({}{})",
                     postgres::format_lsn(*slot->restart_lsn), postgres::format_lsn(before.end),
                     std::chrono::duration_cast<std::chrono::seconds>(now - before.at).count(),
                     slot->active ? "somebody streams from it" : "nobody streams from it",
                     slot->wal_status == "unreserved" ? "; the server is about to give it up" : "");
}

}  // namespace backstay::backup
