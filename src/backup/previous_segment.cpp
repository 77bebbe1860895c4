#include "backup/previous_segment.h"

#include "backup/known_damage.h"
#include "core/error.h"
#include "core/log.h"
#include "postgres/timeline_history.h"

namespace backstay::backup {

std::optional<core::Bytes> read_previous_segment(repository::WalStore& wal, postgres::SegmentName name) {
  if (name.segment == 0) return std::nullopt;
  try {
    auto data = wal.read_segment(name.timeline.value, name.segment - 1);
    if (!data && name.timeline.value > 1) {
      if (const auto history = wal.get_history(name.timeline.value)) {
        const postgres::Lsn last{postgres::segment_start(name.segment, wal.segment_size()).value - 1};
        const auto ancestor =
            postgres::timeline_at(postgres::parse_timeline_history(core::as_text(*history)), name.timeline, last);
        data = wal.read_segment(ancestor.value, name.segment - 1);
      }
    }
    if (!data || data->bytes.size() != wal.segment_size()) return std::nullopt;
    return std::move(data->bytes);
  } catch (const core::Error& e) {
    // A store that is away may have it later; what is damaged or contradicts itself is so for good.
    if (!is_store_damage(e.code()) && e.code() != core::Code::kStoreConflict) throw;
    core::log_warning("wal.segment_damaged", "a segment that only completes a record of the next one is passed over",
                      {{"instance", wal.instance()}, {"error", e.what()}});
    return std::nullopt;
  }
}

}  // namespace backstay::backup
