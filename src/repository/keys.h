// The keys of a repository and the recovery key text that a person keeps.
//
// The team key opens every repository of a team: it wraps the repository's random data key. From the data key every
// object derives its own key (container_format.h).
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "core/bytes.h"
#include "core/random.h"
#include "core/secret.h"

namespace backstay::repository {

/// 32 secret bytes that are wiped when they go.
class KeyBytes {
 public:
  KeyBytes() = default;
  /// Throws Error(invalid_argument) unless there are 32 bytes.
  explicit KeyBytes(core::ByteSpan bytes);
  KeyBytes(const KeyBytes&) = default;
  KeyBytes& operator=(const KeyBytes&) = default;
  ~KeyBytes();
  static KeyBytes generate(core::Random& random);

  [[nodiscard]] core::ByteSpan bytes() const { return bytes_; }
  friend bool operator==(const KeyBytes& a, const KeyBytes& b) {
    return core::equal_in_constant_time(core::as_text(a.bytes_), core::as_text(b.bytes_));
  }

 private:
  std::array<std::byte, 32> bytes_{};
};

struct TeamKey : KeyBytes {
  using KeyBytes::KeyBytes;
  explicit TeamKey(const KeyBytes& key) : KeyBytes(key) {}
};
struct DataKey : KeyBytes {
  using KeyBytes::KeyBytes;
  explicit DataKey(const KeyBytes& key) : KeyBytes(key) {}
};

/// "bsk1-" and seven groups of eight characters: the key and a checksum of it.
core::Secret format_recovery_key(const TeamKey& key);
/// Upper and lower case, spaces and missing dashes are fine, as are O for 0 and I or L for 1. Throws
/// Error(invalid_argument) that says what is wrong with the text (never quoting it): prefix, length, a character, or
/// the checksum, which means that at least one character is mistyped.
TeamKey parse_recovery_key(std::string_view text);

/// The data key sealed with the team key, bound to the repository's id: nonce and ciphertext with tag.
core::Bytes wrap_data_key(const TeamKey& team_key, const DataKey& data_key, std::string_view repository_id,
                          core::Random& random);
/// Throws Error(wrong_key) if it does not open.
DataKey unwrap_data_key(const TeamKey& team_key, core::ByteSpan wrapped, std::string_view repository_id);

}  // namespace backstay::repository
