#include "api/entity_tags.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "codec/hash.h"
#include "core/bytes.h"
#include "core/error.h"
#include "core/text.h"

namespace backstay::api {
namespace {

constexpr std::size_t kHashBytes = 16;
constexpr std::string_view kAny = "*";

std::string hash_of(std::string_view body) {
  const auto digest = codec::sha256(core::as_bytes(body));
  return core::to_hex(core::ByteSpan(digest).first(kHashBytes));
}

/// The tags of a list such as "a", W/"b"; without the mark of weak ones. Our tags hold no comma.
std::vector<std::string> tags_of(std::string_view header) {
  std::vector<std::string> tags;
  for (const auto& part : core::split(header, ',')) {
    std::string_view tag = core::trim(part);
    if (tag.starts_with("W/")) tag.remove_prefix(2);
    tags.emplace_back(tag);
  }
  return tags;
}

bool names(std::string_view header, std::string_view tag) {
  const auto tags = tags_of(header);
  return std::ranges::find(tags, kAny) != tags.end() || std::ranges::find(tags, tag) != tags.end();
}

}  // namespace

std::string body_tag(std::string_view body) { return fmt::format("\"{}\"", hash_of(body)); }

std::string generation_tag(std::int64_t generation, std::string_view body) {
  return fmt::format("\"{}-{}\"", generation, hash_of(body));
}

http::Response tagged(const http::Request& request, http::Response response) {
  auto tag = response.headers.find("ETag");
  if (!tag) {
    tag = body_tag(response.body);
    response.headers.set("ETag", *tag);
  }
  const auto seen = request.headers.find("If-None-Match");
  if (!seen || !names(*seen, *tag)) return response;
  response.status = 304;
  response.headers.remove("Content-Type");
  response.body.clear();
  return response;
}

std::optional<std::set<std::int64_t>> matched_generations(const http::Request& request) {
  const auto header = request.headers.find("If-Match");
  if (!header) return std::nullopt;
  std::set<std::int64_t> generations;
  for (const std::string& tag : tags_of(*header)) {
    if (tag == kAny) return std::nullopt;
    const auto dash = tag.find('-');
    if (!tag.starts_with('"') || dash == std::string::npos) continue;
    if (const auto generation = core::parse_int(std::string_view(tag).substr(1, dash - 1))) {
      generations.insert(*generation);
    }
  }
  return generations;
}

void require_match(const http::Request& request, std::string_view tag, std::string_view what) {
  const auto header = request.headers.find("If-Match");
  if (!header || names(*header, tag)) return;
  throw core::Error(core::Code::kPreconditionFailed, fmt::format("the {} is not what If-Match names any more", what));
}

}  // namespace backstay::api
