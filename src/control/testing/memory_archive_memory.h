// An archive memory without a state: lives longer than the worlds of a test that ends and begins anew.
#pragma once

#include <map>

#include "control/archive_memory.h"
#include "core/mutex.h"

namespace backstay::control::testing {

class MemoryArchiveMemory final : public ArchiveMemory {
 public:
  std::optional<std::string> repository_id(const std::string& destination_id) override {
    const core::LockGuard lock(mutex_);
    const auto found = repositories_.find(destination_id);
    return found == repositories_.end() ? std::nullopt : std::optional(found->second);
  }
  void remember_repository(const std::string& destination_id, const std::string& repository_id) override {
    const core::LockGuard lock(mutex_);
    repositories_.emplace(destination_id, repository_id);
  }
  std::optional<model::RecoveryWindow> window(const std::string& instance_id) override {
    const core::LockGuard lock(mutex_);
    const auto found = windows_.find(instance_id);
    return found == windows_.end() ? std::nullopt : std::optional(found->second);
  }
  void remember_window(const model::RecoveryWindow& window) override {
    const core::LockGuard lock(mutex_);
    windows_[window.instance_id] = window;
  }
  std::optional<MeasuredRate> rate(const std::string& work) override {
    const core::LockGuard lock(mutex_);
    const auto found = rates_.find(work);
    return found == rates_.end() ? std::nullopt : std::optional(found->second);
  }
  void remember_rate(const std::string& work, const MeasuredRate& rate) override {
    const core::LockGuard lock(mutex_);
    rates_[work] = rate;
  }

 private:
  core::Mutex mutex_;
  std::map<std::string, std::string> repositories_ GUARDED_BY(mutex_);
  std::map<std::string, model::RecoveryWindow> windows_ GUARDED_BY(mutex_);
  std::map<std::string, MeasuredRate> rates_ GUARDED_BY(mutex_);
};

}  // namespace backstay::control::testing
