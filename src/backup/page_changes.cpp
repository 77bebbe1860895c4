#include "backup/page_changes.h"

#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "repository/varint.h"

namespace backstay::backup {
namespace {

using repository::detail::FieldReader;
using repository::detail::put_number;
using repository::detail::put_text;

[[noreturn]] void malformed(const char* what) {
  throw core::Error(core::Code::kCorruptData, std::string("a map of changed pages ") + what);
}

std::uint32_t read_small(FieldReader& reader) {
  const std::uint64_t value = reader.number();
  if (value > std::numeric_limits<std::uint32_t>::max()) malformed("names a number that PostgreSQL does not have");
  return static_cast<std::uint32_t>(value);
}

constexpr std::size_t kNode = 96;  // of a relation or a database, about

}  // namespace

std::size_t PageChanges::Hash::operator()(const Relation& of) const noexcept {
  constexpr std::uint64_t kMultiplier = 0x9E37'79B9'7F4A'7C15;
  std::uint64_t hash = (std::uint64_t{of.database} << 32 | of.relation) * kMultiplier;
  hash = (hash ^ hash >> 29 ^ of.tablespace) * kMultiplier;
  return static_cast<std::size_t>(hash ^ hash >> 32);
}

void PageChanges::note_block(const RelationFork& of, std::uint32_t block) {
  if (of.fork != 0 || block == kNoLimit) return;
  Changed& changed = relations_[{of.tablespace, of.database, of.relation}];
  if (block < changed.new_from) changed.blocks.insert(block);
}

void PageChanges::note_new_from(const RelationFork& of, std::uint32_t first) {
  if (of.fork == 0 && first != kNoLimit) note_new_from(relations_[{of.tablespace, of.database, of.relation}], first);
}

void PageChanges::note_new_from(Changed& changed, std::uint32_t first) {
  if (first >= changed.new_from) return;
  changed.new_from = first;
  changed.blocks.remove_from(first);
}

void PageChanges::note_new_database(std::uint32_t tablespace, std::uint32_t database) {
  databases_.emplace(tablespace, database);
}

void PageChanges::note_new_tablespace(std::uint32_t tablespace) { databases_.emplace(tablespace, 0); }

void PageChanges::note_unproven(const std::string& reason) {
  if (unproven_.empty()) unproven_ = reason;
}

void PageChanges::merge(const PageChanges& other) {
  for (const auto& [of, theirs] : other.relations_) {
    Changed& mine = relations_[of];
    mine.blocks.merge(theirs.blocks);
    note_new_from(mine, theirs.new_from);
    if (mine.new_from != kNoLimit) mine.blocks.remove_from(mine.new_from);
  }
  databases_.insert(other.databases_.begin(), other.databases_.end());
  if (!other.unproven_.empty()) note_unproven(other.unproven_);
}

bool PageChanges::has_database(std::uint32_t tablespace, std::uint32_t database) const {
  return databases_.contains({tablespace, database}) || databases_.contains({tablespace, 0});
}

bool PageChanges::has(const RelationFork& of, std::uint32_t block) const { return !changed(of, block, 1).empty(); }

bool PageChanges::is_new_from(const RelationFork& of, std::uint32_t first) const {
  if (of.fork != 0 || !unproven_.empty() || has_database(of.tablespace, of.database)) return true;
  const auto found = relations_.find({of.tablespace, of.database, of.relation});
  return found != relations_.end() && found->second.new_from <= first;
}

std::vector<std::uint32_t> PageChanges::changed(const RelationFork& of, std::uint32_t first,
                                                std::uint32_t count) const {
  const std::uint64_t end = std::uint64_t{first} + count;
  const Relation relation{of.tablespace, of.database, of.relation};
  std::uint64_t new_from = end;
  std::vector<std::uint32_t> result;
  if (of.fork != 0 || !unproven_.empty() || has_database(of.tablespace, of.database)) {
    new_from = first;
  } else if (const auto found = relations_.find(relation); found != relations_.end()) {
    if (found->second.new_from != kNoLimit) new_from = std::clamp<std::uint64_t>(found->second.new_from, first, end);
    found->second.blocks.collect(first, new_from, result);
  }
  const std::size_t listed = result.size();
  result.resize(listed + static_cast<std::size_t>(end - new_from));
  std::iota(result.begin() + static_cast<std::ptrdiff_t>(listed), result.end(), static_cast<std::uint32_t>(new_from));
  return result;
}

std::uint64_t PageChanges::blocks() const {
  std::uint64_t count = 0;
  for (const auto& relation : relations_) count += relation.second.blocks.size();
  return count;
}

std::size_t PageChanges::memory() const {
  std::size_t bytes = (relations_.size() + databases_.size()) * kNode;
  for (const auto& relation : relations_) bytes += relation.second.blocks.memory();
  return bytes;
}

core::Bytes PageChanges::encode() const {
  core::Bytes bytes;
  put_text(bytes, unproven_);
  put_number(bytes, databases_.size());
  for (const auto& [tablespace, database] : databases_) {
    put_number(bytes, tablespace);
    put_number(bytes, database);
  }
  std::vector<Relation> order;
  order.reserve(relations_.size());
  for (const auto& relation : relations_) order.push_back(relation.first);
  std::ranges::sort(order);
  put_number(bytes, order.size());
  std::vector<std::uint32_t> blocks;
  for (const Relation& of : order) {
    const Changed& changed = relations_.at(of);
    put_number(bytes, of.tablespace);
    put_number(bytes, of.database);
    put_number(bytes, of.relation);
    put_number(bytes, changed.new_from == kNoLimit ? 0 : std::uint64_t{changed.new_from} + 1);
    blocks.clear();
    changed.blocks.collect(0, kNoLimit, blocks);
    put_number(bytes, blocks.size());
    std::uint32_t next = 0;
    for (const std::uint32_t block : blocks) {
      put_number(bytes, block - next);
      next = block + 1;
    }
  }
  return bytes;
}

PageChanges PageChanges::decode(core::ByteSpan bytes) {
  PageChanges result;
  FieldReader reader(bytes, 0);
  result.unproven_ = reader.text();
  for (std::uint64_t left = reader.number(); left > 0; --left) {
    const std::uint32_t tablespace = read_small(reader);
    result.databases_.emplace(tablespace, read_small(reader));
  }
  for (std::uint64_t left = reader.number(); left > 0; --left) {
    const std::uint32_t tablespace = read_small(reader);
    const std::uint32_t database = read_small(reader);
    Changed& changed = result.relations_[{tablespace, database, read_small(reader)}];
    if (const std::uint32_t limit = read_small(reader); limit != 0) changed.new_from = limit - 1;
    std::uint64_t next = 0;
    for (std::uint64_t count = reader.number(); count > 0; --count) {
      next += read_small(reader);
      if (next >= changed.new_from) malformed("names a block where everything is new");
      changed.blocks.insert(static_cast<std::uint32_t>(next++));
    }
    if (changed == Changed{}) malformed("names a relation of which nothing changed");
  }
  // Order, repetitions and how numbers are written: there is one way to say it.
  const core::Bytes again = result.encode();
  if (!std::ranges::equal(again, bytes)) malformed("is not written as such maps are");
  return result;
}

bool PageChanges::operator==(const PageChanges& other) const {
  return relations_ == other.relations_ && databases_ == other.databases_ && unproven_ == other.unproven_;
}

}  // namespace backstay::backup
