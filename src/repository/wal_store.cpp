#include "repository/wal_store.h"

#include <algorithm>
#include <bit>
#include <tuple>

#include <fmt/format.h>

#include "codec/aead.h"
#include "codec/hash.h"
#include "core/error.h"
#include "core/log.h"
#include "repository/container_reader.h"
#include "repository/json_fields.h"
#include "repository/tail_walk.h"
#include "repository/wal_names.h"

namespace backstay::repository {
namespace {

/// Between listing and reading, a writer may have replaced tails by the whole segment; more often means something else.
constexpr int kListAttempts = 3;

core::Bytes encode_meta(const SegmentIndex& index, const std::string& mac) {
  return core::to_bytes(core::to_text(core::json::object{{"mac", mac}, {"index", to_json(index)}}));
}

void sort_tails(StoredSegment& segment) {
  std::ranges::sort(segment.tails, [](const StoredTail& a, const StoredTail& b) {
    return std::tie(a.from, a.key) < std::tie(b.from, b.key);
  });
}

/// All that is in one or the other.
std::vector<StoredSegment> merge(std::vector<StoredSegment> one, const std::vector<StoredSegment>& other) {
  for (const StoredSegment& more : other) {
    const auto at = std::ranges::lower_bound(one, more.segment, {}, &StoredSegment::segment);
    if (at == one.end() || at->segment != more.segment) {
      one.insert(at, more);
      continue;
    }
    for (const std::string& key : more.complete) {
      if (std::ranges::find(at->complete, key) == at->complete.end()) at->complete.push_back(key);
    }
    for (const StoredTail& tail : more.tails) {
      if (std::ranges::find(at->tails, tail.key, &StoredTail::key) == at->tails.end()) at->tails.push_back(tail);
    }
    sort_tails(*at);
  }
  return one;
}

core::Error conflict(const std::string& key) {
  return core::Error(core::Code::kStoreConflict, fmt::format("the archive holds another content for '{}'", key))
      .with_hint("two servers write the same timeline; find out which one is the right one before anything is removed");
}

}  // namespace

std::string wal_content_mac(const DataKey& data_key, core::ByteSpan content) {
  const codec::Nonce always_the_same{};
  std::array<std::byte, codec::kAeadTagSize> mac{};
  codec::Aead(codec::hkdf_sha256(data_key.bytes(), {}, core::as_bytes("backstay wal content v1"), codec::kAeadKeySize))
      .seal(always_the_same, content, {}, mac);
  return core::to_hex(mac);
}

std::string stored_content_mac(const Layout& layout) {
  return detail::reading(layout.name.key, [&] {
    const core::json::value meta = core::parse_json(core::as_text(layout.meta));
    return core::require_string(core::as_object(meta), "mac");
  });
}

std::vector<StoredTail> tail_chain(const StoredSegment& stored) {
  std::vector<StoredTail> result;
  detail::walk_tails(stored, [&](const StoredTail& tail) {
    result.push_back(tail);
    return true;
  });
  return result;
}

std::uint64_t StoredSegment::contiguous(std::uint64_t segment_size) const {
  if (!complete.empty()) return segment_size;
  const auto readable = tail_chain(*this);
  return readable.empty() ? 0 : readable.back().to;
}

WalStore::WalStore(Repository& repository, std::string instance, std::uint64_t segment_size)
    : repository_(repository), instance_(std::move(instance)), segment_size_(segment_size) {
  constexpr std::uint64_t kMiB = 1024 * 1024;
  if (!std::has_single_bit(segment_size) || segment_size < kMiB || segment_size > 1024 * kMiB) {
    throw core::Error(core::Code::kInvalidArgument, fmt::format("{} is not a WAL segment size", segment_size));
  }
}

std::string WalStore::timeline_prefix(std::uint32_t timeline) const {
  return fmt::format("{}{}/", wal_prefix(instance_), detail::timeline_text(timeline));
}

std::string WalStore::segment_key(std::uint32_t timeline, std::uint64_t segment) const {
  return timeline_prefix(timeline) + segment_name(timeline, segment, segment_size_);
}

bool WalStore::put_segment(core::ByteSpan content, const SegmentIndex& index, std::uint64_t epoch) {
  ContainerWriter once = writer();
  return put_segment(content, index, epoch, once);
}

bool WalStore::put_segment(core::ByteSpan content, const SegmentIndex& index, std::uint64_t epoch,
                           ContainerWriter& writer) {
  repository_.check_present();
  if (content.size() != segment_size_) {
    throw core::Error(core::Code::kInvalidArgument,
                      fmt::format("a WAL segment has {} bytes, not {}", segment_size_, content.size()));
  }
  const std::string mac = wal_content_mac(repository_.data_key(), content);
  const auto there = list(index.timeline, index.segment, index.segment);
  const StoredSegment stored = there.empty() ? StoredSegment{.segment = index.segment} : there.front();
  const bool is_new = !is_stored(stored, mac);
  if (is_new) {
    check_tails(stored, content, epoch);
    put_new_segment(content, index, mac, epoch, writer);
  }
  std::vector<std::string> tails;
  for (const StoredTail& tail : stored.tails) tails.push_back(tail.key);
  if (!tails.empty()) repository_.store().remove(tails);
  return is_new;
}

void WalStore::put_new_segment(core::ByteSpan content, const SegmentIndex& index, const std::string& mac,
                               std::uint64_t epoch, ContainerWriter& writer) {
  const ObjectName name{Kind::kWalSegment,
                        segment_key(index.timeline, index.segment) + detail::wal_object_suffix(epoch)};
  core::Bytes sealed = writer.encode(name, content, encode_meta(index, mac));
  repository_.store().put(name.key, sealed);
  writer.take_buffer(std::move(sealed));
  remember(index);
  constexpr std::uint64_t kRollUpEvery = 16;
  if (index.segment % kRollUpEvery == kRollUpEvery - 1) write_rollup(index.timeline, index.segment, epoch);
}

bool WalStore::is_stored(const StoredSegment& stored, const std::string& mac) {
  ContainerReader reader(repository_.data_key());
  bool found = false;
  for (const std::string& key : stored.complete) {
    const ObjectName name{Kind::kWalSegment, key};
    try {
      const auto layout = reader.fetch_layout(repository_.store(), name);
      if (!layout) continue;
      if (stored_content_mac(*layout) != mac) throw conflict(key);
      // The sender may hold the last good bytes: only what was read as a whole takes their place.
      if (reader.fetch(repository_.store(), name)) found = true;
    } catch (const core::Error& error) {
      if (!detail::is_damaged(error)) throw;  // another copy will do, or a new one
    }
  }
  return found;
}

void WalStore::check_tails(const StoredSegment& stored, core::ByteSpan content, std::uint64_t epoch) {
  ContainerReader reader(repository_.data_key());
  for (const StoredTail& tail : stored.tails) {
    if (tail.epoch == epoch) continue;
    try {
      const auto there = reader.fetch(repository_.store(), {Kind::kWalTail, tail.key});
      const auto same = content.subspan(tail.from, tail.to - tail.from);
      if (there && !std::ranges::equal(there->bytes, same)) throw conflict(tail.key);
    } catch (const core::Error& error) {
      if (!detail::is_damaged(error)) throw;  // what replaces it is better
    }
  }
}

void WalStore::put_tail(core::ByteSpan content, std::uint64_t from, const SegmentIndex& index, std::uint64_t epoch) {
  repository_.check_present();
  if (content.empty() || from >= segment_size_ || content.size() > segment_size_ - from) {
    throw core::Error(core::Code::kInvalidArgument,
                      fmt::format("a tail of {} bytes at {} is not within a segment", content.size(), from));
  }
  const ObjectName name{Kind::kWalTail, segment_key(index.timeline, index.segment) +
                                            detail::wal_tail_suffix(epoch, from, from + content.size())};
  repository_.put_sealed(name, content, encode_meta(index, wal_content_mac(repository_.data_key(), content)));
}

void WalStore::remove_tails(std::uint32_t timeline, std::uint64_t segment, std::uint64_t from, std::uint64_t to,
                            const std::string& keep_key) {
  std::vector<std::string> keys;
  for (const StoredSegment& stored : list(timeline, segment, segment)) {
    for (const StoredTail& tail : stored.tails) {
      if (tail.from >= from && tail.to <= to && tail.key != keep_key) keys.push_back(tail.key);
    }
  }
  if (!keys.empty()) repository_.store().remove(keys);
}

std::vector<StoredSegment> WalStore::list_expected(std::uint32_t timeline, std::uint64_t from, std::uint64_t to,
                                                   std::uint64_t end) {
  auto listed = list(timeline, from, to);
  if (to != UINT64_MAX) end = std::min(end, (to + 1) * segment_size_);
  // From 0 on means wherever the archive begins.
  const std::uint64_t begin = from == 0 && !listed.empty() ? listed.front().segment : from;
  // Whatever took the place of what the first look missed is there now; and whatever goes since was seen by it.
  if (first_hole(listed, begin, end)) listed = merge(std::move(listed), list(timeline, from, to));
  return listed;
}

std::optional<std::uint64_t> WalStore::first_missing(std::uint32_t timeline, std::uint64_t from, std::uint64_t to) {
  if (to <= from) return std::nullopt;
  const std::uint64_t first = from / segment_size_;
  return first_hole(list_expected(timeline, first, (to - 1) / segment_size_, to), first, to);
}

std::optional<std::uint64_t> WalStore::first_hole(const std::vector<StoredSegment>& listed, std::uint64_t from,
                                                  std::uint64_t end) const {
  std::uint64_t next = from;
  for (const StoredSegment& stored : listed) {
    const bool last = &stored == &listed.back();
    const std::uint64_t begin = stored.segment * segment_size_;
    const std::uint64_t needed = last ? std::min(segment_size_, end - std::min(begin, end)) : segment_size_;
    if (stored.segment != next || stored.contiguous(segment_size_) < needed) return next;
    ++next;
  }
  if (next * segment_size_ < end) return next;
  return std::nullopt;
}

std::vector<StoredSegment> WalStore::list(std::uint32_t timeline, std::uint64_t from, std::uint64_t to) {
  const std::string prefix = timeline_prefix(timeline);
  std::vector<StoredSegment> segments;
  repository_.store().list(prefix, segment_key(timeline, from), [&](const blob::ObjectInfo& object) {
    const auto name = detail::parse_wal_name(std::string_view(object.key).substr(prefix.size()), segment_size_);
    if (!name || name->timeline != timeline) return true;
    if (name->segment > to) return false;
    if (segments.empty() || segments.back().segment != name->segment) {
      segments.push_back({.segment = name->segment, .complete = {}, .tails = {}});
    }
    if (name->tail) {
      segments.back().tails.push_back({name->epoch, name->from, name->to, object.key});
    } else {
      segments.back().complete.push_back(object.key);
    }
    return true;
  });
  std::ranges::for_each(segments, sort_tails);
  return segments;
}

std::optional<core::Bytes> WalStore::read_complete(const StoredSegment& stored) {
  ContainerReader reader(repository_.data_key());
  std::optional<core::Bytes> bytes;
  std::exception_ptr damage;
  for (const std::string& key : stored.complete) {
    try {
      auto content = reader.fetch(repository_.store(), {Kind::kWalSegment, key});
      if (!content) continue;
      if (content->bytes.size() != segment_size_) {
        throw core::Error(core::Code::kCorruptData, fmt::format("wal segment '{}' has another size", key));
      }
      if (bytes && *bytes != content->bytes) throw conflict(key);
      bytes = std::move(content->bytes);
    } catch (const core::Error& error) {
      // Another writer's copy of it will do.
      if (!detail::is_damaged(error)) throw;
      damage = std::current_exception();
    }
  }
  if (!bytes && damage) std::rethrow_exception(damage);
  return bytes;
}

std::optional<core::Bytes> WalStore::assemble(const StoredSegment& stored) {
  ContainerReader reader(repository_.data_key());
  core::Bytes bytes;
  const auto walked = detail::walk_tails(stored, [&](const StoredTail& tail) {
    const auto content = reader.fetch(repository_.store(), {Kind::kWalTail, tail.key});
    if (!content) return false;
    if (content->bytes.size() != tail.to - tail.from) {
      throw core::Error(core::Code::kCorruptData, fmt::format("wal tail '{}' has another size", tail.key));
    }
    const std::size_t overlap = bytes.size() - tail.from;
    const auto both = core::ByteSpan(content->bytes).first(overlap);
    if (!std::ranges::equal(both, core::ByteSpan(bytes).last(overlap))) throw conflict(tail.key);
    core::append(bytes, core::ByteSpan(content->bytes).subspan(overlap));
    return true;
  });
  if (walked.vanished) return std::nullopt;
  if (walked.damage) std::rethrow_exception(walked.damage);
  return bytes;
}

/// Tails that were kept beside a damaged whole may have all of it.
std::optional<core::Bytes> WalStore::read_stored(const StoredSegment& stored) {
  if (stored.complete.empty()) return assemble(stored);
  try {
    return read_complete(stored);
  } catch (const core::Error& error) {
    if (!detail::is_damaged(error) || stored.tails.empty()) throw;
    auto bytes = assemble(stored);
    if (!bytes || bytes->size() != segment_size_) throw;
    return bytes;
  }
}

std::optional<SegmentData> WalStore::read_segment(std::uint32_t timeline, std::uint64_t segment) {
  const auto stored = list_expected(timeline, segment, segment, segment * segment_size_ + 1);
  if (stored.empty()) return std::nullopt;
  return read_segment(timeline, stored.front());
}

std::optional<SegmentData> WalStore::read_segment(std::uint32_t timeline, const StoredSegment& listed) {
  StoredSegment stored = listed;
  for (int attempt = 0; attempt < kListAttempts; ++attempt) {
    auto bytes = read_stored(stored);
    if (bytes && bytes->empty()) return std::nullopt;
    if (bytes) return SegmentData{std::move(*bytes), !stored.complete.empty()};
    const auto now = list(timeline, listed.segment, listed.segment);
    if (now.empty()) return std::nullopt;
    stored = now.front();
  }
  throw core::Error(core::Code::kStoreObjectMissing,
                    fmt::format("WAL segment '{}' is listed but cannot be read",
                                segment_name(timeline, listed.segment, segment_size_)));
}

void WalStore::put_history(std::uint32_t timeline, core::ByteSpan content) {
  repository_.check_present();
  const ObjectName name = history_name(timeline);
  if (const auto there = repository_.get_sealed(name)) {
    if (!std::ranges::equal(*there, content)) throw conflict(name.key);
    return;
  }
  repository_.put_sealed(name, content);
}

std::optional<core::Bytes> WalStore::get_history(std::uint32_t timeline) {
  if (timeline < 2) return std::nullopt;  // it has no parent
  return repository_.get_sealed(history_name(timeline));
}

ObjectName WalStore::history_name(std::uint32_t timeline) const {
  return {Kind::kHistory, fmt::format("{}{}.history", wal_prefix(instance_), detail::timeline_text(timeline))};
}

std::vector<std::uint32_t> WalStore::timelines() {
  const std::string prefix = wal_prefix(instance_);
  std::vector<std::uint32_t> found;
  std::string after;
  for (bool more = true; more;) {
    more = false;
    repository_.store().list(prefix, after, [&](const blob::ObjectInfo& object) {
      const std::string_view rest = std::string_view(object.key).substr(prefix.size());
      const auto slash = rest.find('/');
      const bool history = slash == std::string_view::npos && rest.ends_with(".history");
      if (slash != std::string_view::npos || history) {
        const auto timeline = detail::parse_timeline(rest.substr(0, history ? rest.find('.') : slash));
        if (timeline && (found.empty() || found.back() != *timeline)) found.push_back(*timeline);
      }
      // What lies below a timeline is not walked through.
      after = slash == std::string_view::npos ? object.key : fmt::format("{}{}/~~~~", prefix, rest.substr(0, slash));
      more = true;
      return false;
    });
  }
  return found;
}

void WalStore::put_window_end(std::uint32_t timeline, const WindowEnd& end) {
  repository_.check_present();
  const core::json::object content{{"time", core::format_time(end.time)}, {"lsn", detail::number_text(end.lsn)}};
  repository_.put_sealed({Kind::kWindowEnd, timeline_prefix(timeline) + "window-end"},
                         core::as_bytes(core::to_text(content)));
}

std::optional<WindowEnd> WalStore::window_end(std::uint32_t timeline) {
  const ObjectName name{Kind::kWindowEnd, timeline_prefix(timeline) + "window-end"};
  try {
    const auto content = repository_.get_sealed(name);
    if (!content) return std::nullopt;
    return detail::reading(name.key, [&] {
      const core::json::value value = core::parse_json(core::as_text(*content));
      const core::json::object& end = core::as_object(value);
      return WindowEnd{.time = detail::read_time(end, "time"), .lsn = detail::read_number(end, "lsn")};
    });
  } catch (const core::Error& error) {
    if (!detail::is_damaged(error)) throw;
    core::log_warning("wal.window_end_damaged", "the mark of the archive's end is passed over",
                      {{"instance", instance_}, {"error", error.what()}});
    return std::nullopt;
  }
}

}  // namespace backstay::repository
