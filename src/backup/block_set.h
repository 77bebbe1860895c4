// A set of block numbers that stays small at millions of them.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <vector>

namespace backstay::backup {

/// A value. Kept in parts of 65,536 blocks, each a sorted list while it has few and a bitmap of 8 KiB from then on.
class BlockSet {
 public:
  void insert(std::uint32_t block);
  void merge(const BlockSet& other);
  /// Takes out every block from `first` on.
  void remove_from(std::uint32_t first);

  [[nodiscard]] bool contains(std::uint32_t block) const;
  /// Appends what is in [first, end), in order.
  void collect(std::uint32_t first, std::uint64_t end, std::vector<std::uint32_t>& to) const;
  [[nodiscard]] std::uint64_t size() const;
  [[nodiscard]] std::size_t memory() const;
  bool operator==(const BlockSet& other) const;

 private:
  class Part {
   public:
    void insert(std::uint16_t block);
    void merge(const Part& other);
    void remove_from(std::uint16_t first);
    [[nodiscard]] bool contains(std::uint16_t block) const;
    [[nodiscard]] std::size_t size() const;
    [[nodiscard]] std::size_t memory() const;
    template <typename Each>
    void for_each(std::uint32_t first, std::uint32_t end, Each each) const;

   private:
    void become_bitmap();
    std::vector<std::uint16_t> few_;
    std::vector<std::uint64_t> bits_;  // empty, or one bit for each block
  };
  std::map<std::uint16_t, Part> parts_;  // by the upper half of the number; none is empty
};

}  // namespace backstay::backup
