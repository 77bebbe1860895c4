#include "control/audit_log.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"
#include "core/log.h"
#include "metadata/audit.h"

namespace backstay::control {
namespace {

constexpr std::size_t kAtOnce = 200;
constexpr auto kRetryAfter = std::chrono::seconds(1);

void log(const model::AuditEntry& entry) {
  core::log_info("audit", fmt::format("{} {}: {}", entry.method, entry.path, entry.status),
                 {{"token", entry.token_id},
                  {"object", entry.object_id},
                  {"code", entry.code},
                  {"client", entry.client},
                  {"trace_id", entry.trace_id}});
}

}  // namespace

AuditLog::AuditLog(metadata::Database& database)
    : database_(database), writer_([this](const std::stop_token& stop) { write(stop); }) {}

AuditLog::~AuditLog() {
  writer_.request_stop();
  changed_.notify_all();
  writer_.join();
}

void AuditLog::record(const model::AuditEntry& entry) {
  log(entry);
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  const core::LockGuard lock(mutex_);
  if (waiting_.size() >= kMostWaiting) {
    core::log_error("audit.dropped", "the state takes no writes; the entry is in this log only");
    return;
  }
  waiting_.push_back(entry);
  const auto ticket = ++taken_;
  changed_.notify_all();
  while (written_ < ticket) {
    const auto left = deadline - std::chrono::steady_clock::now();
    if (left <= left.zero()) return;
    changed_.wait_for(mutex_, left);
  }
}

std::deque<model::AuditEntry> AuditLog::next(const std::stop_token& stop) {
  const core::LockGuard lock(mutex_);
  while (waiting_.empty() && !stop.stop_requested()) changed_.wait(mutex_);
  const auto count = static_cast<std::ptrdiff_t>(std::min(waiting_.size(), kAtOnce));
  return {waiting_.begin(), waiting_.begin() + count};
}

bool AuditLog::written(const std::deque<model::AuditEntry>& entries) {
  try {
    database_.write([&](auto& tx) {
      for (const auto& entry : entries) metadata::Audit(tx).append(entry);
    });
    return true;
  } catch (...) {
    core::log_warning("audit.waits", core::as_error(std::current_exception()).message());
    return false;
  }
}

void AuditLog::write(const std::stop_token& stop) {
  const std::stop_callback wake(stop, [this] {
    const core::LockGuard lock(mutex_);
    changed_.notify_all();
  });
  for (;;) {
    const auto entries = next(stop);
    if (entries.empty()) return;
    const bool done = written(entries);
    const core::LockGuard lock(mutex_);
    if (done) {
      waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(entries.size()));
      written_ += entries.size();
      changed_.notify_all();
    } else if (stop.stop_requested()) {
      return;
    } else {
      const auto until = std::chrono::steady_clock::now() + kRetryAfter;
      while (!stop.stop_requested() && std::chrono::steady_clock::now() < until) {
        changed_.wait_for(mutex_, until - std::chrono::steady_clock::now());
      }
    }
  }
}

}  // namespace backstay::control
