// A dump's table of contents, as pg_restore lists it: one line for each thing that it makes or fills.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace backstay::postgres {

/// "3; 3079 16385 EXTENSION - pg_trgm app" without the numbers before the kind; empty for a line that lists nothing.
std::string_view listed_entry(std::string_view line);

struct DumpEntry {
  /// Its data, if it has any, are in the file "<id>.dat".
  std::string id = {};
  /// Kind, schema, name and, last, the owner: "TABLE DATA public orders app". Any of these may have spaces.
  std::string text = {};
  [[nodiscard]] bool has_data() const { return text.starts_with("TABLE DATA "); }
};

/// What whoever restores the dump without owners and privileges finds again in a dump of what was made. Large objects
/// are left out: how they are listed depends on their owners.
std::vector<DumpEntry> comparable_entries(std::string_view contents);

/// For each of `wanted`, in order, the index of the same thing in `found`, whoever owns it; -1 where it is not there.
/// Nothing in `found` is the same as two of `wanted`.
/// `owners`: whom things in `found` may belong to, the empty text for nobody.
std::vector<int> match_entries(const std::vector<DumpEntry>& wanted, const std::vector<DumpEntry>& found,
                               const std::vector<std::string>& owners);

}  // namespace backstay::postgres
