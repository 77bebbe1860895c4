// Positions in lists, sealed so that a client can neither read nor make them.
#include "control/queries.h"
#include "core/error.h"
#include "metadata/sealer.h"

namespace backstay::control {
namespace {

metadata::SealedPlace place_of(const std::string& list) {
  return {.table = "page_tokens", .column = "position", .row = list};
}

/// Base64 in the alphabet of URLs, without padding.
std::string for_url(std::string text) {
  std::erase(text, '=');
  std::replace(text.begin(), text.end(), '+', '-');
  std::replace(text.begin(), text.end(), '/', '_');
  return text;
}

std::string from_url(std::string text) {
  std::replace(text.begin(), text.end(), '-', '+');
  std::replace(text.begin(), text.end(), '_', '/');
  text.append((4 - text.size() % 4) % 4, '=');
  return text;
}

}  // namespace

std::string Queries::page_token(const std::string& list, const std::string& position) {
  return for_url(database_.read([&](auto& tx) { return tx.sealer().seal(place_of(list), position); }));
}

std::string Queries::page_position(const std::string& list, const std::string& token) {
  try {
    auto position =
        database_.read([&](auto& tx) { return tx.sealer().open(place_of(list), from_url(token)).reveal(); });
    if (!position.empty()) return position;
  } catch (const core::Error& error) {
    if (error.code() != core::Code::kCorruptData && error.code() != core::Code::kInvalidArgument) throw;
  }
  throw core::Error(core::Code::kInvalidArgument, "the page token is none of this list with these parameters")
      .with_field("?page_token", "is no token of this list");
}

core::Error page_is_gone() {
  return core::Error(core::Code::kInvalidArgument, "what the page token goes on after is not there any more")
      .with_field("?page_token", "is of a list that has moved on")
      .with_hint("read the list from its beginning");
}

}  // namespace backstay::control
