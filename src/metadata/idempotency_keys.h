// Requests that are to take effect once, by the key that their client chose.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/secret.h"
#include "core/time.h"
#include "metadata/database.h"

namespace backstay::metadata {

/// running -> effective -> answered; a running one that failed is removed.
enum class KeyState {
  kRunning,    ///< nothing of it has been written yet
  kEffective,  ///< what it asked for was written together with this
  kAnswered,   ///< and its answer is kept
};

struct IdempotencyKey {
  /// Whose key: keys of different callers have nothing to do with each other.
  std::string caller{};
  std::string key{};
  /// What was asked, for telling another request with the same key. Sealed, as bodies hold secrets.
  core::Secret request{};
  KeyState state = KeyState::kRunning;
  /// The attempt that works on it until its lease ends.
  std::string attempt{};
  core::Timestamp lease_until{};
  /// What it made, e.g. the id of a service; empty until it is effective.
  std::string subject{};
  std::int64_t status = 0;
  /// Sealed.
  core::Secret answer{};
  core::Timestamp expires_at{};
};

class IdempotencyKeys {
 public:
  explicit IdempotencyKeys(Transaction& tx) : tx_(tx) {}
  std::optional<IdempotencyKey> find(const std::string& caller, const std::string& key);
  /// As running.
  void insert(const IdempotencyKey& key);
  /// Another attempt takes a key whose lease has ended.
  void take_over(const IdempotencyKey& key);
  /// False if the key is not running, or another attempt's by now.
  bool make_effective(const IdempotencyKey& key, const std::string& subject);
  void put_answer(const IdempotencyKey& key, std::int64_t status, std::string_view answer);
  /// Ends the attempt without an answer: its key goes, unless it is effective; then only its lease ends.
  void release(const IdempotencyKey& key);
  /// Ends every lease: at start, when no other process works on this state.
  void end_leases();
  void prune(core::Timestamp now);

 private:
  Transaction& tx_;
};

}  // namespace backstay::metadata
