// Asks published backends how their services are, many services in one request, so that nobody who looks at a service
// has to wait for a backend, and a backend that hangs holds up nobody but its own services.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/mutex.h"
#include "core/time.h"
#include "http/client.h"
#include "providers/rest_backend.h"

namespace backstay::providers {

struct PollerConfig {
  /// Between two questions about services that are as they should be.
  std::chrono::milliseconds calm{10'000};
  /// While one of them is being made or changed.
  std::chrono::milliseconds hurry{2'000};
  /// The longest wait after failures.
  std::chrono::milliseconds longest{60'000};
  unsigned threads = 4;
  std::size_t batch = 50;
};

/// Name and version of a provider.
using BackendName = std::pair<std::string, std::string>;

/// What was seen of a service.
struct Sighting {
  /// When the question was asked; what changed since then is not in it.
  core::SteadyTime asked_at{};
  BackendAnswer answer{};
  /// The backend answered and does not know it: how often in a row.
  int absent = 0;
  /// The backend did not answer, or nothing useful: how often in a row, and why.
  int failures = 0;
  std::string failure{};
};

/// Thread-safe.
class RestBackendPoller {
 public:
  /// Where a backend is now; nothing while its provider is not published.
  using Find = std::function<std::optional<model::ApiBackend>(const BackendName&)>;

  /// Transport and clock outlive it; `find` is called from its threads.
  RestBackendPoller(http::Transport& transport, core::Clock& clock, Find find, PollerConfig config);
  ~RestBackendPoller();
  RestBackendPoller(const RestBackendPoller&) = delete;
  RestBackendPoller& operator=(const RestBackendPoller&) = delete;

  /// The last sighting, nothing before the first. Keeps the service watched for a minute.
  std::optional<Sighting> look(const BackendName& backend, const std::string& service, bool hurry);

  /// One turn: asks a backend that is due, if there is one. For the threads, and for tests without them.
  bool turn(const std::stop_token& stop);

 private:
  struct Watched {
    core::SteadyTime wanted_at{};
    bool hurry = false;
    std::optional<Sighting> seen{};
  };
  struct Backend {
    std::map<std::string, Watched> services{};
    core::SteadyTime due{};
    int failures = 0;
    bool busy = false;
  };
  struct Turn {
    BackendName name;
    std::vector<std::string> services;
  };

  std::optional<Turn> take_due();
  void ask(const Turn& turn, const std::stop_token& stop);
  void note(const BackendName& name, const std::vector<std::string>& services, const Sighting& asked,
            const std::map<std::string, BackendAnswer>* answers);
  void finish(const BackendName& name, bool failed);

  http::Transport& transport_;
  core::Clock& clock_;
  const Find find_;
  const PollerConfig config_;
  core::Mutex mutex_;
  std::map<BackendName, Backend> backends_ GUARDED_BY(mutex_);
  std::vector<std::jthread> threads_;
};

}  // namespace backstay::providers
