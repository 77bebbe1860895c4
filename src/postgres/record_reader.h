// Private to postgres: reading on in the bytes of a WAL record.
#pragma once

#include <cstdint>

#include "core/bytes.h"

namespace backstay::postgres {

/// Reads on in the head of a record; past its end everything is zero and `overrun` is set.
class RecordReader {
 public:
  explicit RecordReader(core::ByteSpan bytes) : bytes_(bytes) {}

  template <typename T>
  T take() {
    if (overrun_ || bytes_.size() < sizeof(T)) {
      overrun_ = true;
      return 0;
    }
    const T value = core::load_le<T>(bytes_, 0);
    bytes_ = bytes_.subspan(sizeof(T));
    return value;
  }
  void skip(std::uint64_t count) {
    if (overrun_ || count > bytes_.size()) {
      overrun_ = true;
    } else {
      bytes_ = bytes_.subspan(static_cast<std::size_t>(count));
    }
  }
  void skip_array(std::uint64_t item) { skip(take<std::uint32_t>() * item); }
  [[nodiscard]] core::ByteSpan rest() const { return bytes_; }
  [[nodiscard]] bool overrun() const { return overrun_; }

 private:
  core::ByteSpan bytes_;
  bool overrun_ = false;
};

}  // namespace backstay::postgres
