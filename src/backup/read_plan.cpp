#include "backup/read_plan.h"

#include <algorithm>

#include "core/text.h"
#include "postgres/page_checksum.h"

namespace backstay::backup {
namespace {

constexpr std::uint32_t kDefaultTablespace = 1663;
constexpr std::uint32_t kGlobalTablespace = 1664;

std::optional<std::uint32_t> number(std::string_view text) {
  const auto value = core::parse_int(text);
  if (!value || *value < 0 || *value > UINT32_MAX) return std::nullopt;
  return static_cast<std::uint32_t>(*value);
}

}  // namespace

std::optional<RelationFork> main_fork(const postgres::ClusterEntry& file) {
  if (!file.first_block) return std::nullopt;
  const auto parts = core::split(file.path, '/');
  const auto name = postgres::parse_relation_file(parts.back());
  if (!name || !name->fork.empty()) return std::nullopt;
  if (parts.size() == 2 && parts[0] == "global") return RelationFork{kGlobalTablespace, 0, name->node, 0};
  const bool in_tablespace = parts.size() == 5 && parts[0] == "pg_tblspc";
  if (!in_tablespace && (parts.size() != 3 || parts[0] != "base")) return std::nullopt;
  const auto tablespace = in_tablespace ? number(parts[1]) : kDefaultTablespace;
  const auto database = number(parts[parts.size() - 2]);
  if (!tablespace || !database) return std::nullopt;
  return RelationFork{*tablespace, *database, name->node, 0};
}

std::vector<ByteRange> plan_reads(const postgres::ClusterEntry& file, const RelationFork& fork, std::uint64_t base_size,
                                  const PageChanges& changes) {
  const std::uint32_t first = file.first_block.value_or(0);
  const auto blocks = static_cast<std::uint32_t>(std::min(file.size, base_size) / postgres::kPageSize);
  std::vector<ByteRange> reads;
  for (const std::uint32_t block : changes.changed(fork, first, blocks)) {
    const std::uint64_t from = std::uint64_t{block - first} * postgres::kPageSize;
    add_range(reads, {from, from + postgres::kPageSize});
  }
  add_range(reads, {std::uint64_t{blocks} * postgres::kPageSize, file.size});
  return reads;
}

}  // namespace backstay::backup
