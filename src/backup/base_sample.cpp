#include "backup/base_sample.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include <fmt/format.h>

#include "backup/page_verifier.h"
#include "backup/parallel.h"
#include "core/error.h"
#include "core/mutex.h"
#include "os/file.h"
#include "postgres/page_checksum.h"
#include "repository/pack_reader.h"

namespace backstay::backup {
namespace {

constexpr std::uint64_t kPagesAtAPlace = 4;
/// They wait for the store, not for the processor.
constexpr unsigned kThreads = 4;

std::string name_of(const SampledPages& pages, std::uint64_t offset) {
  const std::uint64_t block = pages.file.first_block.value_or(0) + (pages.offset + offset) / postgres::kPageSize;
  return fmt::format("block {} of '{}'", block, pages.file.path);
}

class Comparison {
 public:
  Comparison(const Environment& environment, const SampleRequest& request, const std::vector<SampledPages>& sample)
      : environment_(environment),
        request_(request),
        sample_(sample),
        packs_(request.repository, {.access = repository::PackAccess::kRanges}) {}

  std::string run(std::stop_token stop) {
    run_parallel(kThreads, std::move(stop), [this](std::stop_token token) { work(token); }, [] {});
    const core::LockGuard lock(mutex_);
    return mismatch_;
  }

 private:
  void work(const std::stop_token& stop) {
    repository::PackReader reader(packs_);
    for (std::size_t i = next_++; i < sample_.size() && !stop.stop_requested(); i = next_++) {
      auto found = compare(reader, sample_[i], stop);
      if (found.empty()) continue;
      const core::LockGuard lock(mutex_);
      if (mismatch_.empty()) mismatch_ = std::move(found);
    }
  }

  std::string compare(repository::PackReader& reader, const SampledPages& pages, const std::stop_token& stop) {
    core::Bytes now(pages.size);
    const auto damaged = read(pages, now, stop);
    core::Bytes then(pages.size);
    reader.read_file(pages.extents, pages.offset, then);
    for (std::size_t at = 0; at < now.size(); at += postgres::kPageSize) {
      const core::ByteSpan page = core::ByteSpan(now).subspan(at, postgres::kPageSize);
      const auto lsn = postgres::page_lsn(page);
      if (lsn > request_.start) continue;
      const auto block =
          static_cast<std::uint32_t>((pages.offset + at) / postgres::kPageSize) + pages.file.first_block.value_or(0);
      if (std::ranges::find(damaged, block) != damaged.end()) {
        return fmt::format("{} fails its checksum on the disk", name_of(pages, at));
      }
      if (lsn > request_.base_start) {
        return fmt::format("{} was changed at {}, which the WAL does not say", name_of(pages, at),
                           postgres::format_lsn(lsn));
      }
      const core::ByteSpan other = core::ByteSpan(then).subspan(at, postgres::kPageSize);
      if (lsn != postgres::page_lsn(other)) {
        return fmt::format("{} is another one than the earlier backup holds", name_of(pages, at));
      }
      if (request_.checksums && postgres::check_page(other, block) == postgres::PageState::kInvalid) {
        throw core::Error(core::Code::kCorruptData,
                          fmt::format("{} fails its checksum in the earlier backup", name_of(pages, at)));
      }
    }
    return {};
  }

  /// Fills `now` with the pages as they are; it is shorter if they went meanwhile. The blocks that are damaged.
  std::vector<std::uint32_t> read(const SampledPages& pages, core::Bytes& now, const std::stop_token& stop) {
    try {
      const os::Descriptor file = pages.file.open();
      const std::size_t got = os::read_at(file.get(), pages.offset, now);
      now.resize(got / postgres::kPageSize * postgres::kPageSize);
      if (!request_.checksums) return {};
      PageVerifier verifier(environment_.clock, request_.start);
      return verifier.verify(file.get(), now, pages.offset, pages.file.first_block.value_or(0), stop);
    } catch (const core::Error& e) {
      if (e.code() != core::Code::kNotFound) throw;
      now.clear();
      return {};
    }
  }

  const Environment& environment_;
  const SampleRequest& request_;
  const std::vector<SampledPages>& sample_;
  repository::PackCache packs_;
  std::atomic<std::size_t> next_{0};
  core::Mutex mutex_;
  std::string mismatch_ GUARDED_BY(mutex_);
};

}  // namespace

SampleDraw::SampleDraw(core::Random& random) : random_(random) {}

std::uint64_t SampleDraw::draw_next(std::uint64_t seen) {
  constexpr double kSteps = 9007199254740992.0;  // 2^53
  const double u = (static_cast<double>(random_.u64() >> 11) + 1) / kSteps;
  const double next = std::floor(static_cast<double>(seen) / u);
  return next < 1e18 ? std::max(seen, static_cast<std::uint64_t>(next)) : UINT64_MAX;
}

void SampleDraw::offer(const postgres::ClusterEntry& file, const std::vector<ByteRange>& kept,
                       const repository::FileEntry& base) {
  for (const ByteRange& range : kept) {
    const std::uint64_t count = range.size() / postgres::kPageSize;
    for (Place& place : places_) {
      while (place.next < pages_ + count) {
        const std::uint64_t page = place.next - pages_;
        const ByteRange drawn{range.from + page * postgres::kPageSize,
                              range.from + std::min(page + kPagesAtAPlace, count) * postgres::kPageSize};
        place.pages = {.file = file, .offset = drawn.from, .size = drawn.size(), .extents = clip(base.extents, drawn)};
        place.next = draw_next(place.next + 1);
      }
    }
    pages_ += count;
  }
}

std::vector<SampledPages> SampleDraw::take() const {
  std::vector<SampledPages> sample;
  for (const Place& place : places_) {
    if (place.pages.size > 0) sample.push_back(place.pages);
  }
  return sample;
}

std::string find_mismatch(const Environment& environment, const SampleRequest& request,
                          const std::vector<SampledPages>& sample, std::stop_token stop) {
  return Comparison(environment, request, sample).run(std::move(stop));
}

}  // namespace backstay::backup
