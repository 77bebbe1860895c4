#include <malloc.h>

#include "app/program.h"

namespace {

/// Packs, and windows of packs, come and go on many threads. What a thread's own heap keeps of them, no other can use:
/// they go back to the system instead, also after the first has gone.
constexpr int kLargeBlock = 1 << 20;

}  // namespace

int main(int argc, char** argv) {
  ::mallopt(M_MMAP_THRESHOLD, kLargeBlock);
  return backstay::app::run_program(argc, argv);
}
