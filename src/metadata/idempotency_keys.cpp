#include "metadata/idempotency_keys.h"

#include "metadata/query.h"
#include "metadata/sealer.h"

namespace backstay::metadata {
namespace {

constexpr const char* kRunning = "running";
constexpr const char* kEffective = "effective";
constexpr const char* kAnswered = "answered";

KeyState state_of(const std::string& word) {
  if (word == kRunning) return KeyState::kRunning;
  return word == kEffective ? KeyState::kEffective : KeyState::kAnswered;
}

std::string row_of(const std::string& caller, const std::string& key) { return caller + '/' + key; }

SealedPlace request_of(const std::string& row) {
  return {.table = "idempotency_keys", .column = "sealed_request", .row = row};
}
SealedPlace answer_of(const std::string& row) {
  return {.table = "idempotency_keys", .column = "sealed_answer", .row = row};
}

constexpr const char* kOfAttempt = "caller = :the_caller AND key_text = :the_key AND attempt = :the_attempt";

Values of_attempt(const IdempotencyKey& key) {
  return Values().set("the_caller", key.caller).set("the_key", key.key).set("the_attempt", key.attempt);
}

IdempotencyKey read_key(const Row& row, Sealer& sealer) {
  IdempotencyKey key;
  key.caller = row.text("caller");
  key.key = row.text("key_text");
  const auto place = row_of(key.caller, key.key);
  key.request = sealer.open(request_of(place), row.text("sealed_request"));
  key.state = state_of(row.text("state"));
  key.attempt = row.text("attempt");
  key.lease_until = row.time("lease_until");
  key.subject = row.text("subject");
  key.status = row.integer("status");
  key.answer = sealer.open(answer_of(place), row.text("sealed_answer"));
  key.expires_at = row.time("expires_at");
  return key;
}

}  // namespace

std::optional<IdempotencyKey> IdempotencyKeys::find(const std::string& caller, const std::string& key) {
  return Query(tx_, "SELECT * FROM idempotency_keys WHERE caller = :caller AND key_text = :key_text")
      .bind(Values().set("caller", caller).set("key_text", key))
      .first<IdempotencyKey>([&](const Row& row) { return read_key(row, tx_.sealer()); });
}

void IdempotencyKeys::insert(const IdempotencyKey& key) {
  metadata::insert(tx_, "idempotency_keys",
                   Values()
                       .set("caller", key.caller)
                       .set("key_text", key.key)
                       .set("sealed_request", tx_.sealer().seal(request_of(row_of(key.caller, key.key)),
                                                                std::string_view(key.request.reveal())))
                       .set("state", kRunning)
                       .set("attempt", key.attempt)
                       .set("lease_until", key.lease_until)
                       .set("subject", key.subject)
                       .set("status", key.status)
                       .set("sealed_answer", "")
                       .set("expires_at", key.expires_at));
}

void IdempotencyKeys::take_over(const IdempotencyKey& key) {
  metadata::update(tx_, "idempotency_keys", Values().set("attempt", key.attempt).set("lease_until", key.lease_until),
                   "caller = :the_caller AND key_text = :the_key",
                   Values().set("the_caller", key.caller).set("the_key", key.key));
}

bool IdempotencyKeys::make_effective(const IdempotencyKey& key, const std::string& subject) {
  return metadata::update(tx_, "idempotency_keys", Values().set("state", kEffective).set("subject", subject),
                          std::string(kOfAttempt) + " AND state = 'running'", of_attempt(key)) > 0;
}

void IdempotencyKeys::put_answer(const IdempotencyKey& key, std::int64_t status, std::string_view answer) {
  metadata::update(tx_, "idempotency_keys",
                   Values()
                       .set("state", kAnswered)
                       .set("status", status)
                       .set("sealed_answer", tx_.sealer().seal(answer_of(row_of(key.caller, key.key)), answer)),
                   kOfAttempt, of_attempt(key));
}

void IdempotencyKeys::release(const IdempotencyKey& key) {
  Query(tx_, std::string("DELETE FROM idempotency_keys WHERE ") + kOfAttempt + " AND state = 'running'")
      .bind(of_attempt(key))
      .run();
  metadata::update(tx_, "idempotency_keys", Values().set("lease_until", core::Timestamp()), kOfAttempt,
                   of_attempt(key));
}

void IdempotencyKeys::end_leases() { Query(tx_, "UPDATE idempotency_keys SET lease_until = 0").run(); }

void IdempotencyKeys::prune(core::Timestamp now) {
  Query(tx_, "DELETE FROM idempotency_keys WHERE expires_at <= :now").bind(Values().set("now", now)).run();
}

}  // namespace backstay::metadata
