// How much memory a piece of work holds at once, for tests.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>

namespace backstay::backup::testing {

/// The most that was allocated at any moment of `work` beyond what was before. Of the whole process: nothing else may
/// be at work. Nothing in a build whose allocator cannot be asked.
std::optional<std::size_t> most_held(const std::function<void()>& work);

}  // namespace backstay::backup::testing
