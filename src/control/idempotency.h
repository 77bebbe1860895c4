// Requests that take effect once however often they are sent: Idempotency-Key.
//
// A key is written before the work begins, becomes effective in the transaction that writes what was asked for, and
// keeps the answer for 24 hours. Killed at any instruction, either nothing was written and a repetition starts anew, or
// the repetition learns what was made.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "control/principal.h"
#include "core/random.h"
#include "core/secret.h"
#include "core/time.h"
#include "metadata/database.h"
#include "metadata/idempotency_keys.h"
#include "model/service.h"

namespace backstay::control {

using metadata::IdempotencyKey;

/// What a request demands besides its wish. A principal carries it to the transaction that it is about.
struct RequestTerms {
  /// The service must be at one of these generations.
  std::optional<std::set<std::int64_t>> generations = {};
  /// What it writes makes this key effective.
  std::optional<IdempotencyKey> key = {};
};

/// Throws Error(precondition_failed) if the terms name other generations.
void require_generation(const Principal& principal, const model::Service& service);
/// `what`: "the schedule 'nightly'".
void require_generation(const Principal& principal, std::int64_t generation, std::string_view what);
/// To be called in the transaction that writes what the request asked for; `subject` is the id of what was made. Throws
/// Error(conflict), so that nothing is written, if another attempt has the key by now.
void take_effect(metadata::Transaction& tx, const Principal& principal, const std::string& subject);

/// How a request with a key begins.
struct KeyedRequest {
  enum class Stage {
    kNew,        ///< do it
    kEffective,  ///< it was done, its answer was lost: `key.subject` is what it made
    kAnswered,   ///< `key.status` and `key.answer` are what it answered
  };
  Stage stage = Stage::kNew;
  IdempotencyKey key;
};

/// Thread-safe.
class IdempotencyGate {
 public:
  static constexpr auto kKept = std::chrono::hours(24);
  /// An attempt that has not come to an end by then is taken for dead.
  static constexpr auto kLease = std::chrono::seconds(120);

  /// All outlive it.
  IdempotencyGate(metadata::Database& database, core::Clock& clock, core::Random& random)
      : database_(database), clock_(clock), random_(random) {}

  /// `request` is all of the request that matters. Throws Error(idempotency_key_reused) if the key was used for another
  /// one, Error(conflict) while an attempt works on it.
  KeyedRequest begin(const std::string& caller, const std::string& key, const core::Secret& request);
  void finish(const IdempotencyKey& key, std::int64_t status, const core::Secret& answer);
  /// The request was refused or failed: unless it has taken effect, the key is free again; else a repetition learns
  /// what was made.
  void abandon(const IdempotencyKey& key);
  /// At start, when no other process works on this state: what was interrupted need not be waited for.
  void end_leases();
  /// The same at the start of the server with this id, where the state may be shared: not while any other one is a
  /// member.
  void end_leases_if_alone(const std::string& server_id);

 private:
  metadata::Database& database_;
  core::Clock& clock_;
  core::Random& random_;
};

}  // namespace backstay::control
