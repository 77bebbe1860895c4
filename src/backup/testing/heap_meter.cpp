#include "backup/testing/heap_meter.h"

#include <atomic>
#include <cstdint>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define BACKSTAY_ASKED_ALLOCATOR 1
#endif
#endif

#if defined(BACKSTAY_ASKED_ALLOCATOR)
#include <sanitizer/allocator_interface.h>
#endif

namespace backstay::backup::testing {

#if defined(BACKSTAY_ASKED_ALLOCATOR)

namespace {

std::atomic<std::int64_t> held{0};
std::atomic<std::int64_t> most{0};

void add(std::int64_t size) {
  const std::int64_t now = held.fetch_add(size, std::memory_order_relaxed) + size;
  std::int64_t known = most.load(std::memory_order_relaxed);
  while (known < now && !most.compare_exchange_weak(known, now, std::memory_order_relaxed)) {
  }
}

void allocated(const volatile void*, std::size_t size) { add(static_cast<std::int64_t>(size)); }

void freed(const volatile void* memory) {
  if (memory != nullptr) add(-static_cast<std::int64_t>(__sanitizer_get_allocated_size(memory)));
}

}  // namespace

std::optional<std::size_t> most_held(const std::function<void()>& work) {
  static const bool hooked = __sanitizer_install_malloc_and_free_hooks(allocated, freed) != 0;
  if (!hooked) return std::nullopt;
  held = 0;
  most = 0;
  work();
  return static_cast<std::size_t>(most.load());
}

#else

std::optional<std::size_t> most_held(const std::function<void()>& work) {
  work();
  return std::nullopt;
}

#endif

}  // namespace backstay::backup::testing
