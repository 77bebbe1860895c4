#include "cli/event_stream.h"

#include <vector>

#include <gtest/gtest.h>

namespace backstay::cli {
namespace {

TEST(EventStreamTest, PutsPiecesTogether) {
  const std::string text = ": hello\n\nid: 7\nevent: operation\ndata: {\"a\":\ndata:1}\n\ndata: x\r\n\r\ndata: cut off";
  for (std::size_t size = 1; size <= text.size(); ++size) {
    std::vector<StreamEvent> seen;
    EventStream stream([&](const StreamEvent& event) { seen.push_back(event); });
    for (std::size_t at = 0; at < text.size(); at += size) stream.feed(std::string_view(text).substr(at, size));
    ASSERT_EQ(seen.size(), 2u) << size;
    EXPECT_EQ(seen[0].id, "7");
    EXPECT_EQ(seen[0].name, "operation");
    EXPECT_EQ(seen[0].data, "{\"a\":\n1}");
    EXPECT_EQ(seen[1].id, "");
    EXPECT_EQ(seen[1].data, "x");
  }
}

}  // namespace
}  // namespace backstay::cli
