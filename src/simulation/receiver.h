// The WAL receiver's part of the work: what the server sends goes into the store, and what is there is acknowledged.
#pragma once

#include <filesystem>
#include <memory>

#include "backup/change_keeper.h"
#include "backup/wal_uploader.h"
#include "repository/wal_store.h"
#include "simulation/actor.h"
#include "simulation/oracle.h"

namespace backstay::simulation {

class Receiver {
 public:
  Receiver(Outside& outside, ModelServer& server, Oracle& oracle, std::filesystem::path spool, std::uint64_t epoch);

  /// From now on WAL is let go of without being stored, up to the next segment that the server begins.
  void let_go() { letting_go_ = true; }
  /// Takes at most so many bytes that the server has, uploads some of it, and says what is stored.
  void step(std::uint64_t bytes);
  /// Why the last upload did not succeed; empty if it did.
  [[nodiscard]] std::string trouble() const { return uploader_ ? uploader_->status().last_error : ""; }
  [[nodiscard]] Actor& actor() { return actor_; }

 private:
  void begin();
  void start_upload(std::uint64_t start, std::uint64_t stored);
  void append(std::uint64_t bytes);
  void pass_over(std::uint64_t bytes);
  void note_records();

  Outside& outside_;
  ModelServer& server_;
  Oracle& oracle_;
  const std::filesystem::path spool_;
  const std::uint64_t epoch_;
  Actor actor_;
  std::unique_ptr<repository::WalStore> wal_;
  std::unique_ptr<backup::WalUploader> uploader_;
  std::unique_ptr<backup::ChangeKeeper> changes_;
  std::uint64_t next_ = 0;
  /// The first record that was not looked at.
  std::size_t record_ = 0;
  bool letting_go_ = false;
  /// Where the WAL ends that is stored before what is let go of.
  std::uint64_t gap_from_ = 0;
};

}  // namespace backstay::simulation
