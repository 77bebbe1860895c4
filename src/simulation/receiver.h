// The WAL receiver's part of the work: what the server sends goes into the store, and what is there is acknowledged.
#pragma once

#include <filesystem>
#include <memory>

#include "backup/wal_uploader.h"
#include "repository/wal_store.h"
#include "simulation/actor.h"
#include "simulation/oracle.h"

namespace backstay::simulation {

class Receiver {
 public:
  Receiver(Outside& outside, ModelServer& server, Oracle& oracle, std::filesystem::path spool, std::uint64_t epoch);

  /// Takes at most so many bytes that the server has, uploads some of it, and says what is stored.
  void step(std::uint64_t bytes);
  [[nodiscard]] Actor& actor() { return actor_; }

 private:
  void begin();
  void append(std::uint64_t bytes);

  Outside& outside_;
  ModelServer& server_;
  Oracle& oracle_;
  const std::filesystem::path spool_;
  const std::uint64_t epoch_;
  Actor actor_;
  std::unique_ptr<repository::WalStore> wal_;
  std::unique_ptr<backup::WalUploader> uploader_;
  std::uint64_t next_ = 0;
};

}  // namespace backstay::simulation
