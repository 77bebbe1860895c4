// What most tests of the repository need: a store in memory, a repository in it, and random content from a printed
// seed.
#pragma once

#include <memory>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "blob/testing/faulty_store.h"
#include "blob/testing/memory_store.h"
#include "core/error.h"
#include "core/random.h"
#include "core/testing/manual_clock.h"
#include "core/testing/seed.h"
#include "repository/repository.h"

namespace backstay::repository::testing {

inline const std::string kInstance = "11111111-1111-4111-8111-111111111111";
inline const std::string kBackup = "22222222-2222-4222-8222-222222222222";

class RepositoryFixture : public ::testing::Test {
 protected:
  RepositoryFixture() : engine_(core::testing::seed()) {
    memory_ = std::make_shared<blob::testing::MemoryStore>();
    store_ = std::make_shared<blob::testing::FaultyStore>(*memory_);
    repository_ = Repository::create(store_, key_, random_, clock_);
  }

  std::size_t below(std::size_t bound) { return std::uniform_int_distribution<std::size_t>(0, bound - 1)(engine_); }
  /// Half of it random, half of it not: compresses to about a half.
  core::Bytes content(std::size_t size) {
    core::Bytes bytes(size);
    for (std::size_t i = 0; i < size; ++i) bytes[i] = i % 128 < 64 ? std::byte{'x'} : static_cast<std::byte>(engine_());
    return bytes;
  }
  static core::Code code_of(const std::function<void()>& work) {
    try {
      work();
    } catch (const core::Error& error) {
      return error.code();
    }
    ADD_FAILURE() << "no error";
    return core::Code::kInternal;
  }

  std::mt19937_64 engine_;
  core::SystemRandom random_;
  core::testing::ManualClock clock_;
  TeamKey key_{KeyBytes::generate(random_)};
  std::shared_ptr<blob::testing::MemoryStore> memory_;
  std::shared_ptr<blob::testing::FaultyStore> store_;  // over memory_
  std::unique_ptr<Repository> repository_;
};

}  // namespace backstay::repository::testing
