#include "simulation/backup_run.h"

#include <algorithm>

#include <fmt/format.h>

#include "backup/base_choice.h"
#include "backup/change_collector.h"
#include "core/error.h"
#include "repository/wal_store.h"

namespace backstay::simulation {
namespace {

constexpr unsigned kAnyBase = 350;  // per mille, where there is a base
constexpr unsigned kByMap = 800;
constexpr std::size_t kPackSize = 96 * 1024;

/// The extent of `length` bytes from `offset` on, in the groups of a writer that cuts them at kGroupSize.
repository::Extent part_of(const repository::Extent& extent, std::uint64_t offset, std::uint64_t length) {
  const std::uint64_t at = extent.position.offset + offset;
  return {.file_offset = extent.file_offset + offset,
          .length = length,
          .position = {.pack = extent.position.pack,
                       .group = extent.position.group + static_cast<std::uint32_t>(at / repository::kGroupSize),
                       .offset = static_cast<std::uint32_t>(at % repository::kGroupSize)}};
}

/// Takes the bytes [from, from + length) of a file over from an earlier backup's extents.
void take_over(const repository::FileEntry& base, std::uint64_t from, std::uint64_t length,
               std::vector<repository::Extent>& extents) {
  for (const auto& extent : base.extents) {
    const std::uint64_t begin = std::max(from, extent.file_offset);
    const std::uint64_t end = std::min(from + length, extent.file_offset + extent.length);
    if (begin < end) extents.push_back(part_of(extent, begin - extent.file_offset, end - begin));
  }
}

}  // namespace

BackupRun::BackupRun(Outside& outside, ModelServer& server, Oracle& oracle, std::string id, std::int64_t attempt)
    : outside_(outside),
      server_(server),
      oracle_(oracle),
      id_(std::move(id)),
      attempt_(attempt),
      actor_(outside, fmt::format("backup {}.{}", id_.substr(0, 4), attempt)) {}

bool BackupRun::waits() const { return step_ == kSteps - 1 && oracle_.acknowledged < record_.stop_lsn; }

void BackupRun::step() {
  try {
    perform();
  } catch (...) {
    failed_ = true;
    refused_ = core::as_error(std::current_exception()).code() == core::Code::kConflict;
    mark_.reset();
    throw;
  }
}

void BackupRun::perform() {
  switch (step_) {
    case 0: begin(); break;
    case 1:
      choose_by_map();
      copy(false);
      break;
    case 2: copy(true); break;
    case 3: write_manifest(); break;
    case 4: publish(); break;
    default: return;
  }
  if (!done()) ++step_;
}

void BackupRun::begin() {
  repository::Repository& repository = actor_.repository();
  // An attempt before this one may have come to its end without knowing.
  if (const auto there = repository.backup(server_.instance(), id_)) {
    record_ = *there;
    Promise& promise = oracle_.promises[id_];
    if (actor_.process.dead) return;
    promise.stored = true;
    promise.start_lsn = record_.start_lsn;
    promise.stop_lsn = record_.stop_lsn;
    promise.stop_time = record_.stop_time;
    promise.stored_time = record_.stored.value_or(record_.stop_time);
    step_ = kSteps;
    return;
  }
  mark_.emplace(repository, server_.instance(), id_);
  files_ = server_.files();
  record_ = {.backup = id_, .instance = server_.instance()};
  record_.wal_segment_size = kSegmentSize;
  record_.timeline = 1;
  record_.start_lsn = server_.lsn();
  record_.start_time = outside_.time.now;
  record_.details["attempt"] = attempt_;
  facts_.full_time = record_.start_time;
  oracle_.promises[id_].attempts[attempt_] = {.files = files_, .start_lsn = record_.start_lsn};
  choose_base();
}

/// With our mark in place, a backup that is stored and not condemned: any, knowing what it held.
void BackupRun::choose_base() {
  if (!outside_.dice.chance(kAnyBase)) return;
  repository::Repository& repository = actor_.repository();
  const auto ids = repository.backup_ids(server_.instance());
  if (ids.empty()) return;
  const std::string& base = ids[outside_.dice.below(ids.size())];
  const auto record = repository.backup(server_.instance(), base);
  if (!record || repository.store().head(repository::condemned_name(server_.instance(), base).key)) return;
  read_base(*record);
}

/// As the product does: the newest one, and what the WAL since then says.
void BackupRun::choose_by_map() {
  if (!base_.empty() || !outside_.dice.chance(kByMap)) return;
  repository::Repository& repository = actor_.repository();
  const auto choice = backup::choose_base(repository, record_, false, {});
  if (!choice.base) return;
  auto collected =
      backup::collect_page_changes(repository,
                                   {.instance = server_.instance(),
                                    .segment_size = kSegmentSize,
                                    .from = {postgres::TimelineId{1}, postgres::Lsn{choice.base->start_lsn}},
                                    .base_stop = postgres::Lsn{choice.base->stop_lsn},
                                    .to = {postgres::TimelineId{1}, postgres::Lsn{record_.start_lsn}}},
                                   {});
  if (!collected.unproven.empty()) return;
  read_base(*choice.base);
  changes_ = std::move(collected.changes);
}

void BackupRun::read_base(const repository::BackupRecord& base) {
  const auto& attempts = oracle_.promises[base.backup].attempts;
  const auto attempt = attempts.find(base.details.at("attempt").to_number<std::int64_t>());
  if (attempt == attempts.end()) throw Broken(fmt::format("backup {} is of an attempt that nobody made", base.backup));
  repository::ManifestReader manifest(actor_.repository(), base);
  while (auto entry = manifest.next()) {
    const auto file = std::ranges::find(attempt->second.files, entry->path, &ModelFile::path);
    if (file != attempt->second.files.end()) base_[file->path] = {*file, *std::move(entry)};
  }
  const backup::IncrementalFacts earlier = backup::facts_of(base);
  facts_ = {.base = base.backup, .depth = earlier.depth + 1, .full_time = earlier.full_time};
}

bool BackupRun::is_kept(const ModelFile& file, std::uint64_t page) const {
  const auto base = base_.find(file.path);
  if (base == base_.end()) return false;
  const auto& [held, entry] = base->second;
  if (!changes_) return held.id == file.id && held.pages[page] == file.pages[page];
  return page * kPageSize + file.page_length(page) <= entry.size &&
         !changes_->has(file.fork(), static_cast<std::uint32_t>(page));
}

/// One thread sends while this one packs and asks the store nothing, so that the order of requests is always the same.
void BackupRun::copy(bool rest) {
  repository::PackOptions options;
  options.target_size = kPackSize;
  options.upload_threads = 1;
  options.queued_packs = 1;
  repository::PackUploader uploader(actor_.repository(), options);
  repository::PackWriter writer(uploader);
  const std::size_t half = files_.size() / 2;
  for (std::size_t i = rest ? half : 0; i < (rest ? files_.size() : half); ++i) copy_file(files_[i], writer);
  writer.finish();
  uploader.finish();
  record_.stored_size += uploader.bytes_stored();
}

void BackupRun::copy_file(const ModelFile& file, repository::PackWriter& writer) {
  repository::FileEntry entry{.path = file.path, .mode = 0600, .size = file.size};
  const auto base = base_.find(file.path);
  core::Bytes page;
  for (std::uint64_t number = 0; number < file.pages.size(); ++number) {
    const std::uint64_t from = number * kPageSize;
    const std::uint64_t length = file.page_length(number);
    if (is_kept(file, number)) {
      take_over(base->second.second, from, length, entry.extents);
      continue;
    }
    page.resize(length);
    file.fill(number, page);
    writer.add(from, page, entry.extents);
  }
  entries_.push_back(std::move(entry));
}

void BackupRun::write_manifest() {
  server_.work(outside_.dice, outside_.dice.between(1, 4000));
  record_.stop_lsn = server_.lsn();
  record_.stop_time = outside_.time.now;
  record_.taken = record_.stop_time;
  repository::ManifestWriter manifest(actor_.repository(), server_.instance(), id_, mark_->attempt());
  for (const auto& entry : entries_) manifest.add(entry);
  const auto result = manifest.finish();
  record_.attempt = mark_->attempt();
  record_.manifest_id = result.id;
  record_.stored_size += result.stored_size;
}

void BackupRun::check_wal_is_there() {
  repository::WalStore wal(actor_.repository(), server_.instance(), kSegmentSize);
  if (const auto missing = wal.first_missing(1, record_.start_lsn, record_.stop_lsn)) {
    throw core::Error(core::Code::kWalGap, fmt::format("WAL segment {} is not in the archive", *missing));
  }
}

void BackupRun::publish() {
  check_wal_is_there();
  backup::put_facts(record_, facts_);
  record_.stored = actor_.clock.now();
  mark_->publish(record_);
  if (actor_.process.dead) return;
  Promise& promise = oracle_.promises[id_];
  promise.stored = true;
  promise.start_lsn = record_.start_lsn;
  promise.stop_lsn = record_.stop_lsn;
  promise.stop_time = record_.stop_time;
  promise.stored_time = *record_.stored;
  mark_.reset();
}

}  // namespace backstay::simulation
