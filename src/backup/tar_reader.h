// A tar as it comes: its regular files, one after the other.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "core/bytes.h"

namespace backstay::backup {

/// One thread at a time. Throws Error(import_refused) for what is not well-formed. Directories and the headers that
/// extend others are passed over; links and devices are refused.
class TarReader {
 public:
  struct Sink {
    std::function<void(const std::string& name, std::uint64_t size)> begin;
    std::function<void(core::ByteSpan)> content;
  };
  explicit TarReader(Sink sink) : sink_(std::move(sink)) {}

  void feed(core::ByteSpan data);
  /// That was all.
  void finish() const;

 private:
  void read_header();

  Sink sink_;
  core::Bytes block_;
  std::uint64_t content_left_ = 0;
  std::uint64_t padding_left_ = 0;
  bool passed_on_ = false;
  bool ended_ = false;
};

}  // namespace backstay::backup
