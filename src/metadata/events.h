// The event log.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "metadata/database.h"
#include "model/event.h"

namespace backstay::metadata {

struct EventFilter {
  std::string service_id{};
  std::optional<std::vector<std::int64_t>> team_ids{};
  std::vector<std::string> names{};
  int min_severity = 0;
  std::optional<core::Timestamp> since{};
  /// Only before this time.
  std::optional<core::Timestamp> until{};
  /// Events with a greater sequence, oldest first; 0 with `newest_first` for the end of the log.
  std::int64_t after_sequence = 0;
  /// Events with a smaller sequence, newest first; used if newest_first.
  std::int64_t before_sequence = 0;
  bool newest_first = false;
  std::size_t limit = 100;
};

class Events {
 public:
  explicit Events(Transaction& tx) : tx_(tx) {}
  /// Returns the event's sequence.
  std::int64_t append(const model::Event& event);
  /// The last `count` events of a service, newest first.
  std::vector<model::Event> recent(const std::string& service_id, std::size_t count);
  /// The same for many services that exist, by service.
  std::map<std::string, std::vector<model::Event>> recent_of(const std::vector<std::string>& service_ids,
                                                             std::size_t count);
  std::vector<model::Event> list(const EventFilter& filter);
  /// Removes events older than `older_than`, and of each service all but the last `keep_each`.
  std::size_t prune(core::Timestamp older_than, std::size_t keep_each);

 private:
  Transaction& tx_;
};

}  // namespace backstay::metadata
