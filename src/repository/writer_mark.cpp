#include "repository/writer_mark.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "core/error.h"
#include "core/log.h"

namespace backstay::repository {

WriterMark::WriterMark(Repository& repository, const std::string& instance, const std::string& backup,
                       const ObjectId& attempt)
    : repository_(repository),
      attempt_(attempt),
      name_(writer_mark_name(instance, backup, attempt)),
      condemned_key_(condemned_name(instance, backup).key),
      begun_(repository.clock().now()),
      steady_begun_(repository.clock().steady_now()) {}

// Delegating, so that the mark is removed again if what follows throws.
WriterMark::WriterMark(Repository& repository, const std::string& instance, const std::string& backup)
    : WriterMark(repository, instance, backup, new_object_id(repository.random())) {
  const core::json::object content{{"begun", core::format_time(begun_)}};
  repository_.put_sealed(name_, core::as_bytes(core::to_text(content)));
  // In this order: who removes condemned backups looks for marks after it has condemned, so one of us sees the other.
  check_not_condemned();
}

void WriterMark::check_not_condemned() const {
  if (!repository_.store().head(condemned_key_)) return;
  throw core::Error(core::Code::kConflict, fmt::format("the backup of '{}' is being removed", name_.key))
      .with_hint("take another backup; its id will be a new one");
}

WriterMark::~WriterMark() {
  try {
    repository_.store().remove(std::vector<std::string>{name_.key});
  } catch (const std::exception& error) {
    core::log_warning("repository.writer_mark_stays", "the mark of a writer could not be removed",
                      {{"object", name_.key}, {"error", error.what()}});
  }
}

void WriterMark::publish(const BackupRecord& record) const {
  check();
  repository_.put_backup(record);
  // Whoever takes an attempt for dead removes its mark before looking for its record, so one of us sees the other.
  if (repository_.store().head(name_.key)) return;
  // What it left may have been swept, mark and all; a record alone would say that a backup is stored.
  if (!repository_.store().head(manifest_name(record).key)) {
    repository_.store().remove(std::vector<std::string>{backup_record_name(record).key});
  }
  throw core::Error(core::Code::kConflict, fmt::format("the attempt of '{}' was taken for dead", name_.key))
      .with_hint("take another backup; its id will be a new one");
}

void WriterMark::check() const {
  const core::Duration steady =
      std::chrono::duration_cast<core::Duration>(repository_.clock().steady_now() - steady_begun_);
  const core::Duration taken = std::max(steady, repository_.clock().now() - begun_);
  if (taken >= kLongestBackup) {
    throw core::Error(core::Code::kTimeout,
                      fmt::format("the backup took {}, longer than a backup may take ({})",
                                  core::format_duration(taken), core::format_duration(kLongestBackup)));
  }
  check_not_condemned();
}

}  // namespace backstay::repository
