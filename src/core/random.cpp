#include "core/random.h"

#include <array>
#include <cerrno>

#include <sys/random.h>

#include "core/error.h"

namespace backstay::core {

std::uint64_t Random::u64() {
  std::array<std::byte, 8> bytes{};
  fill(bytes);
  return load_le<std::uint64_t>(bytes, 0);
}

std::uint64_t Random::below(std::uint64_t bound) {
  // Rejection keeps the distribution uniform.
  const std::uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
  for (;;) {
    if (const std::uint64_t value = u64(); value < limit) return value % bound;
  }
}

Bytes Random::bytes(std::size_t count) {
  Bytes out(count);
  fill(out);
  return out;
}

std::string Random::uuid() {
  std::array<std::byte, 16> b{};
  fill(b);
  b[6] = (b[6] & std::byte{0x0f}) | std::byte{0x40};
  b[8] = (b[8] & std::byte{0x3f}) | std::byte{0x80};
  std::string text = to_hex(b);
  for (const std::size_t at : {8U, 13U, 18U, 23U}) text.insert(at, 1, '-');
  return text;
}

std::string Random::token(std::size_t count) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  std::string text(count, ' ');
  for (char& c : text) c = kAlphabet[below(kAlphabet.size())];
  return text;
}

void SystemRandom::fill(MutableByteSpan bytes) {
  while (!bytes.empty()) {
    const ssize_t got = getrandom(bytes.data(), bytes.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) throw system_error("cannot read random bytes from the kernel", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(got));
  }
}

bool is_uuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text[i] != '-' : std::string_view("0123456789abcdefABCDEF").find(text[i]) == std::string_view::npos) {
      return false;
    }
  }
  return true;
}

}  // namespace backstay::core
