#include "backup/branch_check.h"

#include <algorithm>

#include <fmt/format.h>

#include "postgres/timeline_history.h"

namespace backstay::backup {
namespace {

/// The lines that say something: comments and the end of lines may differ.
bool same_ancestors(const std::string& a, const std::string& b) {
  const auto one = postgres::parse_timeline_history(a);
  const auto other = postgres::parse_timeline_history(b);
  return std::ranges::equal(one, other, [](const auto& left, const auto& right) {
    return left.timeline == right.timeline && left.end == right.end;
  });
}

}  // namespace

std::optional<std::string> divergence(const ArchivedBranch& archive, const ServerBranch& server) {
  if (archive.timeline.value == 0) return std::nullopt;  // nothing is archived yet
  if (archive.timeline > server.timeline) {
    return fmt::format(
        "the archive is on timeline {}, but the server on {}: it is an older copy of the server that "
        "wrote this archive, or another one writes here too",
        archive.timeline.value, server.timeline.value);
  }
  if (archive.server_history && !same_ancestors(*archive.server_history, server.history)) {
    return fmt::format("timeline {} of the server began elsewhere than the one of this number in the archive",
                       server.timeline.value);
  }
  if (archive.timeline == server.timeline) {
    if (archive.end <= server.flushed) return std::nullopt;
    return fmt::format(
        "the archive reaches {}, but the server only {}: it is an older copy of the server that wrote "
        "this archive",
        postgres::format_lsn(archive.end), postgres::format_lsn(server.flushed));
  }
  const auto ancestors = postgres::parse_timeline_history(server.history);
  if (std::ranges::find(ancestors, archive.timeline, &postgres::TimelineSwitch::timeline) != ancestors.end()) {
    return std::nullopt;
  }
  return fmt::format("timeline {} of the server does not descend from timeline {}, on which its archive is",
                     server.timeline.value, archive.timeline.value);
}

}  // namespace backstay::backup
