#include "repository/page_change_objects.h"

#include <fmt/format.h>

#include "core/text.h"
#include "repository/wal_names.h"

namespace backstay::repository {
namespace {

constexpr std::size_t kLsnDigits = 16;

/// `text` as we write it: lower-case hexadecimal, at least eight digits.
std::optional<std::uint64_t> hex(std::string_view text) {
  if (text.size() < 8 || text.size() > kLsnDigits) return std::nullopt;
  if (text.find_first_not_of("0123456789abcdef") != std::string_view::npos) return std::nullopt;
  return core::parse_hex(text);
}

}  // namespace

ObjectName page_changes_name(const std::string& instance, const PageChangeObject& object) {
  return {Kind::kPageChanges,
          fmt::format("{}{}/{:016x}-{:016x}.{:08x}", page_changes_prefix(instance),
                      detail::timeline_text(object.timeline), object.from, object.to, object.epoch)};
}

std::optional<PageChangeObject> parse_page_changes_name(std::string_view name) {
  constexpr std::size_t kTimeline = 8;
  constexpr std::size_t kFrom = kTimeline + 1;
  constexpr std::size_t kTo = kFrom + kLsnDigits + 1;
  constexpr std::size_t kEpoch = kTo + kLsnDigits + 1;
  if (name.size() <= kEpoch) return std::nullopt;
  if (name[kTimeline] != '/' || name[kTo - 1] != '-' || name[kEpoch - 1] != '.') return std::nullopt;
  const auto timeline = detail::parse_timeline(name.substr(0, kTimeline));
  const auto from = hex(name.substr(kFrom, kLsnDigits));
  const auto to = hex(name.substr(kTo, kLsnDigits));
  const auto epoch = hex(name.substr(kEpoch));
  if (!timeline || !from || !to || !epoch || *from >= *to) return std::nullopt;
  return PageChangeObject{.timeline = *timeline, .from = *from, .to = *to, .epoch = *epoch};
}

void put_page_changes(Repository& repository, const std::string& instance, const PageChangeObject& object,
                      core::ByteSpan content) {
  repository.check_present();
  repository.put_sealed(page_changes_name(instance, object), content);
}

std::vector<PageChangeObject> list_page_changes(const Repository& repository, const std::string& instance,
                                                std::uint32_t timeline) {
  const std::string prefix = page_changes_prefix(instance);
  std::vector<PageChangeObject> result;
  repository.store().list(prefix + detail::timeline_text(timeline) + "/", "", [&](const blob::ObjectInfo& object) {
    if (const auto name = parse_page_changes_name(std::string_view(object.key).substr(prefix.size()))) {
      result.push_back(*name);
    }
    return true;
  });
  return result;
}

std::optional<core::Bytes> get_page_changes(const Repository& repository, const std::string& instance,
                                            const PageChangeObject& object) {
  return repository.get_sealed(page_changes_name(instance, object));
}

}  // namespace backstay::repository
