#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"
#include "repository/entry_codec.h"
#include "repository/entry_rules.h"
#include "repository/manifest.h"
#include "repository/varint.h"

namespace backstay::repository {
namespace {

using detail::put_number;

/// What is held before it is sent: the least that stores take as a part, and room to spare.
constexpr std::size_t kUploadPart = 8 * 1024 * 1024;

}  // namespace

bool path_less(std::string_view a, std::string_view b) {
  const auto [in_a, in_b] = std::ranges::mismatch(a, b);
  if (in_b == b.end()) return false;
  if (in_a == a.end()) return true;
  // The separator comes before every other byte, so that "a/x" comes before "a-b".
  if ((*in_a == '/') != (*in_b == '/')) return *in_a == '/';
  return static_cast<unsigned char>(*in_a) < static_cast<unsigned char>(*in_b);
}

ManifestWriter::ManifestWriter(Repository& repository, const std::string& instance, const std::string& backup,
                               const ObjectId& attempt)
    : repository_(repository), container_(repository.data_key(), repository.random()) {
  container_.begin(manifest_name(instance, backup, attempt));
  result_.id = container_.id();
}
ManifestWriter::~ManifestWriter() = default;

void ManifestWriter::check(const FileEntry& entry) const {
  if (const auto broken = detail::broken_rule(entry, last_path_)) {
    throw core::Error(core::Code::kInvalidArgument,
                      fmt::format("'{}' cannot be in a manifest: {}", entry.path, *broken));
  }
}

void ManifestWriter::add(const FileEntry& entry) {
  check(entry);
  // A group can be read on its own: its first path shares nothing.
  encode_entry(group_, entry, group_path_, packs_);
  group_path_ = entry.path;
  last_path_ = entry.path;
  ++result_.entries;
  if (entry.type == EntryType::kFile) ++result_.files;
  result_.data_size += entry.size;
  if (group_.size() >= kGroupSize) seal_group();
}

void ManifestWriter::seal_group() {
  container_.add_group(group_);
  group_.clear();
  group_path_.clear();
  if (container_.buffer().size() < kUploadPart) return;
  if (!upload_) upload_ = repository_.store().begin_upload(container_.name().key);
  upload_->append(container_.buffer());
  container_.take_buffer(container_.take_buffer());
}

core::Bytes ManifestWriter::encode_meta() const {
  core::Bytes meta;
  put_number(meta, result_.entries);
  put_number(meta, result_.data_size);
  put_number(meta, packs_.packs().size());
  for (const ObjectId& pack : packs_.packs()) core::append(meta, pack);
  return meta;
}

ManifestWriter::Result ManifestWriter::finish() {
  if (!group_.empty()) container_.add_group(group_);
  group_.clear();
  container_.finish(encode_meta());
  result_.stored_size = container_.size();
  if (upload_) {
    upload_->append(container_.buffer());
    upload_->finish();
  } else {
    repository_.store().put(container_.name().key, container_.buffer());
  }
  return result_;
}

}  // namespace backstay::repository
