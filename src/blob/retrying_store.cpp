#include "blob/retrying_store.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"
#include "core/log.h"

namespace backstay::blob {
namespace {

using core::Code;
using core::Error;

bool transient(const Error& error) { return error.code() == Code::kStoreUnreachable || error.code() == Code::kTimeout; }

}  // namespace

class RetryingUpload final : public Upload {
 public:
  RetryingUpload(const RetryingStore& store, std::unique_ptr<Upload> inner) : store_(store), inner_(std::move(inner)) {}

  void append(core::ByteSpan bytes) override;
  void finish() override;

 private:
  const RetryingStore& store_;
  const std::unique_ptr<Upload> inner_;
};

RetryingStore::RetryingStore(std::unique_ptr<Store> inner, RetryPolicy policy, StoreContext context)
    : inner_(std::move(inner)), policy_(policy), context_(std::move(context)) {
  if (context_.metrics != nullptr) {
    retries_ = context_.metrics->counter("backstay_blob_retries_total", "calls to stores that were repeated");
  }
}

template <typename Call>
auto RetryingStore::retry(Call call) const {
  const core::SteadyTime deadline = context_.clock.steady_now() + policy_.deadline;
  for (unsigned attempt = 1;; ++attempt) {
    if (context_.stop.stop_requested()) throw Error(Code::kCancelled, "work with the store was stopped");
    try {
      return call(attempt);
    } catch (const Error& error) {
      if (!transient(error)) throw;
      wait_or_throw(error, attempt, deadline);
    }
  }
}

void RetryingUpload::append(core::ByteSpan bytes) {
  // A failed attempt has taken the bytes already.
  store_.retry([&](unsigned attempt) { inner_->append(attempt == 1 ? bytes : core::ByteSpan()); });
}

void RetryingUpload::finish() {
  store_.retry([&](unsigned) { inner_->finish(); });
}

void RetryingStore::wait_or_throw(const Error& error, unsigned attempt, core::SteadyTime deadline) const {
  const auto most = std::min(policy_.first_delay * (1U << std::min(attempt - 1, 20U)), policy_.longest_delay);
  const auto half = std::chrono::duration_cast<core::Duration>(most) / 2;
  const core::Duration delay =
      half + core::Duration(context_.random.below(static_cast<std::uint64_t>(half.count()) + 1));
  if (attempt >= policy_.attempts || context_.clock.steady_now() + delay > deadline) {
    throw Error(error).add_context(fmt::format("gave up after {} attempts", attempt));
  }
  core::log_warning("store.retry", error.message(),
                    {{"store", inner_->description()}, {"delay", core::format_duration(delay)}});
  if (retries_) retries_->add();
  if (!context_.clock.wait(context_.stop, delay)) throw Error(Code::kCancelled, "work with the store was stopped");
}

void RetryingStore::put(std::string_view key, core::ByteSpan content) {
  retry([&](unsigned) { inner_->put(key, content); });
}

bool RetryingStore::put_if_absent(std::string_view key, core::ByteSpan content) {
  bool repeated = false;
  const bool created = retry([&](unsigned attempt) {
    repeated = attempt > 1;
    return inner_->put_if_absent(key, content);
  });
  if (created || !repeated) return created;
  const auto winner = get(key);
  return winner && std::ranges::equal(*winner, content);
}

std::unique_ptr<Upload> RetryingStore::begin_upload(std::string_view key) {
  auto upload = retry([&](unsigned) { return inner_->begin_upload(key); });
  return std::make_unique<RetryingUpload>(*this, std::move(upload));
}

std::optional<core::Bytes> RetryingStore::get(std::string_view key) {
  return retry([&](unsigned) { return inner_->get(key); });
}

std::optional<core::Bytes> RetryingStore::get_range(std::string_view key, std::uint64_t offset, std::uint64_t length) {
  return retry([&](unsigned) { return inner_->get_range(key, offset, length); });
}

std::optional<ObjectTail> RetryingStore::get_tail(std::string_view key, std::uint64_t length) {
  return retry([&](unsigned) { return inner_->get_tail(key, length); });
}

std::optional<ObjectInfo> RetryingStore::head(std::string_view key) {
  return retry([&](unsigned) { return inner_->head(key); });
}

void RetryingStore::list(std::string_view prefix, std::string_view start_after,
                         const std::function<bool(const ObjectInfo&)>& each) {
  std::string seen(start_after);
  std::exception_ptr failure;  // of `each`: not the store's, so nothing to repeat
  const auto guarded = [&](const ObjectInfo& info) {
    seen = info.key;
    try {
      return each(info);
    } catch (...) {
      failure = std::current_exception();
      return false;
    }
  };
  retry([&](unsigned) { inner_->list(prefix, std::string(seen), guarded); });
  if (failure) std::rethrow_exception(failure);
}

void RetryingStore::remove(std::span<const std::string> keys) {
  retry([&](unsigned) { inner_->remove(keys); });
}

StoreFeatures RetryingStore::features() const {
  return retry([&](unsigned) { return inner_->features(); });
}

}  // namespace backstay::blob
