// Cron expressions, and the next runs of those that are right.
#include "model/cron.h"

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace backstay;  // NOLINT(google-build-using-namespace)
  static const auto zone = model::TimeZone::find("Europe/Berlin");
  fuzz::Input input(data, size);
  const auto after = core::parse_time("2026-01-01T00:00:00Z") + std::chrono::minutes(std::uint64_t{input.u16()} * 61);
  const auto expression = input.text();
  fuzz::parses({core::Code::kInvalidArgument}, [&] {
    const auto cron = model::Cron::parse(expression);
    const auto first = cron.next(after, zone);
    fuzz::require(first > after, "the next run is later");
    fuzz::require(cron.next(first - std::chrono::microseconds(1), zone) == first, "nothing runs between");
    fuzz::require(cron.next(first, zone) > first, "each run has a later one");
  });
  return 0;
}
