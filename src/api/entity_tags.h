// Entity tags: whether a client still has what is there, and whether it changes what it has seen.
//
// A tag is strong: "<hash>" of the answer's body, or "<generation>-<hash>" for what has a generation. If-None-Match
// compares the whole tag; If-Match compares the generation where there is one, because a change is about what its owner
// decided, not about the events and measurements that have come in since.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "http/types.h"

namespace backstay::api {

std::string body_tag(std::string_view body);
std::string generation_tag(std::int64_t generation, std::string_view body);

/// The answer with a tag of its body, if it has none yet; 304 without a body if the request names that tag.
http::Response tagged(const http::Request& request, http::Response response);

/// The generations that If-Match names; nothing if it is absent or "*". A tag without one names none.
std::optional<std::set<std::int64_t>> matched_generations(const http::Request& request);
/// Throws Error(precondition_failed) unless If-Match is absent, "*", or names the tag.
void require_match(const http::Request& request, std::string_view tag, std::string_view what);

}  // namespace backstay::api
