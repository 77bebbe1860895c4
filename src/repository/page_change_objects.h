// The objects that tell which pages the WAL of an instance changed. What is in them is the writer's own: backup's
// PageChanges; docs/format/repository.md has the grammar. They only save reading the WAL itself.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "repository/repository.h"

namespace backstay::repository {

/// Of the records that begin in [from, to) on a timeline; LSNs.
struct PageChangeObject {
  std::uint32_t timeline = 0;
  std::uint64_t from = 0;
  std::uint64_t to = 0;
  /// Of the writer's lease: two writers never write one object.
  std::uint64_t epoch = 0;
  auto operator<=>(const PageChangeObject&) const = default;
};

ObjectName page_changes_name(const std::string& instance, const PageChangeObject& object);
/// What follows page_changes_prefix(); nothing for any other name.
std::optional<PageChangeObject> parse_page_changes_name(std::string_view name);

void put_page_changes(Repository& repository, const std::string& instance, const PageChangeObject& object,
                      core::ByteSpan content);
/// Those of a timeline, by their beginning.
std::vector<PageChangeObject> list_page_changes(const Repository& repository, const std::string& instance,
                                                std::uint32_t timeline);
/// Nothing if it has gone meanwhile. Throws corrupt_data.
std::optional<core::Bytes> get_page_changes(const Repository& repository, const std::string& instance,
                                            const PageChangeObject& object);

}  // namespace backstay::repository
