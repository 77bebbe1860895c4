// Says in the store that a backup is being written.
//
// What a backup has written lies in the store before anything refers to it. Its mark is there before the first pack
// and until after the record, so that whoever looks for garbage knows: packs that it saw before it looked for marks,
// and that nothing refers to, belong to a marked writer or to nobody (see prune.h).
#pragma once

#include <string>

#include "core/time.h"
#include "repository/repository.h"

namespace backstay::repository {

/// A backup that is not stored by then never becomes so: its mark may have been taken for one that a crash left.
inline constexpr core::Duration kLongestBackup = std::chrono::days(7);

class WriterMark {
 public:
  /// Draws the attempt's id and writes the mark. Throws Error(conflict) if what an earlier attempt left of this backup
  /// is being removed: take a new id. `repository` must outlive it.
  WriterMark(Repository& repository, const std::string& instance, const std::string& backup);
  /// Removes the mark, as well as it can; one that stays behind only keeps garbage longer. Destroy it after the record
  /// was written, or after the last pack of an attempt that failed.
  ~WriterMark();
  WriterMark(const WriterMark&) = delete;
  WriterMark& operator=(const WriterMark&) = delete;

  /// In the names of what this attempt writes, and in its record.
  [[nodiscard]] const ObjectId& attempt() const { return attempt_; }

  /// Writes the record, by which the backup is stored. Throws Error(timeout) if the attempt took too long, and
  /// Error(conflict) if the backup is being removed, or if the attempt was taken for dead meanwhile: then what it has
  /// written may have been let go of, whatever its record says.
  void publish(const BackupRecord& record) const;

 private:
  WriterMark(Repository& repository, const std::string& instance, const std::string& backup, const ObjectId& attempt);
  void check() const;
  void check_not_condemned() const;

  Repository& repository_;
  const ObjectId attempt_;
  const ObjectName name_;
  const std::string condemned_key_;
  const core::Timestamp begun_;
  const core::SteadyTime steady_begun_;
};

}  // namespace backstay::repository
