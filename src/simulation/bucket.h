// A bucket as the store itself knows it, and as its listings have shown it before.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "blob/store.h"
#include "core/bytes.h"
#include "core/time.h"

namespace backstay::simulation {

class Bucket {
 public:
  using Content = std::shared_ptr<const core::Bytes>;
  struct Object {
    Content content = {};
    core::Timestamp modified = {};
  };

  /// `now` is the time that is, `stamp` what the store takes it for.
  void put(const std::string& key, Content content, core::Timestamp now, core::Timestamp stamp);
  void remove(const std::string& key, core::Timestamp now);
  [[nodiscard]] const Object* find(const std::string& key) const;
  [[nodiscard]] const std::map<std::string, Object>& objects() const { return objects_; }

  /// At most `most` keys that begin with `prefix` and come after `after`, as they were at `as_of`.
  [[nodiscard]] std::vector<blob::ObjectInfo> list(const std::string& prefix, const std::string& after,
                                                   std::size_t most, core::Timestamp as_of) const;

 private:
  /// From when on a listing shows the object, or that there is none.
  struct Past {
    core::Timestamp since = {};
    std::optional<std::uint64_t> size = {};
    core::Timestamp modified = {};
  };
  std::map<std::string, Object> objects_;
  std::map<std::string, std::vector<Past>> past_;
};

}  // namespace backstay::simulation
