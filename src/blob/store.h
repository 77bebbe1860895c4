// The store contract: what the whole product knows about where backups lie.
//
// Keys are relative to the store's prefix: segments of [A-Za-z0-9._=+@~-] joined by "/", no empty segment, no "." or
// "..", at most 900 bytes. Anything else is Error(invalid_argument). No key may be another one's directory: with "a/b"
// in a store there is no "a".
//
// Guarantees of every driver, checked by one conformance suite (testing/store_conformance.h):
//  - durable on return: after put, put_if_absent and Upload::finish the object survives a crash of this machine
//  - atomic: a reader sees the old object, the new one or none, never a part; a failed write changes nothing, or, where
//    the answer was lost on the way, everything
//  - read-after-write: after a write or a remove returned, every reader sees it, listings too
//  - safe for any thread; an Upload belongs to one thread at a time
//
// Errors: store_unreachable and timeout may be retried; a repeated put, remove, get or list does no harm. Everything
// else (store_access_denied, store_not_found for a missing bucket or directory, store_refused, egress_refused,
// disk_full, io_error, cancelled) comes out at once. A missing object is not an error.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/bytes.h"
#include "core/time.h"

namespace backstay::blob {

struct ObjectInfo {
  std::string key;
  std::uint64_t size = 0;
  core::Timestamp modified;  // by the store's clock
};

/// The last bytes of an object, and how large all of it is.
struct ObjectTail {
  core::Bytes content;
  std::uint64_t object_size = 0;
};

struct StoreFeatures {
  bool conditional_put = false;  // put_if_absent works, with exactly one winner
};

/// An object being written in pieces; nothing is visible before finish.
class Upload {
 public:
  /// Unfinished: discards what was sent, as well as it can.
  virtual ~Upload() = default;
  /// Takes the bytes, even if it throws a retryable error: then go on with an empty span, not with the same bytes.
  virtual void append(core::ByteSpan bytes) = 0;
  /// Makes the object visible. After a retryable error it may be called again.
  virtual void finish() = 0;
};

class Store {
 public:
  virtual ~Store() = default;

  /// Creates or replaces an object.
  virtual void put(std::string_view key, core::ByteSpan content) = 0;
  /// Creates an object; false if there is one already. Exactly one of several racing callers gets true. Throws
  /// Error(not_supported) where features().conditional_put is false.
  virtual bool put_if_absent(std::string_view key, core::ByteSpan content) = 0;
  /// Begins an object whose size is not known yet. It replaces an existing one at finish.
  virtual std::unique_ptr<Upload> begin_upload(std::string_view key) = 0;

  /// The whole object; nothing if there is none. For objects up to 1 GiB; larger ones are read in ranges.
  virtual std::optional<core::Bytes> get(std::string_view key) = 0;
  /// Bytes [offset, offset + length) as far as the object reaches: shorter at its end, empty past it. Nothing if there
  /// is no object.
  virtual std::optional<core::Bytes> get_range(std::string_view key, std::uint64_t offset, std::uint64_t length) = 0;
  /// The last `length` bytes, or all if there are fewer, with one request. Nothing if there is no object.
  virtual std::optional<ObjectTail> get_tail(std::string_view key, std::uint64_t length) = 0;
  virtual std::optional<ObjectInfo> head(std::string_view key) = 0;

  /// Calls `each` for every key that starts with `prefix` (any text, not only whole segments) and is greater than
  /// `start_after`, in byte order, until it returns false. Objects that come or go meanwhile may be seen or not.
  /// What somebody else put there under a name that is no key is left out.
  virtual void list(std::string_view prefix, std::string_view start_after,
                    const std::function<bool(const ObjectInfo&)>& each) = 0;
  /// Removes objects; keys without an object are fine. After an error some may be gone.
  virtual void remove(std::span<const std::string> keys) = 0;

  /// The store's clock minus this machine's, as its latest answer told; nothing if it told none.
  [[nodiscard]] virtual std::optional<core::Duration> clock_offset() const { return std::nullopt; }

  [[nodiscard]] virtual StoreFeatures features() const = 0;
  /// Where this is, for messages: "s3://bucket/prefix/ at https://host", "file:///dir". Never holds a secret.
  [[nodiscard]] virtual std::string description() const = 0;
};

bool is_valid_key(std::string_view key);
/// Throws Error(invalid_argument) for a key that breaks the rules above.
void check_key(std::string_view key);

}  // namespace backstay::blob
