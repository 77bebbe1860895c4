// An environment whose files are in memory, for tests.
#pragma once

#include <gtest/gtest.h>

#include "backup/environment.h"
#include "core/random.h"
#include "core/time.h"
#include "os/process.h"
#include "os/testing/memory_file_system.h"

namespace backstay::backup::testing {

class MemoryFixture : public ::testing::Test {
 protected:
  core::SystemClock clock_;
  core::SystemRandom random_;
  os::testing::MemoryFileSystem files_;
  os::SystemProcessRunner processes_;
  Environment environment_{clock_, random_, files_, processes_};
};

}  // namespace backstay::backup::testing
