// One attempt at a backup, a step at a time: the order of a base backup and of an incremental one.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "repository/manifest.h"
#include "repository/pack_writer.h"
#include "repository/writer_mark.h"
#include "simulation/actor.h"
#include "simulation/oracle.h"

namespace backstay::simulation {

class BackupRun {
 public:
  /// `attempt` counts the attempts under this id.
  BackupRun(Outside& outside, ModelServer& server, Oracle& oracle, std::string id, std::int64_t attempt);

  /// The next step; throws core::Error where a pipeline would.
  void step();
  [[nodiscard]] bool done() const { return step_ == kSteps; }
  /// A step has thrown: the attempt is over.
  [[nodiscard]] bool failed() const { return failed_; }
  /// What an earlier attempt left is being removed: only a backup of another id can follow.
  [[nodiscard]] bool refused() const { return refused_; }
  [[nodiscard]] int steps_done() const { return step_; }
  [[nodiscard]] const std::string& id() const { return id_; }
  [[nodiscard]] std::int64_t attempt() const { return attempt_; }
  [[nodiscard]] Actor& actor() { return actor_; }
  /// Waits for WAL that is not acknowledged yet.
  [[nodiscard]] bool waits() const;

 private:
  static constexpr int kSteps = 5;
  void perform();
  void begin();
  void choose_base();
  void copy(bool rest);
  void copy_file(const ModelFile& file, repository::PackWriter& writer);
  void write_manifest();
  void publish();

  Outside& outside_;
  ModelServer& server_;
  Oracle& oracle_;
  const std::string id_;
  const std::int64_t attempt_;
  Actor actor_;
  int step_ = 0;
  bool failed_ = false;
  bool refused_ = false;
  repository::BackupRecord record_;
  std::optional<repository::WriterMark> mark_;
  std::vector<ModelFile> files_;
  /// The base's, by path: what it held, and where.
  std::map<std::string, std::pair<ModelFile, repository::FileEntry>> base_;
  std::vector<repository::FileEntry> entries_;
};

}  // namespace backstay::simulation
