// What a request would do, told instead of done.
#pragma once

#include <string>
#include <vector>

namespace backstay::control {

/// A dry run meets every refusal that the real thing would, and leaves nothing.
enum class Effect { kLasting, kDryRun };

struct Preview {
  /// Sentences, in the order in which it would happen.
  std::vector<std::string> effects;
  /// The server of the service would be away for a moment, its connections cut.
  bool restarts = false;
};

}  // namespace backstay::control
