// An S3 store that does what stores, networks and proxies do on their bad days.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "blob/s3_client.h"
#include "blob/store.h"
#include "core/random.h"
#include "http/client.h"
#include "simulation/bucket.h"
#include "simulation/turns.h"

namespace backstay::simulation {

/// How often each fault comes, per mille of the requests that it can hit.
struct FaultRates {
  unsigned refuse = 0;       // 429, 500 or 503, nothing done
  unsigned full = 0;         // a write is refused: there is no room
  unsigned fail_after = 0;   // 500, but it was done
  unsigned reset = 0;        // the connection breaks before the request arrived
  unsigned lose_answer = 0;  // it breaks after
  unsigned late = 0;         // a timeout; the write arrives later all the same
  unsigned twice = 0;        // the write arrives once more, later
  unsigned cut = 0;          // the body of an answer ends early: noticed, or not
  unsigned corrupt = 0;      // a byte of an object's body is another one
  unsigned stale = 0;        // a listing shows what was
};

/// The store itself. What is on its way is bounded: a signed request is refused after fifteen minutes.
struct StoreState {
  Bucket bucket = {};
  FaultRates rates = {};
  /// Nobody reaches it.
  bool away = false;
  bool conditional_put = true;
  struct Late {
    core::Timestamp at = {};
    std::string key = {};
    Bucket::Content content = {};
    bool if_absent = false;
    /// Of a part of an upload.
    std::string upload = {};
    int part = 0;
  };
  /// By its id: what has arrived of an object that is sent in parts.
  struct Upload {
    std::string key = {};
    std::map<int, Bucket::Content> parts = {};
  };
  std::map<std::string, Upload> uploads = {};
  std::uint64_t uploads_begun = 0;
  std::vector<Late> late = {};
  std::uint64_t requests = 0;

  void arrive(const Time& time);
  /// The store as it is, without its faults, for as long as this is there.
  class Shown;
};

class StoreState::Shown {
 public:
  explicit Shown(StoreState& state)
      : state_(state), rates_(std::exchange(state.rates, {})), away_(std::exchange(state.away, false)) {}
  ~Shown() {
    state_.rates = rates_;
    state_.away = away_;
  }
  Shown(const Shown&) = delete;
  Shown& operator=(const Shown&) = delete;

 private:
  StoreState& state_;
  const FaultRates rates_;
  const bool away_;
};

blob::S3Location simulated_location();

/// That store, as the wire knows it.
std::unique_ptr<http::Transport> open_simulated_wire(StoreState& state, Turns& turns, Dice& dice, Time& time,
                                                     Process& process);

/// The product's own S3 driver and retries over that store, for one process.
std::unique_ptr<blob::Store> open_simulated_store(StoreState& state, Turns& turns, Dice& dice, Time& time,
                                                  Process& process, core::Clock& clock, core::Random& random);

}  // namespace backstay::simulation
