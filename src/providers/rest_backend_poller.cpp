#include "providers/rest_backend_poller.h"

#include <algorithm>

#include "core/error.h"
#include "core/log.h"

namespace backstay::providers {
namespace {

constexpr auto kForgetAfter = std::chrono::minutes(1);
constexpr auto kIdle = std::chrono::milliseconds(200);
constexpr int kMostDoublings = 10;

}  // namespace

RestBackendPoller::RestBackendPoller(http::Transport& transport, core::Clock& clock, Find find, PollerConfig config)
    : transport_(transport), clock_(clock), find_(std::move(find)), config_(config) {
  for (unsigned i = 0; i < config_.threads; ++i) {
    threads_.emplace_back([this](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        if (!turn(stop)) clock_.wait(stop, kIdle);
      }
    });
  }
}

RestBackendPoller::~RestBackendPoller() {
  for (auto& thread : threads_) thread.request_stop();
  threads_.clear();
}

std::optional<Sighting> RestBackendPoller::look(const BackendName& backend, const std::string& service, bool hurry) {
  const auto now = clock_.steady_now();
  const core::LockGuard lock(mutex_);
  auto& found = backends_[backend];
  auto& watched = found.services[service];
  // Whoever becomes impatient, or is new, does not wait for the calm rhythm. A backend that fails keeps its own.
  if ((!watched.seen || (hurry && !watched.hurry)) && found.failures == 0) found.due = std::min(found.due, now);
  watched.wanted_at = now;
  watched.hurry = hurry;
  return watched.seen;
}

bool RestBackendPoller::turn(const std::stop_token& stop) {
  const auto next = take_due();
  if (!next) return false;
  ask(*next, stop);
  return true;
}

std::optional<RestBackendPoller::Turn> RestBackendPoller::take_due() {
  const auto now = clock_.steady_now();
  const core::LockGuard lock(mutex_);
  for (auto at = backends_.begin(); at != backends_.end();) {
    auto& [name, backend] = *at;
    if (backend.busy || backend.due > now) {
      ++at;
      continue;
    }
    std::erase_if(backend.services, [&](const auto& entry) { return now - entry.second.wanted_at > kForgetAfter; });
    if (backend.services.empty()) {
      at = backends_.erase(at);
      continue;
    }
    Turn turn{name, {}};
    for (const auto& [service, watched] : backend.services) turn.services.push_back(service);
    backend.busy = true;
    return turn;
  }
  return std::nullopt;
}

void RestBackendPoller::ask(const Turn& turn, const std::stop_token& stop) {
  bool failed = false;
  for (std::size_t first = 0; first < turn.services.size() && !stop.stop_requested(); first += config_.batch) {
    const auto last = std::min(first + config_.batch, turn.services.size());
    const std::vector<std::string> services(turn.services.begin() + static_cast<std::ptrdiff_t>(first),
                                            turn.services.begin() + static_cast<std::ptrdiff_t>(last));
    Sighting asked;
    asked.asked_at = clock_.steady_now();
    try {
      const auto address = find_(turn.name);
      if (!address) break;
      const auto answers = RestBackend(transport_, *address).poll(services, stop);
      note(turn.name, services, asked, &answers);
    } catch (...) {
      const auto error = core::as_error(std::current_exception());
      if (error.code() == core::Code::kCancelled) break;
      asked.failure = error.message();
      // What hangs once would hang for every batch.
      note(turn.name, {turn.services.begin() + static_cast<std::ptrdiff_t>(first), turn.services.end()}, asked,
           nullptr);
      failed = true;
      break;
    }
  }
  finish(turn.name, failed);
}

void RestBackendPoller::note(const BackendName& name, const std::vector<std::string>& services, const Sighting& asked,
                             const std::map<std::string, BackendAnswer>* answers) {
  const core::LockGuard lock(mutex_);
  for (const auto& service : services) {
    auto& watched = backends_[name].services[service];
    const Sighting before = watched.seen.value_or(Sighting{});
    Sighting now = asked;
    if (answers == nullptr) {
      now.answer = before.answer;
      now.absent = before.absent;
      now.failures = before.failures + 1;
    } else if (const auto found = answers->find(service); found == answers->end()) {
      now.absent = before.absent + 1;
    } else if (!found->second.report) {
      now.answer = before.answer;
      now.failures = before.failures + 1;
      now.failure = "the backend's answer is not what the contract says: " + found->second.fault;
    } else {
      now.answer = found->second;
    }
    watched.seen = std::move(now);
  }
}

void RestBackendPoller::finish(const BackendName& name, bool failed) {
  const auto now = clock_.steady_now();
  const core::LockGuard lock(mutex_);
  auto& backend = backends_[name];
  backend.busy = false;
  backend.failures = failed ? std::min(backend.failures + 1, kMostDoublings) : 0;
  const bool hurry = std::ranges::any_of(backend.services, [](const auto& entry) { return entry.second.hurry; });
  auto pause = hurry ? config_.hurry : config_.calm;
  if (failed) pause = std::min(config_.hurry * (1 << backend.failures), config_.longest);
  backend.due = now + pause;
}

}  // namespace backstay::providers
