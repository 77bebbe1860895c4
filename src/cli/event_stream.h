// Server-sent events, taken from a body that comes in pieces.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace backstay::cli {

struct StreamEvent {
  std::string id;
  std::string name;
  std::string data;
};

class EventStream {
 public:
  explicit EventStream(std::function<void(const StreamEvent&)> each) : each_(std::move(each)) {}
  /// Calls back for each event that ends in this piece.
  void feed(std::string_view piece);

 private:
  void take_line(std::string_view line);
  std::function<void(const StreamEvent&)> each_;
  std::string rest_;
  StreamEvent event_;
};

}  // namespace backstay::cli
