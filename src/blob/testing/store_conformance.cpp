#include "blob/testing/store_conformance.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/error.h"

namespace backstay::blob::testing {
namespace {

using core::as_bytes;
using core::as_text;
using core::Bytes;

std::optional<std::string> text_of(const std::optional<Bytes>& content) {
  if (!content) return std::nullopt;
  return std::string(as_text(*content));
}

std::vector<std::string> keys_of(Store& store, std::string_view prefix, std::string_view start_after = "") {
  std::vector<std::string> keys;
  store.list(prefix, start_after, [&](const ObjectInfo& info) {
    keys.push_back(info.key);
    return true;
  });
  return keys;
}

/// Bytes that differ from one place to the next.
Bytes pattern(std::size_t size, unsigned seed = 1) {
  Bytes bytes(size);
  std::uint32_t state = seed * 2654435761U;
  for (auto& byte : bytes) {
    state = state * 1664525U + 1013904223U;
    byte = static_cast<std::byte>(state >> 24U);
  }
  return bytes;
}

void put_then_get(Store& store) {
  store.put("a/b", as_bytes("hello"));
  EXPECT_EQ(text_of(store.get("a/b")), "hello");
}

void put_replaces(Store& store) {
  store.put("a", as_bytes("the first, longer content"));
  store.put("a", as_bytes("second"));
  EXPECT_EQ(text_of(store.get("a")), "second");
  EXPECT_EQ(store.head("a")->size, 6U);
}

void empty_object(Store& store) {
  store.put("empty", {});
  EXPECT_EQ(text_of(store.get("empty")), "");
  EXPECT_EQ(text_of(store.get_range("empty", 0, 10)), "");
  const auto tail = store.get_tail("empty", 10);
  ASSERT_TRUE(tail);
  EXPECT_EQ(tail->object_size, 0U);
  EXPECT_EQ(store.head("empty")->size, 0U);
}

void binary_content(Store& store) {
  const Bytes content = pattern(300'000);
  store.put("binary", content);
  EXPECT_EQ(store.get("binary"), content);
}

void missing_is_nothing(Store& store) {
  EXPECT_FALSE(store.get("missing"));
  EXPECT_FALSE(store.get_range("missing", 5, 10));
  EXPECT_FALSE(store.get_tail("missing", 10));
  EXPECT_FALSE(store.head("missing"));
  EXPECT_FALSE(store.get("missing/below/that"));
}

void ranges(Store& store) {
  store.put("digits", as_bytes("0123456789"));
  EXPECT_EQ(text_of(store.get_range("digits", 0, 4)), "0123");
  EXPECT_EQ(text_of(store.get_range("digits", 3, 4)), "3456");
  EXPECT_EQ(text_of(store.get_range("digits", 8, 100)), "89");
  EXPECT_EQ(text_of(store.get_range("digits", 10, 1)), "");
  EXPECT_EQ(text_of(store.get_range("digits", 50, 5)), "");
  EXPECT_EQ(text_of(store.get_range("digits", 2, 0)), "");
}

void tails(Store& store) {
  store.put("digits", as_bytes("0123456789"));
  const auto part = store.get_tail("digits", 3);
  ASSERT_TRUE(part);
  EXPECT_EQ(as_text(part->content), "789");
  EXPECT_EQ(part->object_size, 10U);
  const auto all = store.get_tail("digits", 4096);
  ASSERT_TRUE(all);
  EXPECT_EQ(as_text(all->content), "0123456789");
  EXPECT_EQ(all->object_size, 10U);
}

void head_tells_the_size(Store& store) {
  store.put("dir/object", as_bytes("12345"));
  const auto info = store.head("dir/object");
  ASSERT_TRUE(info);
  EXPECT_EQ(info->key, "dir/object");
  EXPECT_EQ(info->size, 5U);
  EXPECT_FALSE(store.head("dir"));
}

void lists_in_byte_order(Store& store) {
  const std::vector<std::string> sorted = {"a+1", "a-1", "a-dir/x", "a.b", "a/1", "a/2/3", "a0", "aB", "ab"};
  for (auto at = sorted.rbegin(); at != sorted.rend(); ++at) store.put(*at, as_bytes(*at));
  EXPECT_EQ(keys_of(store, ""), sorted);
}

void lists_below_a_prefix(Store& store) {
  for (const auto* key : {"wal/1", "wal/2", "wal/2x/y", "walrus", "packs/1", "zoo"}) store.put(key, as_bytes("x"));
  EXPECT_EQ(keys_of(store, "wal/"), (std::vector<std::string>{"wal/1", "wal/2", "wal/2x/y"}));
  EXPECT_EQ(keys_of(store, "wal"), (std::vector<std::string>{"wal/1", "wal/2", "wal/2x/y", "walrus"}));
  EXPECT_EQ(keys_of(store, "wal/2"), (std::vector<std::string>{"wal/2", "wal/2x/y"}));
  EXPECT_TRUE(keys_of(store, "nothing/").empty());
}

void lists_after_a_key(Store& store) {
  for (const auto* key : {"d/1", "d/2", "d/2x/y", "d/3", "e/1"}) store.put(key, as_bytes("x"));
  EXPECT_EQ(keys_of(store, "d/", "d/2"), (std::vector<std::string>{"d/2x/y", "d/3"}));
  EXPECT_EQ(keys_of(store, "d/", "d/2w"), (std::vector<std::string>{"d/2x/y", "d/3"}));
  EXPECT_EQ(keys_of(store, "d/", "d/3").size(), 0U);
  EXPECT_EQ(keys_of(store, "d/", "a").size(), 4U);
  EXPECT_EQ(keys_of(store, "", "d/3"), (std::vector<std::string>{"e/1"}));
}

void list_tells_sizes(Store& store) {
  store.put("l/one", as_bytes("1"));
  store.put("l/three", as_bytes("333"));
  std::vector<std::uint64_t> sizes;
  store.list("l/", "", [&](const ObjectInfo& info) {
    sizes.push_back(info.size);
    return true;
  });
  EXPECT_EQ(sizes, (std::vector<std::uint64_t>{1, 3}));
}

void list_stops_when_told(Store& store) {
  for (int i = 0; i < 5; ++i) store.put(fmt::format("s/{}", i), as_bytes("x"));
  int seen = 0;
  store.list("s/", "", [&](const ObjectInfo&) { return ++seen < 2; });
  EXPECT_EQ(seen, 2);
}

// More than one page of any S3 store.
void lists_and_removes_many(Store& store) {
  constexpr int kCount = 1100;
  std::atomic<int> next = 0;
  {
    std::vector<std::jthread> writers;
    for (int i = 0; i < 8; ++i) {
      writers.emplace_back([&] {
        for (int at = next++; at < kCount; at = next++) store.put(fmt::format("many/{:05}", at), as_bytes("x"));
      });
    }
  }
  auto keys = keys_of(store, "many/");
  ASSERT_EQ(keys.size(), static_cast<std::size_t>(kCount));
  EXPECT_TRUE(std::ranges::is_sorted(keys));
  EXPECT_EQ(keys_of(store, "many/", "many/00499").size(), static_cast<std::size_t>(kCount - 500));
  store.remove(keys);
  EXPECT_TRUE(keys_of(store, "many/").empty());
}

void remove_forgives_missing(Store& store) {
  store.put("r/1", as_bytes("x"));
  store.put("r/2", as_bytes("x"));
  const std::vector<std::string> keys = {"r/1", "r/none", "none/at/all"};
  store.remove(keys);
  store.remove({});
  EXPECT_EQ(keys_of(store, "r/"), (std::vector<std::string>{"r/2"}));
  EXPECT_FALSE(store.get("r/1"));
}

void put_if_absent_creates_once(Store& store) {
  if (!store.features().conditional_put) {
    EXPECT_THROW(store.put_if_absent("c/1", as_bytes("x")), core::Error);
    EXPECT_FALSE(store.get("c/1"));
    return;
  }
  EXPECT_TRUE(store.put_if_absent("c/1", as_bytes("first")));
  EXPECT_FALSE(store.put_if_absent("c/1", as_bytes("second")));
  EXPECT_EQ(text_of(store.get("c/1")), "first");
  const std::vector<std::string> keys = {"c/1"};
  store.remove(keys);
  EXPECT_TRUE(store.put_if_absent("c/1", as_bytes("third")));
}

void put_if_absent_has_one_winner(Store& store) {
  if (!store.features().conditional_put) return;
  for (int round = 0; round < 5; ++round) {
    const std::string key = fmt::format("race/{}", round);
    std::atomic<int> winners = 0;
    std::atomic<int> winner = -1;
    {
      std::vector<std::jthread> racers;
      for (int i = 0; i < 8; ++i) {
        racers.emplace_back([&, i] {
          if (store.put_if_absent(key, as_bytes(fmt::format("{}", i)))) {
            ++winners;
            winner = i;
          }
        });
      }
    }
    EXPECT_EQ(winners, 1);
    EXPECT_EQ(text_of(store.get(key)), fmt::format("{}", winner.load()));
  }
}

void upload_in_pieces(Store& store) {
  const Bytes content = pattern(100'000);
  auto upload = store.begin_upload("up/small");
  for (std::size_t at = 0; at < content.size(); at += 7'000) {
    upload->append(core::ByteSpan(content).subspan(at, std::min<std::size_t>(7'000, content.size() - at)));
  }
  EXPECT_FALSE(store.get("up/small")) << "visible before finish";
  upload->finish();
  EXPECT_EQ(store.get("up/small"), content);
}

// Larger than two parts of the smallest size that S3 allows, and not a multiple of it.
void upload_of_several_parts(Store& store) {
  const Bytes content = pattern(11 * 1024 * 1024 + 123);
  auto upload = store.begin_upload("up/large");
  upload->append(core::ByteSpan(content).first(6'000'000));
  upload->append(core::ByteSpan(content).subspan(6'000'000));
  EXPECT_FALSE(store.head("up/large"));
  upload->finish();
  EXPECT_EQ(store.get("up/large"), content);
  EXPECT_EQ(keys_of(store, "up/"), (std::vector<std::string>{"up/large"}));
}

void put_of_several_parts(Store& store) {
  const Bytes content = pattern(17 * 1024 * 1024 + 1);
  store.put("put/large", content);
  EXPECT_EQ(store.get("put/large"), content);
}

void empty_upload(Store& store) {
  store.begin_upload("up/empty")->finish();
  EXPECT_EQ(text_of(store.get("up/empty")), "");
}

void upload_replaces(Store& store) {
  store.put("up/again", as_bytes("old"));
  auto upload = store.begin_upload("up/again");
  upload->append(as_bytes("new"));
  EXPECT_EQ(text_of(store.get("up/again")), "old");
  upload->finish();
  EXPECT_EQ(text_of(store.get("up/again")), "new");
}

void abandoned_upload_leaves_nothing(Store& store) {
  {
    auto upload = store.begin_upload("up/gone");
    upload->append(pattern(6 * 1024 * 1024));
  }
  EXPECT_FALSE(store.head("up/gone"));
  EXPECT_TRUE(keys_of(store, "").empty());
}

void readers_never_see_a_mixture(Store& store) {
  const std::size_t size = 200'000;
  const Bytes first(size, std::byte{'a'});
  const Bytes second(size, std::byte{'b'});
  store.put("swap", first);
  std::atomic<bool> done = false;
  std::jthread writer([&] {
    for (int i = 0; i < 20; ++i) store.put("swap", i % 2 == 0 ? second : first);
    done = true;
  });
  do {
    const auto seen = store.get("swap");
    ASSERT_TRUE(seen);
    ASSERT_TRUE(*seen == first || *seen == second);
  } while (!done);
}

void refuses_bad_keys(Store& store) {
  for (const std::string key :
       {"", "/a", "a/", "a//b", "..", "a/../b", "./a", "a/.", "a b", "a\\b", "ä", "a\nb", "a%2Fb"}) {
    EXPECT_THROW(store.put(key, as_bytes("x")), core::Error) << key;
    EXPECT_THROW(store.get(key), core::Error) << key;
    EXPECT_THROW(store.begin_upload(key), core::Error) << key;
    const std::vector<std::string> keys = {key};
    EXPECT_THROW(store.remove(keys), core::Error) << key;
  }
  EXPECT_THROW(store.put(std::string(901, 'k'), as_bytes("x")), core::Error);
  EXPECT_TRUE(keys_of(store, "").empty());
}

void keeps_every_allowed_character(Store& store) {
  const std::string key = "AZaz09._=+@~-/a+b=c@d~e/.hidden/" + std::string(200, 'n');
  store.put(key, as_bytes("x"));
  EXPECT_EQ(text_of(store.get(key)), "x");
  EXPECT_EQ(keys_of(store, "AZaz09._=+@~-/a+b"), (std::vector<std::string>{key}));
  const std::vector<std::string> keys = {key};
  store.remove(keys);
  EXPECT_FALSE(store.head(key));
}

struct Case {
  const char* name;
  void (*run)(Store&);
};
constexpr std::array kCases = {
    Case{"PutThenGet", put_then_get},
    Case{"PutReplaces", put_replaces},
    Case{"EmptyObject", empty_object},
    Case{"BinaryContent", binary_content},
    Case{"MissingIsNothing", missing_is_nothing},
    Case{"Ranges", ranges},
    Case{"Tails", tails},
    Case{"HeadTellsTheSize", head_tells_the_size},
    Case{"ListsInByteOrder", lists_in_byte_order},
    Case{"ListsBelowAPrefix", lists_below_a_prefix},
    Case{"ListsAfterAKey", lists_after_a_key},
    Case{"ListTellsSizes", list_tells_sizes},
    Case{"ListStopsWhenTold", list_stops_when_told},
    Case{"ListsAndRemovesMany", lists_and_removes_many},
    Case{"RemoveForgivesMissing", remove_forgives_missing},
    Case{"PutIfAbsentCreatesOnce", put_if_absent_creates_once},
    Case{"PutIfAbsentHasOneWinner", put_if_absent_has_one_winner},
    Case{"UploadInPieces", upload_in_pieces},
    Case{"UploadOfSeveralParts", upload_of_several_parts},
    Case{"PutOfSeveralParts", put_of_several_parts},
    Case{"EmptyUpload", empty_upload},
    Case{"UploadReplaces", upload_replaces},
    Case{"AbandonedUploadLeavesNothing", abandoned_upload_leaves_nothing},
    Case{"ReadersNeverSeeAMixture", readers_never_see_a_mixture},
    Case{"RefusesBadKeys", refuses_bad_keys},
    Case{"KeepsEveryAllowedCharacter", keeps_every_allowed_character},
};

class ConformanceTest final : public ::testing::Test {
 public:
  ConformanceTest(StoreFixtureFactory factory, void (*run)(Store&)) : factory_(std::move(factory)), run_(run) {}
  void TestBody() override {
    const auto fixture = factory_();
    run_(fixture->store());
  }

 private:
  const StoreFixtureFactory factory_;
  void (*const run_)(Store&);
};

}  // namespace

bool register_store_conformance(const std::string& name, const StoreFixtureFactory& factory) {
  const std::string suite = "StoreConformance/" + name;
  for (const auto& test : kCases) {
    ::testing::RegisterTest(suite.c_str(), test.name, nullptr, nullptr, __FILE__, __LINE__,
                            [factory, run = test.run]() -> ::testing::Test* {
                              return new ConformanceTest(factory, run);  // NOLINT: GoogleTest owns it
                            });
  }
  return true;
}

}  // namespace backstay::blob::testing
