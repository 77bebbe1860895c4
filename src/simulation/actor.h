// One process with all that it has of its own: a clock, a connection to the store, and the repository opened through
// it.
#pragma once

#include <memory>

#include "backup/environment.h"
#include "core/testing/seeded_random.h"
#include "os/process.h"
#include "os/testing/memory_file_system.h"
#include "repository/repository.h"
#include "simulation/simulated_s3.h"

namespace backstay::simulation {

using core::testing::SeededRandom;

/// What all processes share.
struct Outside {
  explicit Outside(std::uint64_t seed) : dice(seed), turns(dice, time) {
    SeededRandom random(seed);
    key = repository::TeamKey(repository::KeyBytes::generate(random));
  }
  Dice dice;
  Time time = {};
  Turns turns;
  StoreState store = {};
  repository::TeamKey key;
};

class Actor {
 public:
  Actor(Outside& outside, const std::string& name)
      : process{.name = name},
        clock(outside.time, process),
        random(outside.dice.number()),
        retry_random_(outside.dice.number()),
        outside_(outside),
        store_(open_simulated_store(outside.store, outside.turns, outside.dice, outside.time, process, clock,
                                    retry_random_)) {}
  Actor(const Actor&) = delete;
  Actor& operator=(const Actor&) = delete;

  repository::Repository& repository() {
    if (!repository_) repository_ = repository::Repository::create_or_open(store_, outside_.key, random, clock);
    return *repository_;
  }
  [[nodiscard]] blob::Store& store() { return *store_; }
  [[nodiscard]] backup::Environment environment() { return {clock, random, files_, processes_}; }

  Process process;
  ProcessClock clock;
  SeededRandom random;

 private:
  SeededRandom retry_random_;
  Outside& outside_;
  std::shared_ptr<blob::Store> store_;
  std::unique_ptr<repository::Repository> repository_;
  os::testing::MemoryFileSystem files_;
  os::SystemProcessRunner processes_;  // none of what runs here starts one
};

}  // namespace backstay::simulation
