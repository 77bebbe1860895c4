// Which bytes of a filling segment the next tail object covers.
//
// Every tail interval adds a small object. Left alone, a quiet database would have thousands of them in one segment;
// so every eighth of a level is merged with the seven before it into one of the next level. A byte is then written at
// most once for each level, and a segment never has more than a few dozen tails.
#pragma once

#include <cstdint>
#include <vector>

namespace backstay::backup {

class TailPlan {
 public:
  /// Bytes [from, to) of the segment.
  struct Tail {
    std::uint64_t from = 0;
    std::uint64_t to = 0;
    unsigned level = 0;
    friend bool operator==(const Tail&, const Tail&) = default;
  };

  /// The tail to write when the segment is filled up to `to`, which lies behind stored_to().
  [[nodiscard]] Tail next(std::uint64_t to) const;
  /// Takes a tail of next() as stored; returns those that it makes superfluous.
  std::vector<Tail> stored(const Tail& tail);
  /// The end of the last stored tail.
  [[nodiscard]] std::uint64_t stored_to() const { return tails_.empty() ? 0 : tails_.back().to; }

 private:
  static constexpr unsigned kFanOut = 8;
  std::vector<Tail> tails_;
};

}  // namespace backstay::backup
