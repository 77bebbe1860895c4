#include "backup/wal_prefetcher.h"

#include <algorithm>
#include <set>

#include <unistd.h>

#include <fmt/format.h>

#include "core/error.h"
#include "core/log.h"
#include "os/file.h"
#include "os/file_system.h"
#include "os/untrusted_directory.h"

namespace backstay::backup {
namespace {

constexpr auto kPoll = std::chrono::milliseconds(100);
/// Segments that one listing looks for; it has room for more names.
constexpr postgres::SegmentNumber kListed = 256;
constexpr std::size_t kMostKept = 16U << 20;
/// Fetched before the server asks for the first.
constexpr unsigned kAtOnce = 4;

}  // namespace

WalPrefetcher::WalPrefetcher(const Environment& environment, repository::Repository& repository,
                             const RecoveryWalServerConfig& config)
    : environment_(environment),
      config_(config),
      wal_(repository, config.instance, config.segment_size),
      parser_(config.segment_size, [this](const postgres::WalRecord& record) {
        const auto event = postgres::decode_event(record);
        const bool made = event && std::holds_alternative<postgres::TablespaceCreation>(*event);
        if (made && (!config_.stop || record.start <= *config_.stop)) tablespace_made_ = record.start;
      }) {
  if (config_.timeline.value > 1) {
    const auto history = wal_.get_history(config_.timeline.value);
    if (!history) {
      throw core::Error(core::Code::kWalGap,
                        fmt::format("the archive lacks the history file of timeline {}", config_.timeline.value));
    }
    history_ = postgres::parse_timeline_history(core::as_text(*history));
  }
  {
    // The server asks for the first of these a while from now. What follows them may wait until then: the files of
    // the backup may be on their way at the same time.
    const postgres::SegmentNumber first = postgres::segment_of(config_.from, config_.segment_size);
    const core::LockGuard lock(mutex_);
    want_from(first, kAtOnce);
  }
  for (unsigned i = 0; i < config_.workers; ++i) {
    threads_.emplace_back([this](const std::stop_token& stop) { work(stop); });
  }
  threads_.emplace_back([this](const std::stop_token& stop) { check_in_order(stop); });
}

WalPrefetcher::~WalPrefetcher() {
  for (auto& thread : threads_) thread.request_stop();
  const core::LockGuard lock(mutex_);
  changed_.notify_all();
}

FetchAnswer WalPrefetcher::fetch(const std::string& name, core::Duration deadline, const std::stop_token& stop) {
  if (const auto segment = postgres::parse_segment_name(name, config_.segment_size)) {
    return fetch_segment(*segment, deadline, stop);
  }
  if (const auto timeline = postgres::parse_history_name(name)) return fetch_history(*timeline, name);
  return {.kind = FetchAnswer::Kind::kMissing, .error = {}, .code = {}};
}

std::optional<std::string> WalPrefetcher::find_tablespace(postgres::SegmentName name) {
  const std::string file = postgres::segment_name(name.timeline, name.segment, config_.segment_size);
  const core::Bytes content = os::UntrustedDirectory(config_.directory).read_file("wal/" + file, config_.segment_size);
  core::ByteSpan rest = content;
  postgres::Lsn at = postgres::segment_start(name.segment, config_.segment_size);
  if (parser_.at_end() || parser_.position() != at) parser_.restart();
  tablespace_made_.reset();
  while (!rest.empty()) {
    const core::ByteSpan page = rest.first(std::min<std::size_t>(postgres::kWalPageSize, rest.size()));
    try {
      parser_.feed(at, page);
    } catch (const core::Error& e) {
      if (e.code() != core::Code::kCorruptData) throw;
      // Replay judges for itself what it cannot read.
      parser_.restart();
    }
    at += page.size();
    rest = rest.subspan(page.size());
  }
  if (!tablespace_made_) return std::nullopt;
  return fmt::format(
      "a tablespace was created at {} (segment {}), after the base backup; replaying that would use the source's own "
      "directory: take a newer backup of the source and recover from that one",
      postgres::format_lsn(*tablespace_made_), file);
}

FetchAnswer WalPrefetcher::fetch_history(postgres::TimelineId timeline, const std::string& name) {
  // A later timeline is another branch: for this recovery it does not exist.
  const bool ours = timeline == config_.timeline ||
                    std::ranges::find(history_, timeline, &postgres::TimelineSwitch::timeline) != history_.end();
  if (!ours) return {.kind = FetchAnswer::Kind::kMissing, .error = {}, .code = {}};
  const auto content = wal_.get_history(timeline.value);
  if (!content) return {.kind = FetchAnswer::Kind::kMissing, .error = {}, .code = {}};
  lay_down(name, *content, content->size());
  return {.kind = FetchAnswer::Kind::kReady, .error = {}, .code = {}};
}

FetchAnswer WalPrefetcher::fetch_segment(postgres::SegmentName name, core::Duration deadline,
                                         const std::stop_token& stop) {
  const core::SteadyTime end = environment_.clock.steady_now() + deadline;
  const core::LockGuard lock(mutex_);
  forget_before(name.segment);
  // What failed when it was fetched ahead may be better now.
  if (const auto it = pieces_.find(name); it != pieces_.end() && it->second.state == Piece::State::kDone &&
                                          it->second.answer.kind == FetchAnswer::Kind::kUnknown) {
    pieces_.erase(it);
  }
  want(name);
  want_from(name.segment + 1, config_.ahead);
  changed_.notify_all();
  while (!is_done(name)) {
    if (stop.stop_requested() || environment_.clock.steady_now() >= end) {
      return {.kind = FetchAnswer::Kind::kUnknown,
              .error = "the WAL did not arrive in time",
              .code = core::Code::kStoreUnreachable};
    }
    changed_.wait_for(mutex_, kPoll);
  }
  const FetchAnswer answer = pieces_[name].answer;
  if (answer.kind == FetchAnswer::Kind::kReady) bytes_served_ += config_.segment_size;
  // The server takes the file with it; if it asks once more it gets a new one.
  pieces_.erase(name);
  // At the end of its recovery it does so with the last one.
  if (is_last(name) && answer.kind == FetchAnswer::Kind::kReady) want(name);
  return answer;
}

/// What was brought once more may be what the helper of the request before has moved: it may be slow to do so, and the
/// two are one file.
bool WalPrefetcher::is_done(postgres::SegmentName name) {
  Piece& piece = pieces_[name];
  if (piece.state != Piece::State::kDone) return false;
  const auto file = postgres::segment_name(name.timeline, name.segment, config_.segment_size);
  if (piece.answer.kind != FetchAnswer::Kind::kReady || environment_.files.stat(config_.directory / "wal" / file)) {
    return true;
  }
  piece = {};
  changed_.notify_all();
  return false;
}

void WalPrefetcher::want_from(postgres::SegmentNumber first, unsigned count) {
  for (postgres::SegmentNumber segment = first; segment < first + count; ++segment) {
    const postgres::SegmentName name{timeline_of(segment), segment};
    if (is_needed(name)) want(name);
  }
}

postgres::TimelineId WalPrefetcher::timeline_of(postgres::SegmentNumber segment) const {
  for (const auto& ancestor : history_) {
    if (segment < postgres::segment_of(ancestor.end, config_.segment_size)) return ancestor.timeline;
  }
  return config_.timeline;
}

bool WalPrefetcher::is_needed(postgres::SegmentName name) const {
  const postgres::Lsn start = postgres::segment_start(name.segment, config_.segment_size);
  return start + config_.segment_size > config_.from && start < config_.to &&
         timeline_of(name.segment) == name.timeline;
}

bool WalPrefetcher::is_last(postgres::SegmentName name) const {
  return is_needed(name) && !is_needed({timeline_of(name.segment + 1), name.segment + 1});
}

void WalPrefetcher::want(postgres::SegmentName name) { pieces_.try_emplace(name); }

void WalPrefetcher::forget_before(postgres::SegmentNumber segment) {
  std::erase_if(pieces_, [&](const auto& entry) {
    if (entry.first.segment >= segment || is_under_way(entry.second.state)) return false;
    const auto name = postgres::segment_name(entry.first.timeline, entry.first.segment, config_.segment_size);
    unlink((config_.directory / "wal" / name).c_str());
    return true;
  });
}

void WalPrefetcher::work(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    std::optional<postgres::SegmentName> name;
    {
      const core::LockGuard lock(mutex_);
      for (auto& [wanted, piece] : pieces_) {
        if (piece.state != Piece::State::kWanted) continue;
        piece.state = Piece::State::kFetching;
        name = wanted;
        break;
      }
      if (!name && !stop.stop_requested()) changed_.wait_for(mutex_, kPoll);
    }
    if (!name) continue;
    const FetchAnswer answer = bring(*name);
    const bool ready = answer.kind == FetchAnswer::Kind::kReady;
    const core::LockGuard lock(mutex_);
    pieces_[*name] = {.state = ready ? Piece::State::kFetched : Piece::State::kDone, .answer = answer};
    changed_.notify_all();
  }
}

std::optional<postgres::SegmentName> WalPrefetcher::next_to_check() {
  const auto first =
      std::ranges::find_if(pieces_, [](const auto& entry) { return entry.second.state != Piece::State::kDone; });
  if (first == pieces_.end() || first->second.state != Piece::State::kFetched) return std::nullopt;
  return first->first;
}

void WalPrefetcher::check_in_order(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    std::optional<postgres::SegmentName> name;
    {
      const core::LockGuard lock(mutex_);
      name = next_to_check();
      if (name) {
        pieces_[*name].state = Piece::State::kChecking;
      } else if (!stop.stop_requested()) {
        changed_.wait_for(mutex_, kPoll);
      }
    }
    if (!name) continue;
    const FetchAnswer answer = check(*name);
    const core::LockGuard lock(mutex_);
    pieces_[*name] = {.state = Piece::State::kDone, .answer = answer};
    changed_.notify_all();
  }
}

FetchAnswer WalPrefetcher::check(postgres::SegmentName name) {
  try {
    auto reason = find_tablespace(name);
    if (!reason) return {.kind = FetchAnswer::Kind::kReady, .error = {}, .code = {}};
    return {.kind = FetchAnswer::Kind::kUnknown, .error = *std::move(reason), .code = core::Code::kRecoveryFailed};
  } catch (...) {
    const auto error = core::as_error(std::current_exception());
    // A slow helper took what was brought once more: is_done() sees that it is not there.
    const auto kind = error.code() == core::Code::kNotFound ? FetchAnswer::Kind::kReady : FetchAnswer::Kind::kUnknown;
    return {.kind = kind, .error = error.what(), .code = error.code()};
  }
}

FetchAnswer WalPrefetcher::bring(postgres::SegmentName name) {
  const std::string file = postgres::segment_name(name.timeline, name.segment, config_.segment_size);
  try {
    if (const auto content = read(name)) {
      lay_down(file, *content, config_.segment_size);
      return {.kind = FetchAnswer::Kind::kReady, .error = {}, .code = {}};
    }
    if (!is_needed(name)) return {.kind = FetchAnswer::Kind::kMissing, .error = {}, .code = {}};
    return {.kind = FetchAnswer::Kind::kUnknown,
            .error = fmt::format("WAL segment {} is not in the archive any more", file),
            .code = core::Code::kStoreObjectMissing};
  } catch (...) {
    const auto error = core::as_error(std::current_exception());
    core::log_warning("recovery.wal_not_fetched", "a WAL segment could not be fetched",
                      {{"instance", config_.instance}, {"segment", file}, {"error", error.message()}});
    // What is damaged stays so; everything else may be better at the next try.
    const bool damaged = error.code() == core::Code::kCorruptData;
    return {.kind = FetchAnswer::Kind::kUnknown,
            .error = error.message(),
            .code = damaged ? core::Code::kCorruptData : core::Code::kStoreUnreachable};
  }
}

std::optional<core::Bytes> WalPrefetcher::read(postgres::SegmentName name) {
  {
    const core::LockGuard lock(mutex_);
    if (last_ && is_last(name)) return last_;
  }
  const auto stored = listed(name);
  if (!stored) return std::nullopt;
  auto data = wal_.read_segment(name.timeline.value, *stored);
  if (!data) return std::nullopt;
  if (is_last(name) && data->bytes.size() <= kMostKept) {
    const core::LockGuard lock(mutex_);
    last_ = data->bytes;
  }
  return std::move(data->bytes);
}

std::optional<repository::StoredSegment> WalPrefetcher::listed(postgres::SegmentName name) {
  {
    const core::LockGuard lock(mutex_);
    const bool known =
        listing_.timeline == name.timeline && listing_.from <= name.segment && name.segment < listing_.to;
    const auto found = known ? find_listed(name.segment) : std::nullopt;
    // What is needed and was not there may have come since.
    if (known && (found || !is_needed(name))) return found;
  }
  const postgres::SegmentNumber to = name.segment + kListed;
  auto segments = wal_.list_expected(name.timeline.value, name.segment, to - 1, config_.to.value);
  const core::LockGuard lock(mutex_);
  listing_ = {.timeline = name.timeline, .from = name.segment, .to = to, .segments = std::move(segments)};
  return find_listed(name.segment);
}

std::optional<repository::StoredSegment> WalPrefetcher::find_listed(postgres::SegmentNumber segment) const {
  const auto at = std::ranges::lower_bound(listing_.segments, segment, {}, &repository::StoredSegment::segment);
  if (at == listing_.segments.end() || at->segment != segment) return std::nullopt;
  return *at;
}

/// Shorter content is padded with zeros, which PostgreSQL takes for the end of the WAL.
void WalPrefetcher::lay_down(const std::string& name, core::ByteSpan content, std::uint64_t size) const {
  const os::UntrustedDirectory directory(config_.directory);
  const std::string path = "wal/" + name;
  const std::string temporary = path + ".part";
  environment_.files.remove(config_.directory / temporary);
  {
    const os::Descriptor file = directory.create(temporary, config_.identity);
    os::write_at(file.get(), 0, content);
    if (ftruncate(file.get(), static_cast<off_t>(size)) != 0) {
      throw core::system_error(fmt::format("cannot extend '{}'", temporary), errno);
    }
    // The server syncs what it is given before it replays it, and would wait for the disk.
    os::sync_file(file.get());
  }
  directory.rename(temporary, path);
}

std::uint64_t WalPrefetcher::bytes_served() const {
  const core::LockGuard lock(mutex_);
  return bytes_served_;
}

}  // namespace backstay::backup
