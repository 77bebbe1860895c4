#include "backup/window_end_marker.h"

#include "core/log.h"

namespace backstay::backup {

void WindowEndMarker::look(repository::WalStore& wal, const ArchiveEnd& end, postgres::Lsn received,
                           core::SteadyTime last_bytes, core::SteadyTime now, bool at_once) {
  if (now < retry_at_) return;
  const bool settled = end.lsn > lsn_ && end.lsn == received && now - last_bytes >= config_.settled_after;
  if (!at_once && !settled && now - written_ < config_.interval) return;
  try {
    wal.put_window_end(end.timeline.value, {.time = end.time, .lsn = end.lsn.value});
    lsn_ = end.lsn;
    written_ = now;
  } catch (const std::exception& e) {
    core::log_debug("wal.window_end_not_stored", e.what(), {{"instance", config_.instance}});
    retry_at_ = now + config_.retry;
  }
}

}  // namespace backstay::backup
