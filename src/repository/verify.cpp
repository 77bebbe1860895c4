#include "repository/verify.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"
#include "core/mutex.h"
#include "repository/container_reader.h"
#include "repository/manifest.h"
#include "repository/object_checks.h"
#include "repository/parallel.h"
#include "repository/second_reading.h"
#include "repository/wal_store.h"

namespace backstay::repository {
namespace {

constexpr std::string_view kCannotRestore = "this backup cannot be restored as a whole";
constexpr std::string_view kNotConsistent = "this backup cannot be brought to a consistent state";

class Verification {
 public:
  Verification(Repository& repository, const std::string& instance, const std::string& backup,
               const VerifyOptions& options, std::stop_token stop)
      : repository_(repository), instance_(instance), backup_(backup), options_(options), stop_(std::move(stop)) {}

  VerifyReport run() {
    const auto attempts = repository_.attempts(instance_, backup_);
    const std::string record_key = attempts.empty() ? backup_prefix(instance_, backup_)
                                                    : backup_record_name(instance_, backup_, attempts[0].attempt).key;
    if (!guarded(record_key, kCannotRestore, [&] { read_record(); })) return std::move(report_);
    guarded(manifest_name(record_).key, kCannotRestore, [&] { check_manifest(); });
    guarded(wal_prefix(instance_), kNotConsistent, [&] { check_wal(); });
    return std::move(report_);
  }

 private:
  /// Runs `check`; damage becomes a problem and false.
  template <typename Check>
  bool guarded(const std::string& object, std::string_view meaning, Check check) {
    try {
      check();
      return true;
    } catch (const core::Error& error) {
      if (!detail::is_finding(error)) throw;
      add_problem(object, error.message(), meaning);
      return false;
    }
  }

  void add_problem(const std::string& object, const std::string& what, std::string_view meaning) {
    const core::LockGuard lock(mutex_);
    report_.problems.push_back({object, what, std::string(meaning)});
  }

  void read_record() {
    auto record = repository_.backup(instance_, backup_);
    if (!record) {
      throw core::Error(core::Code::kStoreObjectMissing, "the backup has no record, so it is not stored");
    }
    report_.attempt = record->attempt;
    if (record->backup != backup_ || record->instance != instance_) {
      throw core::Error(core::Code::kCorruptData, "the record is of another backup");
    }
    record_ = std::move(*record);
  }

  void check_manifest() {
    ManifestReader manifest(repository_, record_);
    detail::check_manifest_header(repository_, manifest_name(record_), manifest);
    report_.bytes_read += manifest.stored_size();
    report_.packs = manifest.packs().size();
    total_ = manifest.packs().size() + wal_segment_count();
    detail::parallel_each(manifest.packs().size(), std::max(1U, options_.threads), [&](std::size_t i) {
      const ObjectId& pack = manifest.packs()[i];
      guarded(pack_key(pack), "files whose bytes lie in this pack cannot be restored", [&] { check_pack(pack); });
      note_progress();
    });
    check_entries(manifest);
  }

  void check_pack(const ObjectId& pack) {
    stop_if_asked();
    const Layout layout = std::ranges::binary_search(options_.known_packs, pack)
                              ? check_table(pack)
                              : check_object({Kind::kPack, pack_key(pack)});
    const core::LockGuard lock(mutex_);
    group_sizes_.note(pack, layout);
  }

  void check_entries(ManifestReader& manifest) {
    const std::string key = manifest_name(record_).key;
    std::string last;
    while (const auto entry = manifest.next()) {
      stop_if_asked();
      if (report_.entries > 0 && !path_less(last, entry->path)) {
        throw core::Error(core::Code::kCorruptData, fmt::format("'{}' is out of order", entry->path));
      }
      last = entry->path;
      ++report_.entries;
      if (entry->type != EntryType::kFile) continue;
      ++report_.files;
      report_.data_size += entry->size;
      for (const Extent& extent : entry->extents) {
        if (is_covered(extent)) continue;
        add_problem(key, fmt::format("'{}' refers to bytes that its pack does not have", entry->path),
                    "this file cannot be restored");
      }
    }
    if (report_.entries != manifest.entry_count() || report_.data_size != manifest.data_size()) {
      throw core::Error(core::Code::kCorruptData, "the manifest does not have all of its entries");
    }
  }

  bool is_covered(const Extent& extent) {
    const core::LockGuard lock(mutex_);
    return group_sizes_.cover(extent);
  }

  [[nodiscard]] std::uint64_t first_segment() const { return record_.start_lsn / record_.wal_segment_size; }
  /// The stop position is behind the last byte that is needed.
  [[nodiscard]] std::uint64_t last_segment() const { return (record_.stop_lsn - 1) / record_.wal_segment_size; }
  [[nodiscard]] std::uint64_t wal_segment_count() const {
    return record_.stop_lsn > record_.start_lsn ? last_segment() - first_segment() + 1 : 0;
  }

  void check_wal() {
    if (wal_segment_count() == 0) return;
    WalStore wal(repository_, instance_, record_.wal_segment_size);
    guarded(fmt::format("{:08X}.history", record_.timeline), kNotConsistent, [&] {
      if (record_.timeline > 1 && !wal.get_history(record_.timeline)) {
        throw core::Error(core::Code::kWalGap, "the history of the backup's timeline is not in the archive");
      }
    });
    const auto stored = wal.list_expected(record_.timeline, first_segment(), last_segment(), record_.stop_lsn);
    detail::parallel_each(wal_segment_count(), std::max(1U, options_.threads), [&](std::size_t i) {
      stop_if_asked();
      const std::uint64_t segment = first_segment() + i;
      const std::string name = segment_name(record_.timeline, segment, record_.wal_segment_size);
      guarded(name, kNotConsistent, [&] {
        const auto found = std::ranges::find(stored, segment, &StoredSegment::segment);
        if (found == stored.end()) throw core::Error(core::Code::kWalGap, "the segment is not in the archive");
        check_segment(wal, *found);
      });
      note_progress();
    });
  }

  void check_segment(WalStore& wal, const StoredSegment& stored) {
    if (stored.complete.empty()) {
      check_tails(wal, stored);
    } else {
      check_copies(stored);
    }
    const core::LockGuard lock(mutex_);
    ++report_.wal_segments;
  }

  /// Every whole copy: any of them may be what a recovery takes.
  void check_copies(const StoredSegment& stored) {
    std::string digest;
    for (const std::string& key : stored.complete) {
      guarded(key, kNotConsistent, [&] {
        const Layout layout = check_object({Kind::kWalSegment, key});
        if (layout.raw_size() != record_.wal_segment_size) {
          throw core::Error(core::Code::kCorruptData, "the segment has another size");
        }
        const std::string own = stored_content_mac(layout);
        if (!digest.empty() && own != digest) {
          throw core::Error(core::Code::kStoreConflict, "two writers stored different contents for this segment");
        }
        digest = own;
      });
    }
  }

  void check_tails(WalStore& wal, const StoredSegment& stored) {
    const auto data = wal.read_segment(record_.timeline, stored);
    const std::uint64_t begin = stored.segment * record_.wal_segment_size;
    const std::uint64_t needed = std::min(record_.stop_lsn - begin, record_.wal_segment_size);
    const std::uint64_t have = data ? data->bytes.size() : 0;
    if (have < needed) {
      throw core::Error(core::Code::kWalGap,
                        fmt::format("only {} of the {} bytes that are needed are in the archive", have, needed));
    }
    const core::LockGuard lock(mutex_);
    report_.bytes_read += have;
  }

  Layout check_table(const ObjectId& pack) {
    ContainerReader reader(repository_.data_key());
    auto layout = reader.fetch_layout(repository_.store(), {Kind::kPack, pack_key(pack)});
    if (!layout) throw core::Error(core::Code::kStoreObjectMissing, "the object is not in the store");
    return std::move(*layout);
  }

  /// What is wrong may have gone wrong on its way here: it is read once more before it is told.
  Layout check_object(const ObjectName& name) {
    std::vector<VerifyProblem> problems;
    Layout layout = detail::read_again_if_damaged([&] { return read_object(name, problems); });
    if (!problems.empty()) layout = read_object(name, problems);
    const core::LockGuard lock(mutex_);
    report_.groups += layout.groups.size();
    report_.bytes_read += layout.object_size;
    report_.problems.insert(report_.problems.end(), problems.begin(), problems.end());
    return layout;
  }

  Layout read_object(const ObjectName& name, std::vector<VerifyProblem>& problems) {
    const auto object = repository_.store().get(name.key);
    if (!object) throw core::Error(core::Code::kStoreObjectMissing, "the object is not in the store");
    ContainerReader reader(repository_.data_key());
    Layout layout = reader.read_layout(name, *object);
    problems = detail::check_groups(reader, layout, *object, options_.level);
    return layout;
  }

  void stop_if_asked() const {
    if (stop_.stop_requested()) throw core::Error(core::Code::kCancelled, "the verification was cancelled");
  }

  void note_progress() {
    if (!options_.progress) return;
    const std::lock_guard lock(progress_mutex_);
    options_.progress(++done_, total_);
  }

  Repository& repository_;
  const std::string& instance_;
  const std::string& backup_;
  const VerifyOptions& options_;
  std::stop_token stop_;
  BackupRecord record_;
  core::Mutex mutex_;
  VerifyReport report_;
  detail::GroupSizes group_sizes_;
  std::mutex progress_mutex_;
  std::uint64_t done_ = 0;
  std::uint64_t total_ = 0;
};

}  // namespace

VerifyReport verify_backup(Repository& repository, const std::string& instance, const std::string& backup,
                           const VerifyOptions& options, std::stop_token stop) {
  return Verification(repository, instance, backup, options, std::move(stop)).run();
}

}  // namespace backstay::repository
