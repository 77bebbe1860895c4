#include "backup/base_backup.h"

#include <exception>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "backup/cluster_copy.h"
#include "backup/incremental_facts.h"
#include "backup/known_damage.h"
#include "backup/wal_receiver.h"
#include "backup/wal_summaries.h"
#include "core/error.h"
#include "core/log.h"
#include "core/random.h"
#include "postgres/backup_session.h"
#include "postgres/control_file.h"
#include "postgres/page_checksum.h"
#include "repository/manifest.h"
#include "repository/pack_writer.h"
#include "repository/wal_store.h"
#include "repository/writer_mark.h"

namespace backstay::backup {
namespace {

constexpr std::uint32_t kFileMode = 0600;
/// How long the receiver may take to store its map of changed pages; a matter of a request or two.
constexpr core::Duration kMapDeadline = std::chrono::seconds(30);
constexpr core::Duration kPoll = std::chrono::milliseconds(20);
/// Another process that streams stores what it has got within two seconds or so.
constexpr core::Duration kOthersDeadline = std::chrono::seconds(3);
constexpr core::Duration kOthersPoll = std::chrono::milliseconds(500);

/// A receiver that lives as long as the backup.
class OwnWalStream {
 public:
  OwnWalStream(const Environment& environment, const BaseBackupRequest& request)
      : environment_(environment),
        receiver_(environment, request.repository, config(environment, request)),
        thread_([this](auto stop) {
          try {
            receiver_.run(stop);
          } catch (...) {
            // Whoever waits for this WAL meets the error there.
            const core::LockGuard lock(mutex_);
            error_ = std::current_exception();
            failed_.request_stop();
          }
        }) {}

  /// From then on the server keeps the WAL for us.
  void wait_until_connected(std::stop_token stop) EXCLUDES(mutex_) {
    const std::stop_callback forward(stop, [this] { failed_.request_stop(); });
    while (!receiver_.status().connected && environment_.clock.wait(failed_.get_token(), kPoll)) {
    }
    if (stop.stop_requested()) throw core::Error(core::Code::kCancelled, "the backup was stopped");
    const core::LockGuard lock(mutex_);
    if (error_) std::rethrow_exception(error_);
  }

  bool wait_until_stored(postgres::Lsn lsn, core::Duration deadline, std::stop_token stop) EXCLUDES(mutex_) {
    const std::stop_callback forward(stop, [this] { failed_.request_stop(); });
    const bool stored = receiver_.wait_until_stored(lsn, deadline, failed_.get_token());
    const core::LockGuard lock(mutex_);
    if (!stored && error_) std::rethrow_exception(error_);
    return stored;
  }

 private:
  static WalReceiverConfig config(const Environment& environment, const BaseBackupRequest& request) {
    WalReceiverConfig config;
    config.instance = request.instance;
    config.connection = request.connection;
    config.slot = "backstay_backup_" + core::to_hex(environment.random.bytes(6));
    config.temporary_slot = true;
    config.lease_epoch = request.epoch;
    config.spool_directory = request.spool_directory;
    return config;
  }

  const Environment environment_;
  WalReceiver receiver_;
  core::Mutex mutex_;
  std::exception_ptr error_ GUARDED_BY(mutex_);
  std::stop_source failed_;
  std::jthread thread_;
};

core::Timestamp server_time(postgres::Connection& connection) {
  const auto rows = connection.query("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint");
  return core::Timestamp(core::Duration(rows.integer(0, 0)));
}

class BaseBackup {
 public:
  BaseBackup(const Environment& environment, const BaseBackupRequest& request, const ProgressCallback& progress,
             std::stop_token stop)
      : environment_(environment),
        request_(request),
        progress_(progress),
        stop_(std::move(stop)),
        control_(postgres::parse_control_file(read_control_file(environment.clock, request.data_directory, stop_))),
        session_(postgres::Connection(request.connection, stop_)),
        mark_(request.repository, request.instance, request.backup_id),
        uploader_(request.repository, pack_options(request)),
        chunker_(request.repository.data_key()),
        pace_(environment.clock),
        copied_(environment, scratch_of(request)) {}

  repository::BackupRecord take();

 private:
  static repository::PackOptions pack_options(const BaseBackupRequest& request) {
    repository::PackOptions options;
    options.compression = request.compression;
    return options;
  }
  static std::filesystem::path scratch_of(const BaseBackupRequest& request) {
    return request.scratch_directory.empty() ? std::filesystem::temp_directory_path() : request.scratch_directory;
  }
  void check_identity();
  void find_base();
  std::string look_for_base();
  bool wait_for_wal_until(postgres::Lsn lsn);
  void copy();
  CollectedChanges collect_changes(const ChangesRequest& wanted);
  std::string compare_map(const ChangesRequest& wanted);
  void refuse_base(const std::string& found);
  void end_session();
  void write_manifest();
  void note_facts();
  void add_late_file(repository::PackWriter& writer, const std::string& path, core::ByteSpan content);
  void wait_for_wal();
  void check_wal_is_there() const;
  void say(const char* phase) const {
    if (progress_) progress_({.phase = phase, .done = copy_.bytes, .total = copy_.bytes});
  }

  const Environment& environment_;
  const BaseBackupRequest& request_;
  const ProgressCallback& progress_;
  std::stop_token stop_;
  postgres::ControlFile control_;
  postgres::BackupSession session_;
  /// Outlives the uploader: it is there as long as anything is being written.
  repository::WriterMark mark_;
  repository::PackUploader uploader_;
  const repository::ContentChunker chunker_;
  std::unique_ptr<OwnWalStream> own_wal_;
  std::optional<CopyBase> base_;
  IncrementalFacts facts_;
  bool map_stored_ = false;
  Pace pace_;
  ClusterCopy copy_;
  EntryList copied_;
  /// What comes beside the copy or in the place of what it has, in path order.
  std::vector<repository::FileEntry> late_files_;
  repository::BackupRecord record_;
};

repository::BackupRecord BaseBackup::take() {
  check_identity();
  if (request_.receiver == nullptr) {
    own_wal_ = std::make_unique<OwnWalStream>(environment_, request_);
    own_wal_->wait_until_connected(stop_);
  }
  pace_.look(session_.connection());
  const postgres::BackupStart start = session_.start(
      request_.label.empty() ? "backstay " + request_.backup_id : request_.label, request_.fast_checkpoint);
  record_.start_lsn = start.lsn.value;
  record_.timeline = start.timeline.value;
  record_.start_time = server_time(session_.connection());
  find_base();
  copy();
  end_session();
  uploader_.finish();
  write_manifest();
  wait_for_wal();
  check_wal_is_there();
  record_.stored = environment_.clock.now();
  if (stop_.stop_requested()) throw core::Error(core::Code::kCancelled, "the backup was stopped");
  mark_.publish(record_);
  core::log_info("backup.stored", "a base backup is stored",
                 {{"instance", request_.instance},
                  {"backup", request_.backup_id},
                  {"base", facts_.base},
                  {"bytes", std::to_string(record_.data_size)},
                  {"read_bytes", std::to_string(facts_.read_bytes)},
                  {"stored_bytes", std::to_string(record_.stored_size)}});
  return record_;
}

void BaseBackup::check_identity() {
  const auto instance = request_.repository.instance(request_.instance);
  if (!instance) {
    throw core::Error(core::Code::kNotFound, fmt::format("the repository has no instance '{}'", request_.instance));
  }
  if (instance->system_identifier != 0 && instance->system_identifier != control_.system_identifier) {
    throw core::Error(
        core::Code::kConflict,
        fmt::format("'{}' is the cluster {}, but instance '{}' belongs to cluster {}", request_.data_directory.string(),
                    control_.system_identifier, request_.instance, instance->system_identifier));
  }
  record_.backup = request_.backup_id;
  record_.instance = request_.instance;
  record_.origin = request_.origin;
  record_.label = request_.label;
  record_.system_identifier = control_.system_identifier;
  record_.wal_segment_size = control_.wal_segment_size;
  record_.postgres_version = session_.connection().query("SHOW server_version").text(0, 0);
}

void BaseBackup::find_base() {
  facts_.checksums = control_.data_checksum_version != 0;
  facts_.full_time = record_.start_time;
  // Also for a full one: a part of the map that ends at the start of a backup says nothing of what came before to
  // whoever takes the next one upon this.
  map_stored_ = request_.receiver != nullptr &&
                request_.receiver->store_page_changes(postgres::Lsn{record_.start_lsn}, kMapDeadline, stop_);
  facts_.reason = look_for_base();
}

/// Why there is none; empty if there is one.
std::string BaseBackup::look_for_base() {
  if (request_.full) return "a full one was asked for";
  if (control_.block_size != postgres::kPageSize ||
      control_.relation_segment_blocks != postgres::kRelationSegmentBlocks) {
    return "the server was built with other sizes of pages or files";
  }
  auto choice = choose_base(request_.repository, record_, facts_.checksums, request_.base_rules);
  if (!choice.base) return choice.reason;
  say("changes");
  // Without the map the WAL itself is parsed.
  if (!map_stored_ && !wait_for_wal_until(postgres::Lsn{record_.start_lsn})) {
    return "the WAL since the last backup is not stored in time";
  }
  const ChangesRequest wanted{
      .instance = request_.instance,
      .segment_size = record_.wal_segment_size,
      .from = {postgres::TimelineId{choice.base->timeline}, postgres::Lsn{choice.base->start_lsn}},
      .base_stop = postgres::Lsn{choice.base->stop_lsn},
      .to = {postgres::TimelineId{record_.timeline}, postgres::Lsn{record_.start_lsn}}};
  CollectedChanges collected = collect_changes(wanted);
  if (!collected.unproven.empty()) return collected.unproven;
  base_.emplace(CopyBase{request_.repository, std::move(*choice.base), std::move(collected.changes)});
  return compare_map(wanted);
}

/// Where the receiver is another process's, nobody says when it has stored what came before our own stream.
CollectedChanges BaseBackup::collect_changes(const ChangesRequest& wanted) {
  const core::SteadyTime end = environment_.clock.steady_now() + kOthersDeadline;
  while (true) {
    CollectedChanges collected =
        request_.changes ? request_.changes(wanted, stop_) : collect_page_changes(request_.repository, wanted, stop_);
    if (!own_wal_ || !collected.wal_missing || environment_.clock.steady_now() >= end) return collected;
    if (!environment_.clock.wait(stop_, kOthersPoll)) return collected;
  }
}

/// With what the server knows itself. Why the base is of no use; empty if nothing is missing.
std::string BaseBackup::compare_map(const ChangesRequest& wanted) {
  SummaryAnswer answer = compare_with_summaries(environment_,
                                                {.connection = request_.connection,
                                                 .data_directory = request_.data_directory,
                                                 .from = wanted.from,
                                                 .to = wanted.to},
                                                base_->changes, stop_);
  if (!answer.missing.empty()) {
    refuse_base(answer.missing);
    return "the map of changed pages lacks what the server's own summary of its WAL names";
  }
  facts_.compared_wal = answer.compared;
  facts_.not_compared = std::move(answer.not_compared);
  return {};
}

void BaseBackup::copy() {
  CopyRequest copy;
  copy.data_directory = request_.data_directory;
  copy.scratch_directory = scratch_of(request_);
  copy.start = postgres::Lsn{record_.start_lsn};
  copy.checksums = control_.data_checksum_version != 0;
  copy.workers = request_.workers;
  copy.chunker = &chunker_;
  copy.base = base_ ? &*base_ : nullptr;
  copy.pace = &pace_;
  pace_.look(session_.connection());
  const auto tick = [&](const Progress& progress) {
    pace_.look(session_.connection());
    if (progress_) progress_(progress);
  };
  copy_ = copy_cluster(environment_, copy, uploader_, copied_, tick, stop_);
  if (!copy_.late_damage.empty()) note_problem(request_.repository, base_->record, copy_.late_damage);
  if (copy_.mismatch.empty()) return;
  facts_.reason = copy_.base_damaged
                      ? "the last backup does not read back"
                      : "the last backup and the data differ where the WAL says that nothing has changed";
  if (copy_.base_damaged) note_problem(request_.repository, base_->record, copy_.mismatch);
  refuse_base(copy_.mismatch);
}

void BaseBackup::refuse_base(const std::string& found) {
  facts_.mismatch =
      fmt::format("backup '{}' was not taken upon backup '{}': {}", request_.backup_id, base_->record.backup, found);
  facts_.compared_wal = 0;
  facts_.not_compared.clear();
  core::log_error("backup.base_mismatch", "pages are not what an earlier backup holds, though no WAL says so",
                  {{"instance", request_.instance},
                   {"backup", request_.backup_id},
                   {"base", base_->record.backup},
                   {"found", found}});
  base_.reset();
}

void BaseBackup::end_session() {
  repository::PackWriter writer(uploader_);
  add_late_file(writer, std::string(postgres::kControlFilePath),
                read_control_file(environment_.clock, request_.data_directory, stop_));
  const postgres::BackupStop stop = session_.stop();
  if (stop.timeline.value != record_.timeline) {
    throw core::Error(core::Code::kDatabaseError, "the server changed its timeline during the backup");
  }
  record_.stop_lsn = stop.lsn.value;
  record_.stop_time = server_time(session_.connection());
  record_.taken = record_.stop_time;
  add_late_file(writer, "backup_label", core::as_bytes(stop.backup_label));
  if (!stop.tablespace_map.empty()) add_late_file(writer, "tablespace_map", core::as_bytes(stop.tablespace_map));
  writer.finish();
}

void BaseBackup::add_late_file(repository::PackWriter& writer, const std::string& path, core::ByteSpan content) {
  repository::FileEntry entry;
  entry.path = path;
  entry.mode = kFileMode;
  entry.modified = environment_.clock.now();
  entry.size = content.size();
  writer.add(0, content, entry.extents);
  const auto at = std::ranges::lower_bound(late_files_, path, repository::path_less, &repository::FileEntry::path);
  late_files_.insert(at, std::move(entry));
}

void BaseBackup::write_manifest() {
  repository::ManifestWriter manifest(request_.repository, request_.instance, request_.backup_id, mark_.attempt());
  auto late = late_files_.begin();
  copied_.rewind();
  while (const auto entry = copied_.next()) {
    while (late != late_files_.end() && repository::path_less(late->path, entry->path)) manifest.add(*late++);
    if (late != late_files_.end() && late->path == entry->path) {
      late->mode = entry->mode;
      manifest.add(*late++);
    } else {
      manifest.add(*entry);
    }
  }
  for (; late != late_files_.end(); ++late) manifest.add(*late);
  const auto result = manifest.finish();
  record_.attempt = mark_.attempt();
  record_.manifest_id = result.id;
  record_.file_count = result.files;
  record_.data_size = result.data_size;
  record_.stored_size = uploader_.bytes_stored() + result.stored_size;
  record_.pages_checked = copy_.pages_checked;
  record_.pages_failed = copy_.pages_failed;
  note_facts();
  if (copy_.damaged.empty()) return;
  core::json::array damaged;
  for (const DamagedPage& page : copy_.damaged) damaged.push_back({{"file", page.file}, {"block", page.block}});
  record_.details["damagedPages"] = std::move(damaged);
  core::log_warning("backup.pages_damaged", "pages of the database fail their checksum",
                    {{"instance", request_.instance},
                     {"backup", request_.backup_id},
                     {"pages", std::to_string(copy_.pages_failed)},
                     {"first_file", copy_.damaged.front().file}});
}

void BaseBackup::note_facts() {
  facts_.read_bytes = copy_.bytes;
  if (base_) {
    const IncrementalFacts earlier = facts_of(base_->record);
    facts_.base = base_->record.backup;
    facts_.depth = earlier.depth + 1;
    facts_.full_time = earlier.full_time;
    facts_.kept_pages = copy_.pages_kept;
  }
  put_facts(record_, facts_);
}

bool BaseBackup::wait_for_wal_until(postgres::Lsn lsn) {
  return own_wal_ ? own_wal_->wait_until_stored(lsn, request_.wal_deadline, stop_)
                  : request_.receiver->wait_until_stored(lsn, request_.wal_deadline, stop_);
}

void BaseBackup::wait_for_wal() {
  say("wal");
  const postgres::Lsn stop{record_.stop_lsn};
  const bool stored = wait_for_wal_until(stop);
  own_wal_.reset();
  if (stored) return;
  if (stop_.stop_requested()) throw core::Error(core::Code::kCancelled, "the backup was stopped");
  throw core::Error(core::Code::kTimeout,
                    fmt::format("the WAL up to {} was not stored within {} s or before its receiver ended, so the "
                                "backup is not either",
                                postgres::format_lsn(stop), request_.wal_deadline.count()));
}

void BaseBackup::check_wal_is_there() const {
  const std::uint64_t size = record_.wal_segment_size;
  repository::WalStore wal(request_.repository, request_.instance, size);
  if (record_.timeline > 1 && !wal.get_history(record_.timeline)) {
    throw core::Error(
        core::Code::kWalGap,
        fmt::format("the archive lacks the history of timeline {} that the backup needs", record_.timeline));
  }
  if (const auto missing = wal.first_missing(record_.timeline, record_.start_lsn, record_.stop_lsn)) {
    throw core::Error(core::Code::kWalGap, fmt::format("the archive lacks WAL segment {} that the backup needs",
                                                       repository::segment_name(record_.timeline, *missing, size)));
  }
}

}  // namespace

repository::BackupRecord take_base_backup(const Environment& environment, const BaseBackupRequest& request,
                                          const ProgressCallback& progress, std::stop_token stop) {
  try {
    auto record = BaseBackup(environment, request, progress, std::move(stop)).take();
    if (request.receiver != nullptr) request.receiver->note_base_backup({record.start_lsn});
    return record;
  } catch (core::Error& e) {
    throw std::move(e).add_context(fmt::format("base backup of '{}'", request.data_directory.string()));
  }
}

}  // namespace backstay::backup
