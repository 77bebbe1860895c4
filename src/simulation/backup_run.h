// One attempt at a backup, a step at a time: the order of a base backup and of an incremental one.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backup/incremental_facts.h"
#include "backup/page_changes.h"
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
  /// By the next step it is stored.
  [[nodiscard]] bool is_last() const { return step_ == kSteps - 1; }
  /// A step has thrown: the attempt is over.
  [[nodiscard]] bool failed() const { return failed_; }
  /// What an earlier attempt left is being removed: only a backup of another id can follow.
  [[nodiscard]] bool refused() const { return refused_; }
  [[nodiscard]] int steps_done() const { return step_; }
  [[nodiscard]] const std::string& id() const { return id_; }
  [[nodiscard]] std::int64_t attempt() const { return attempt_; }
  /// It was taken upon another one by what the WAL between them says.
  [[nodiscard]] bool went_by_map() const { return changes_.has_value(); }
  [[nodiscard]] Actor& actor() { return actor_; }
  /// Waits for WAL that is not acknowledged yet.
  [[nodiscard]] bool waits() const;

 private:
  static constexpr int kSteps = 5;
  void perform();
  void begin();
  void choose_base();
  void choose_by_map();
  void read_base(const repository::BackupRecord& base);
  [[nodiscard]] bool is_kept(const ModelFile& file, std::uint64_t page) const;
  void check_wal_is_there();
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
  backup::IncrementalFacts facts_;
  std::optional<repository::WriterMark> mark_;
  std::vector<ModelFile> files_;
  /// What the WAL since the base changed, as the receiver tells it; without it the model's own knowledge counts.
  std::optional<backup::PageChanges> changes_;
  /// The base's, by path: what it held, and where.
  std::map<std::string, std::pair<ModelFile, repository::FileEntry>> base_;
  std::vector<repository::FileEntry> entries_;
};

}  // namespace backstay::simulation
