#include "blob/early_reads.h"

#include <algorithm>
#include <limits>
#include <utility>

#include <fmt/format.h>

namespace backstay::blob {
namespace {

/// What a listing brings with one request.
constexpr std::size_t kPage = 1000;
constexpr std::uint64_t kWhole = std::numeric_limits<std::uint64_t>::max();

}  // namespace

EarlyReads::EarlyReads(std::shared_ptr<Store> store, unsigned threads) : store_(std::move(store)) {
  for (unsigned i = 0; i < threads; ++i) {
    threads_.emplace_back([this](const std::stop_token& stop) { work(stop); });
  }
}

EarlyReads::~EarlyReads() {
  for (auto& thread : threads_) thread.request_stop();
  const core::LockGuard lock(mutex_);
  changed_.notify_all();
}

void EarlyReads::begin_list(std::string prefix) {
  const core::LockGuard lock(mutex_);
  if (page_) return;
  page_ = Page{.prefix = std::move(prefix)};
  changed_.notify_all();
}

void EarlyReads::begin_get(std::string key) { begin(std::move(key), kWhole); }

void EarlyReads::begin_get_tail(std::string key, std::uint64_t length) { begin(std::move(key), length); }

void EarlyReads::begin(std::string key, std::uint64_t length) {
  const core::LockGuard lock(mutex_);
  const auto [read, added] = reads_.try_emplace(key, std::make_shared<Read>());
  if (!added) return;
  read->second->length = length;
  waiting_.push_back(std::move(key));
  changed_.notify_all();
}

void EarlyReads::work(const std::stop_token& stop) {
  for (;;) {
    bool list = false;
    std::string key;
    std::uint64_t length = 0;
    {
      const core::LockGuard lock(mutex_);
      while (!stop.stop_requested() && waiting_.empty() && (!page_ || page_begun_)) changed_.wait(mutex_);
      if (stop.stop_requested()) return;
      list = page_ && !std::exchange(page_begun_, true);
      if (!list) {
        key = std::move(waiting_.front());
        waiting_.pop_front();
        Read& read = *reads_.at(key);
        length = read.length;
        if (std::exchange(read.begun, true)) continue;
      }
    }
    if (list) {
      read_page();
    } else {
      read(key, length);
    }
  }
}

void EarlyReads::read_page() {
  std::string prefix;
  {
    const core::LockGuard lock(mutex_);
    prefix = page_->prefix;
  }
  Page page{.prefix = prefix, .ended = true, .complete = true};
  try {
    store_->list(prefix, "", [&](const ObjectInfo& object) {
      page.objects.push_back(object);
      page.complete = page.objects.size() < kPage;
      return page.complete;
    });
  } catch (...) {
    page.failed = true;  // Whoever needs it hears why.
  }
  const core::LockGuard lock(mutex_);
  page_ = std::move(page);
  changed_.notify_all();
}

void EarlyReads::read(const std::string& key, std::uint64_t length) {
  Read done{.length = length, .begun = true, .ended = true};
  try {
    if (length == kWhole) {
      if (auto content = store_->get(key)) {
        const std::uint64_t size = content->size();
        done.tail = ObjectTail{.content = std::move(*content), .object_size = size};
      }
    } else {
      done.tail = store_->get_tail(key, length);
    }
  } catch (...) {
    done.failed = true;  // Whoever needs it hears why.
  }
  const core::LockGuard lock(mutex_);
  *reads_.at(key) = std::move(done);
  changed_.notify_all();
}

std::optional<std::vector<ObjectInfo>> EarlyReads::all_listed() {
  const core::LockGuard lock(mutex_);
  while (page_ && !page_->ended) changed_.wait(mutex_);
  if (!page_ || page_->failed || !page_->complete) return std::nullopt;
  return page_->objects;
}

std::shared_ptr<const EarlyReads::Read> EarlyReads::find(std::string_view key, const std::string& question) {
  read_now_if_waiting(key);
  const core::LockGuard lock(mutex_);
  if (answered_.contains(question)) return nullptr;
  const auto found = reads_.find(key);
  if (found == reads_.end()) {
    if (!is_absent(key)) return nullptr;
    answered_.insert(question);
    return std::make_shared<Read>(Read{.length = kWhole, .begun = true, .ended = true});
  }
  const std::shared_ptr<Read> read = found->second;
  while (!read->ended) changed_.wait(mutex_);
  if (read->failed) return nullptr;
  answered_.insert(question);
  return read;
}

void EarlyReads::read_now_if_waiting(std::string_view key) {
  std::uint64_t length = 0;
  const std::string name(key);
  {
    const core::LockGuard lock(mutex_);
    const auto found = reads_.find(key);
    if (found == reads_.end() || std::exchange(found->second->begun, true)) return;
    length = found->second->length;
  }
  read(name, length);
}

bool EarlyReads::is_absent(std::string_view key) const {
  if (!page_ || !page_->ended || page_->failed || !page_->complete || !key.starts_with(page_->prefix)) return false;
  return !std::ranges::binary_search(page_->objects, key, {},
                                     [](const ObjectInfo& o) { return std::string_view(o.key); });
}

void EarlyReads::note_given(std::string_view key) {
  const core::LockGuard lock(mutex_);
  given_.emplace(key);
}

bool EarlyReads::was_given(std::string_view key) {
  const core::LockGuard lock(mutex_);
  return given_.contains(key);
}

std::optional<core::Bytes> EarlyReads::get(std::string_view key) {
  const auto read = find(key, fmt::format("get {}", key));
  if (!read) return store_->get(key);
  if (!read->tail) return std::nullopt;
  if (read->tail->content.size() != read->tail->object_size) return store_->get(key);
  note_given(key);
  return read->tail->content;
}

std::optional<ObjectTail> EarlyReads::get_tail(std::string_view key, std::uint64_t length) {
  const auto read = find(key, fmt::format("tail {} {}", length, key));
  if (!read) return store_->get_tail(key, length);
  if (!read->tail) return std::nullopt;
  const auto& [content, size] = *read->tail;
  if (content.size() < std::min(length, size)) return store_->get_tail(key, length);
  if (length >= size) note_given(key);
  const core::ByteSpan tail = core::ByteSpan(content).last(std::min<std::uint64_t>(length, content.size()));
  return ObjectTail{.content = core::Bytes(tail.begin(), tail.end()), .object_size = size};
}

std::optional<core::Bytes> EarlyReads::get_range(std::string_view key, std::uint64_t offset, std::uint64_t length) {
  // Who has all of it, or a range, and asks for another part has found that part damaged.
  if (was_given(key)) return store_->get_range(key, offset, length);
  const auto read = find(key, fmt::format("range {} {} {}", offset, length, key));
  if (!read) return store_->get_range(key, offset, length);
  if (!read->tail) return std::nullopt;
  const auto& [content, size] = *read->tail;
  const std::uint64_t begin = size - content.size();
  if (offset < begin) return store_->get_range(key, offset, length);
  note_given(key);
  const std::uint64_t from = std::min(offset, size);
  const core::ByteSpan range = core::ByteSpan(content).subspan(from - begin, std::min(length, size - from));
  return core::Bytes(range.begin(), range.end());
}

std::optional<std::vector<ObjectInfo>> EarlyReads::find_listed(std::string_view prefix, std::string_view start_after) {
  const std::string question = fmt::format("list {} {}", prefix, start_after);
  const core::LockGuard lock(mutex_);
  if (!page_ || !prefix.starts_with(page_->prefix) || answered_.contains(question)) return std::nullopt;
  while (!page_->ended) changed_.wait(mutex_);
  if (page_->failed || !page_->complete) return std::nullopt;
  answered_.insert(question);
  std::vector<ObjectInfo> found;
  for (const ObjectInfo& object : page_->objects) {
    if (object.key.starts_with(prefix) && object.key > start_after) found.push_back(object);
  }
  return found;
}

void EarlyReads::list(std::string_view prefix, std::string_view start_after,
                      const std::function<bool(const ObjectInfo&)>& each) {
  const auto found = find_listed(prefix, start_after);
  if (!found) return store_->list(prefix, start_after, each);
  for (const ObjectInfo& object : *found) {
    if (!each(object)) return;
  }
}

}  // namespace backstay::blob
