#include "backup/dump.h"

#include <algorithm>
#include <atomic>
#include <set>
#include <utility>

#include <fcntl.h>

#include <fmt/format.h>

#include "backup/dump_file.h"
#include "backup/parallel.h"
#include "core/bounded_queue.h"
#include "core/error.h"
#include "core/log.h"
#include "core/mutex.h"
#include "os/close_watch.h"
#include "os/untrusted_directory.h"
#include "postgres/dump_programs.h"
#include "repository/writer_mark.h"

namespace backstay::backup {
namespace {

constexpr std::size_t kQueuedFiles = 65536;
constexpr auto kWatchSlice = std::chrono::milliseconds(50);

/// What pg_dump opens once only. The tables of contents are taken when it has ended.
bool is_data(std::string_view name) { return name.ends_with(".dat") && name != "toc.dat"; }

class Dump {
 public:
  Dump(const Environment& environment, const DumpRequest& request, const ProgressCallback& progress,
       std::stop_token stop)
      : environment_(environment),
        request_(request),
        progress_(progress),
        stop_(std::move(stop)),
        source_(describe(request, stop_)),
        mark_(request.repository, request.instance, request.backup_id),
        chunker_(request.repository.data_key()),
        known_(chunks_of_last_dump(request.repository, request.instance)),
        scratch_(environment, request.scratch, source_.table_bytes, request.identity),
        files_(scratch_.path()),
        watch_(scratch_.path()),
        uploader_(request.repository, pack_options(request)),
        closed_(kQueuedFiles) {}

  repository::BackupRecord take();

 private:
  struct Source {
    core::Timestamp time;
    std::string version;
    std::uint64_t table_bytes = 0;
    core::json::array extensions;
  };
  static Source describe(const DumpRequest& request, const std::stop_token& stop);
  static repository::PackOptions pack_options(const DumpRequest& request) {
    repository::PackOptions options;
    options.compression = request.compression;
    return options;
  }
  void copy();
  void run_program(const std::stop_token& stop);
  void watch(const std::stop_token& stop);
  void hand_out(const std::string& name, const std::stop_token& stop);
  void take_files(const std::stop_token& stop);
  void write_manifest();

  const Environment& environment_;
  const DumpRequest& request_;
  const ProgressCallback& progress_;
  std::stop_token stop_;
  const Source source_;
  /// Outlives the uploader: it is there as long as anything is being written.
  const repository::WriterMark mark_;
  const repository::ContentChunker chunker_;
  const repository::KnownChunks known_;
  ScratchDirectory scratch_;
  /// Whoever runs pg_dump may be the tenant.
  const os::UntrustedDirectory files_;
  os::CloseWatch watch_;
  repository::PackUploader uploader_;
  core::BoundedQueue<std::string> closed_;
  /// Of the watching thread.
  std::set<std::string> handed_out_;
  std::atomic<bool> ended_{false};
  std::atomic<std::uint64_t> done_{0};
  std::atomic<std::uint64_t> reused_{0};
  core::Mutex mutex_;
  std::vector<repository::FileEntry> entries_ GUARDED_BY(mutex_);
  repository::BackupRecord record_;
};

Dump::Source Dump::describe(const DumpRequest& request, const std::stop_token& stop) {
  if (const auto problem = postgres::dump_problem(request.installation)) {
    throw core::Error(core::Code::kNotSupported, *problem).with_hint("install the client programs of that version");
  }
  if (!request.repository.instance(request.instance)) {
    throw core::Error(core::Code::kNotFound, fmt::format("the repository has no instance '{}'", request.instance));
  }
  postgres::Connection connection(request.connection, stop);
  Source source;
  source.time = core::Timestamp(core::Duration(
      connection.query("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint").integer(0, 0)));
  source.version = connection.query("SHOW server_version").text(0, 0);
  source.table_bytes = static_cast<std::uint64_t>(
      connection
          .query("SELECT coalesce(sum(pg_catalog.pg_table_size(oid)), 0)::bigint FROM pg_catalog.pg_class "
                 "WHERE relkind IN ('r', 'm') AND (relnamespace <> 'pg_catalog'::regnamespace "
                 "OR relname = 'pg_largeobject')")
          .integer(0, 0));
  const auto extensions = connection.query(
      "SELECT e.extname, n.nspname FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = "
      "e.extnamespace WHERE e.extname <> 'plpgsql' ORDER BY 1");
  for (std::size_t i = 0; i < extensions.size(); ++i) {
    source.extensions.push_back({{"name", extensions.text(i, 0)}, {"schema", extensions.text(i, 1)}});
  }
  return source;
}

repository::BackupRecord Dump::take() {
  copy();
  uploader_.finish();
  record_.backup = request_.backup_id;
  record_.instance = request_.instance;
  record_.mechanism = "logical";
  record_.origin = request_.origin;
  record_.label = request_.label;
  record_.postgres_version = source_.version;
  record_.start_time = source_.time;
  record_.taken = source_.time;
  write_manifest();
  record_.stop_time = record_.start_time;
  record_.details = {{"database", request_.connection.database},
                     {"extensions", source_.extensions},
                     {"timeZone", "UTC"},
                     {"reusedBytes", std::to_string(reused_.load())}};
  record_.stored = environment_.clock.now();
  if (stop_.stop_requested()) throw core::Error(core::Code::kCancelled, "the backup was stopped");
  mark_.publish(record_);
  core::log_info("backup.stored", "a logical backup is stored",
                 {{"instance", request_.instance},
                  {"backup", request_.backup_id},
                  {"bytes", std::to_string(record_.data_size)},
                  {"reused_bytes", std::to_string(reused_.load())},
                  {"stored_bytes", std::to_string(record_.stored_size)}});
  return record_;
}

/// One thread runs pg_dump, one hears which files are closed, the others take them.
void Dump::copy() {
  std::atomic<unsigned> next{0};
  const auto work = [&](const std::stop_token& stop) {
    const std::stop_callback abort(stop, [this] { closed_.abort(); });
    switch (next++) {
      case 0: return run_program(stop);
      case 1: return watch(stop);
      default: return take_files(stop);
    }
  };
  const auto tick = [&] {
    if (!ended_) scratch_.check_room(done_);
    if (progress_) progress_({.phase = "dump", .done = done_, .total = std::max(source_.table_bytes, done_.load())});
  };
  tick();
  run_parallel(std::max(request_.workers, 1U) + 2, stop_, work, tick);
  tick();
}

void Dump::run_program(const std::stop_token& stop) {
  const postgres::DumpTask task{.installation = request_.installation,
                                .connection = request_.connection,
                                .directory = scratch_.path(),
                                .identity = request_.identity,
                                .jobs = request_.workers};
  const auto result = environment_.processes.run(postgres::dump_command(task), stop);
  if (result.exit_code != 0) throw postgres::dump_error(result, core::Code::kDatabaseError);
  ended_ = true;
}

void Dump::watch(const std::stop_token& stop) {
  for (bool ended = false; !ended && !stop.stop_requested();) {
    ended = ended_;  // what was closed before shows in the wait that follows
    for (const std::string& name : watch_.wait(kWatchSlice)) {
      if (is_data(name)) hand_out(name, stop);
    }
  }
  if (stop.stop_requested()) return;
  for (const auto& entry : files_.list("")) {
    if (!handed_out_.contains(entry.name)) hand_out(entry.name, stop);
  }
  closed_.close();
}

void Dump::hand_out(const std::string& name, const std::stop_token& stop) {
  if (!handed_out_.insert(name).second) {
    throw core::Error(core::Code::kInternal, fmt::format("pg_dump wrote '{}' twice", name));
  }
  if (!stop.stop_requested()) closed_.push(name);
}

void Dump::take_files(const std::stop_token& stop) {
  repository::PackWriter writer(uploader_);
  DumpFileTaker taker(chunker_, known_, writer);
  while (const auto name = closed_.pop()) {
    repository::FileEntry entry = taker.take(files_.open(*name, O_RDONLY), *name, done_, stop);
    environment_.files.remove(scratch_.path() / *name);
    entry.modified = environment_.clock.now();
    const core::LockGuard lock(mutex_);
    entries_.push_back(std::move(entry));
  }
  reused_ += taker.reused();
  if (!stop.stop_requested()) writer.finish();
}

void Dump::write_manifest() {
  const core::LockGuard lock(mutex_);
  std::ranges::sort(entries_, repository::path_less, &repository::FileEntry::path);
  repository::ManifestWriter manifest(request_.repository, request_.instance, request_.backup_id, mark_.attempt());
  for (const repository::FileEntry& entry : entries_) manifest.add(entry);
  const auto result = manifest.finish();
  record_.attempt = mark_.attempt();
  record_.manifest_id = result.id;
  record_.file_count = result.files;
  record_.data_size = result.data_size;
  record_.stored_size = uploader_.bytes_stored() + result.stored_size;
}

}  // namespace

repository::BackupRecord take_dump(const Environment& environment, const DumpRequest& request,
                                   const ProgressCallback& progress, std::stop_token stop) {
  try {
    return Dump(environment, request, progress, std::move(stop)).take();
  } catch (core::Error& e) {
    throw std::move(e).add_context(fmt::format("dump of database '{}'", request.connection.database));
  }
}

}  // namespace backstay::backup
