// The servers that share a state, and which of them drives which service.
//
// A server that enters gets an epoch, larger than any before: its lease on everything it holds. It keeps the lease by
// beating; whoever sees that the beats stand still retires it, and what it held is free at once. Writers follow each
// other, so a server that goes on after that is refused by the first thing it writes (Database::fenced). Services are
// held through services.driver, operations through their lease's owner: both are the epoch. Only a server itself gives
// one of its services up, so as long as it is a member, it alone drives what it holds.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "metadata/database.h"

namespace backstay::metadata {

struct ServerRecord {
  std::int64_t epoch = 0;
  /// Of its state directory: the same in every run.
  std::string id{};
  std::int64_t beats = 0;
  core::Timestamp entered_at{};
};

/// The owner of operations that the server of this epoch runs.
std::string lease_owner(std::int64_t epoch);

class Servers {
 public:
  explicit Servers(Transaction& tx) : tx_(tx) {}

  /// Enters the server and returns its epoch. What an earlier run with the same id held is free: the caller holds the
  /// lock of the directory that the id lies in, so that run is over.
  std::int64_t enter(const std::string& id, core::Timestamp now);
  /// False if the server has been retired: it holds nothing any more and must stop at once.
  bool beat(std::int64_t epoch);
  [[nodiscard]] bool is_member(std::int64_t epoch);
  /// By epoch.
  std::vector<ServerRecord> list();
  /// Removes the server if it has not beaten since it was seen with these `beats`, or in any case without them. Its
  /// running operations are due, its services are nobody's. False if it has beaten or is gone.
  bool retire(std::int64_t epoch, std::optional<std::int64_t> beats, core::Timestamp now);

  [[nodiscard]] bool has_free_services();
  /// Takes services that nobody drives, the oldest first, up to the server's fair share of all. Returns how many.
  std::size_t take_services(std::int64_t epoch);
  /// How many services the server drives above its fair share.
  std::size_t excess(std::int64_t epoch);
  /// Services of the server that have nothing running, at most `count`.
  std::vector<std::string> idle_services(std::int64_t epoch, std::size_t count);
  /// Gives the service up, unless an operation of it runs. The caller has stopped everything else it does for it.
  bool release(const std::string& service_id, std::int64_t epoch);

 private:
  std::int64_t room(std::int64_t epoch);
  Transaction& tx_;
};

}  // namespace backstay::metadata
