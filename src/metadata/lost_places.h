// Destinations that are lost for ever, in the state store: who is concerned, and what becomes of the backups there.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/time.h"
#include "metadata/database.h"

namespace backstay::metadata {

class LostPlaces {
 public:
  explicit LostPlaces(Transaction& tx) : tx_(tx) {}
  /// The ids of the services whose first destination it is, those that are deleted included.
  std::vector<std::string> services(const std::string& destination_id);
  /// The ids of the backups that are on their way there.
  std::vector<std::string> backups_under_way(const std::string& destination_id);
  /// Takes from what is stored there its state, its facts and, `error` and `next_step` say why, its worth; what had
  /// failed or was going already is forgotten, and no instance points there any more. How many were lost, by service.
  std::map<std::string, std::int64_t> lose(const std::string& destination_id, const std::string& error,
                                           const std::string& next_step);
  /// Forgets those of a service that were lost, all of them or those taken before a time. How many by destination.
  std::map<std::string, std::int64_t> forget(const std::string& service_id, core::Timestamp taken_before);

 private:
  std::map<std::string, std::int64_t> count(const std::string& by, const std::string& where, const class Values& bound);

  Transaction& tx_;
};

}  // namespace backstay::metadata
