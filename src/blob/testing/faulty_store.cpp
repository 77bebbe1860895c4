#include "blob/testing/faulty_store.h"

#include <utility>
#include <vector>

namespace backstay::blob::testing {

class FaultyUpload final : public Upload {
 public:
  FaultyUpload(FaultyStore& store, std::unique_ptr<Upload> inner) : store_(store), inner_(std::move(inner)) {}

  // The bytes are taken even if the call fails, as the contract says.
  void append(core::ByteSpan bytes) override {
    inner_->append(bytes);
    store_.leave(store_.enter(FaultyStore::Kind::kWrite));
  }
  void finish() override {
    const bool lose = store_.enter(FaultyStore::Kind::kWrite);
    inner_->finish();
    store_.leave(lose);
  }

 private:
  FaultyStore& store_;
  std::unique_ptr<Upload> inner_;
};

void FaultyStore::fail_call(std::uint64_t nth, core::Code code) {
  const core::LockGuard lock(mutex_);
  fail_at_ = calls_ + nth;
  code_ = code;
}

void FaultyStore::lose_answer(std::uint64_t nth, core::Code code) {
  const core::LockGuard lock(mutex_);
  lose_at_ = calls_ + nth;
  code_ = code;
}

void FaultyStore::go_away() {
  const core::LockGuard lock(mutex_);
  away_ = true;
}

void FaultyStore::come_back() {
  const core::LockGuard lock(mutex_);
  away_ = false;
}

void FaultyStore::truncate_reads(std::uint64_t length) {
  const core::LockGuard lock(mutex_);
  read_limit_ = length;
}

void FaultyStore::hold_writes() {
  const core::LockGuard lock(mutex_);
  held_ = true;
}

void FaultyStore::release_writes() {
  const core::LockGuard lock(mutex_);
  held_ = false;
  changed_.notify_all();
}

std::uint64_t FaultyStore::calls() {
  const core::LockGuard lock(mutex_);
  return calls_;
}

bool FaultyStore::enter(Kind kind) {
  const core::LockGuard lock(mutex_);
  const std::uint64_t call = ++calls_;
  while (held_ && kind == Kind::kWrite) changed_.wait(mutex_);
  if (away_) throw core::Error(core::Code::kStoreUnreachable, "the test's store fails this call");
  if (fail_at_ == call) throw core::Error(code_, "the test's store fails this call");
  return lose_at_ == call;
}

void FaultyStore::leave(bool lose) {
  if (!lose) return;
  const core::LockGuard lock(mutex_);
  throw core::Error(code_, "the test's store lost this answer");
}

void FaultyStore::spoil_first_reads() {
  const core::LockGuard lock(mutex_);
  spoilt_.emplace();
}

core::Bytes FaultyStore::on_its_way(std::string_view key, core::Bytes content) {
  const core::LockGuard lock(mutex_);
  if (spoilt_ && !content.empty() && spoilt_->insert(std::string(key)).second) {
    content[content.size() / 2] ^= std::byte{1};
  }
  if (read_limit_ && content.size() > *read_limit_) content.resize(*read_limit_);
  return content;
}

void FaultyStore::put(std::string_view key, core::ByteSpan content) {
  const bool lose = enter(Kind::kWrite);
  inner_.put(key, content);
  leave(lose);
}

bool FaultyStore::put_if_absent(std::string_view key, core::ByteSpan content) {
  const bool lose = enter(Kind::kWrite);
  const bool created = inner_.put_if_absent(key, content);
  leave(lose);
  return created;
}

std::unique_ptr<Upload> FaultyStore::begin_upload(std::string_view key) {
  const bool lose = enter(Kind::kWrite);
  auto upload = inner_.begin_upload(key);
  leave(lose);
  return std::make_unique<FaultyUpload>(*this, std::move(upload));
}

std::optional<core::Bytes> FaultyStore::get(std::string_view key) {
  const bool lose = enter(Kind::kRead);
  auto content = inner_.get(key);
  leave(lose);
  if (content) content = on_its_way(key, std::move(*content));
  return content;
}

std::optional<core::Bytes> FaultyStore::get_range(std::string_view key, std::uint64_t offset, std::uint64_t length) {
  const bool lose = enter(Kind::kRead);
  auto content = inner_.get_range(key, offset, length);
  leave(lose);
  if (content) content = on_its_way(key, std::move(*content));
  return content;
}

std::optional<ObjectTail> FaultyStore::get_tail(std::string_view key, std::uint64_t length) {
  const bool lose = enter(Kind::kRead);
  auto tail = inner_.get_tail(key, length);
  leave(lose);
  if (tail) tail->content = on_its_way(key, std::move(tail->content));
  return tail;
}

std::optional<ObjectInfo> FaultyStore::head(std::string_view key) {
  const bool lose = enter(Kind::kRead);
  auto info = inner_.head(key);
  leave(lose);
  return info;
}

void FaultyStore::list(std::string_view prefix, std::string_view start_after,
                       const std::function<bool(const ObjectInfo&)>& each) {
  const bool lose = enter(Kind::kRead);
  std::function<void()> happens;
  {
    const core::LockGuard lock(mutex_);
    happens = std::exchange(during_list_, {});
  }
  if (happens) {
    list_around(prefix, start_after, each, happens);
  } else {
    inner_.list(prefix, start_after, each);
  }
  leave(lose);
}

void FaultyStore::list_around(std::string_view prefix, std::string_view start_after,
                              const std::function<bool(const ObjectInfo&)>& each,
                              const std::function<void()>& happens) {
  std::vector<ObjectInfo> before;
  inner_.list(prefix, start_after, [&](const ObjectInfo& info) {
    before.push_back(info);
    return true;
  });
  happens();
  for (const ObjectInfo& info : before) {
    if (inner_.head(info.key) && !each(info)) return;
  }
}

void FaultyStore::during_next_list(std::function<void()> happens) {
  const core::LockGuard lock(mutex_);
  during_list_ = std::move(happens);
}

void FaultyStore::remove(std::span<const std::string> keys) {
  const bool lose = enter(Kind::kWrite);
  inner_.remove(keys);
  leave(lose);
}

}  // namespace backstay::blob::testing
