#include "postgres/dump_contents.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <utility>

#include "core/text.h"

namespace backstay::postgres {
namespace {

/// Left behind by a restore, made by every server, or listed by their owners.
constexpr std::array<std::string_view, 10> kNotCompared = {
    "ACL ",  "DEFAULT ACL ", "SUBSCRIPTION ",  "SUBSCRIPTION TABLE ",     "COMMENT - SUBSCRIPTION ",
    "BLOB ", "BLOBS ",       "BLOB METADATA ", "COMMENT - LARGE OBJECT ", "SECURITY LABEL - LARGE OBJECT "};
constexpr std::array<std::string_view, 2> kPublic = {"SCHEMA - public ", "COMMENT - SCHEMA public "};

bool is_compared(std::string_view entry) {
  const auto begins = [&](std::string_view words) { return entry.starts_with(words); };
  return !entry.empty() && std::ranges::none_of(kNotCompared, begins) && std::ranges::none_of(kPublic, begins);
}

std::optional<std::string> without_owner(std::string_view text, std::string_view owner) {
  const std::string end = " " + std::string(owner);
  if (!text.ends_with(end)) return std::nullopt;
  return std::string(text.substr(0, text.size() - end.size()));
}

/// Each is taken once. Several things may have one text: operators of one name.
class FoundEntries {
 public:
  FoundEntries(const std::vector<DumpEntry>& found, const std::vector<std::string>& owners) : taken_(found.size()) {
    for (std::size_t i = 0; i < found.size(); ++i) {
      for (const std::string& owner : owners) {
        if (auto name = without_owner(found[i].text, owner)) named_[*std::move(name)].push_back(i);
      }
    }
  }
  int take(std::string_view name) {
    const auto same = named_.find(name);
    if (same == named_.end()) return -1;
    const auto free = std::ranges::find_if(same->second, [&](std::size_t i) { return !taken_[i]; });
    if (free == same->second.end()) return -1;
    taken_[*free] = true;
    return static_cast<int>(*free);
  }

 private:
  std::map<std::string, std::vector<std::size_t>, std::less<>> named_;
  std::vector<bool> taken_;
};

}  // namespace

std::string_view listed_entry(std::string_view line) {
  const auto numbers = line.find("; ");
  if (line.empty() || line.front() == ';' || numbers == std::string_view::npos) return {};
  line.remove_prefix(numbers + 2);
  for (int i = 0; i < 2; ++i) {
    const auto space = line.find(' ');
    if (space == std::string_view::npos) return {};
    line.remove_prefix(space + 1);
  }
  return line;
}

std::vector<DumpEntry> comparable_entries(std::string_view contents) {
  std::vector<DumpEntry> entries;
  for (const std::string& line : core::split(contents, '\n')) {
    const std::string_view entry = listed_entry(line);
    if (is_compared(entry)) entries.push_back({line.substr(0, line.find(';')), std::string(entry)});
  }
  return entries;
}

std::vector<int> match_entries(const std::vector<DumpEntry>& wanted, const std::vector<DumpEntry>& found,
                               const std::vector<std::string>& owners) {
  FoundEntries left(found, owners);
  std::vector<int> matches(wanted.size(), -1);
  std::vector<std::size_t> ends;
  for (const DumpEntry& entry : wanted) ends.push_back(entry.text.size());
  // Where in a text its owner begins is not to be seen. Those that match with the shortest owner take theirs first: an
  // owner of several words may be the end of a name.
  for (bool more = true; std::exchange(more, false);) {
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      if (matches[i] >= 0 || ends[i] == 0) continue;
      const auto space = wanted[i].text.rfind(' ', ends[i] - 1);
      ends[i] = space == std::string::npos ? 0 : space;
      if (ends[i] == 0) continue;
      matches[i] = left.take(std::string_view(wanted[i].text).substr(0, ends[i]));
      more = true;
    }
  }
  return matches;
}

}  // namespace backstay::postgres
