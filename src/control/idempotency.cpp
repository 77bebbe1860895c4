#include "control/idempotency.h"

#include <fmt/format.h>

#include "core/error.h"
#include "metadata/servers.h"

namespace backstay::control {

using core::Code;
using core::Error;
using metadata::KeyState;
using Stage = KeyedRequest::Stage;

void require_generation(const Principal& principal, const model::Service& service) {
  require_generation(principal, service.generation, fmt::format("the service '{}'", service.name));
}

void require_generation(const Principal& principal, std::int64_t generation, std::string_view what) {
  if (!principal.terms || !principal.terms->generations) return;
  if (principal.terms->generations->contains(generation)) return;
  throw Error(Code::kPreconditionFailed,
              fmt::format("{} is at generation {}, which If-Match does not name", what, generation));
}

void take_effect(metadata::Transaction& tx, const Principal& principal, const std::string& subject) {
  if (!principal.terms || !principal.terms->key) return;
  const IdempotencyKey& key = *principal.terms->key;
  if (metadata::IdempotencyKeys(tx).make_effective(key, subject)) return;
  throw Error(Code::kConflict, fmt::format("the request with the key '{}' has taken effect already", key.key));
}

KeyedRequest IdempotencyGate::begin(const std::string& caller, const std::string& key, const core::Secret& request) {
  const auto now = clock_.now();
  const std::string attempt = random_.uuid();
  return database_.write([&](auto& tx) -> KeyedRequest {
    metadata::IdempotencyKeys keys(tx);
    keys.prune(now);
    auto found = keys.find(caller, key);
    if (!found) {
      IdempotencyKey fresh;
      fresh.caller = caller;
      fresh.key = key;
      fresh.request = request;
      fresh.attempt = attempt;
      fresh.lease_until = now + kLease;
      fresh.expires_at = now + kKept;
      keys.insert(fresh);
      return {Stage::kNew, std::move(fresh)};
    }
    if (found->request.reveal() != request.reveal()) {
      throw Error(Code::kIdempotencyKeyReused, fmt::format("the key '{}' was used for another request", key));
    }
    if (found->state == KeyState::kAnswered) return {Stage::kAnswered, std::move(*found)};
    if (found->lease_until > now) {
      throw Error(Code::kConflict, fmt::format("a request with the key '{}' is under way", key))
          .with_hint("send it again in a moment, with the same key");
    }
    found->attempt = attempt;
    found->lease_until = now + kLease;
    keys.take_over(*found);
    const auto stage = found->state == KeyState::kEffective ? Stage::kEffective : Stage::kNew;
    return {stage, std::move(*found)};
  });
}

void IdempotencyGate::finish(const IdempotencyKey& key, std::int64_t status, const core::Secret& answer) {
  database_.write([&](auto& tx) { metadata::IdempotencyKeys(tx).put_answer(key, status, answer.reveal()); });
}

void IdempotencyGate::abandon(const IdempotencyKey& key) {
  database_.write([&](auto& tx) { metadata::IdempotencyKeys(tx).release(key); });
}

void IdempotencyGate::end_leases() {
  database_.write([](auto& tx) { metadata::IdempotencyKeys(tx).end_leases(); });
}

void IdempotencyGate::end_leases_if_alone(const std::string& server_id) {
  database_.write([&](auto& tx) {
    // Should one be about to enter: an attempt that loses its lease writes nothing.
    for (const auto& server : metadata::Servers(tx).list()) {
      if (server.id != server_id) return;
    }
    metadata::IdempotencyKeys(tx).end_leases();
  });
}

}  // namespace backstay::control
