// Lists in pages: limit and page_token.
//
// The answer stays the bare array that Codesphere's contract has; where it goes on stands in its headers, as a link
// (RFC 8288) and as the token alone. A token is sealed and bound to the list and its other parameters.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "control/queries.h"
#include "core/json.h"
#include "http/types.h"

namespace backstay::api::house {

/// What one request wants of a list. Lives as long as the request; the queries outlive it.
class Page {
 public:
  /// Reads limit and page_token. Throws Error(invalid_argument) with the pointer ?page_token for a token that is not
  /// one of this list. `usual_limit` 0: without limit, the whole list.
  Page(control::Queries& queries, const http::Request& request, std::size_t usual_limit = 0);

  /// The position of the last item of the page before, as `position` made it; empty for the first page.
  [[nodiscard]] const std::string& after() const { return after_; }
  /// How many to read: one more than the page holds, to see whether there is another one. 0: all.
  [[nodiscard]] std::size_t fetch() const { return limit_ == 0 ? 0 : limit_ + 1; }

  /// The page of items that were read after after().
  template <typename Item, typename Render, typename Position>
  http::Response answer(const std::vector<Item>& items, Render render, Position position) const {
    const std::size_t count = limit_ == 0 ? items.size() : std::min(limit_, items.size());
    core::json::array array;
    for (std::size_t i = 0; i < count; ++i) array.push_back(render(items[i]));
    return with_next(std::move(array), count < items.size() ? position(items[count - 1]) : std::string());
  }

  /// The page of a list that is at hand as a whole.
  template <typename Item, typename Render, typename Position>
  http::Response answer_from(std::vector<Item> items, Render render, Position position) const {
    if (!after_.empty()) {
      const auto last =
          std::find_if(items.begin(), items.end(), [&](const Item& it) { return position(it) == after_; });
      if (last == items.end()) throw_moved_on();
      items.erase(items.begin(), last + 1);
    }
    return answer(items, render, position);
  }

 private:
  [[noreturn]] static void throw_moved_on();
  [[nodiscard]] http::Response with_next(core::json::array array, const std::string& position) const;

  control::Queries& queries_;
  const http::Request& request_;
  std::string list_;
  std::size_t limit_;
  std::string after_;
};

}  // namespace backstay::api::house
