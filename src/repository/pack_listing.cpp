#include "repository/pack_listing.h"

#include <algorithm>
#include <utility>

#include "repository/object_keys.h"

namespace backstay::repository {
namespace {

std::vector<ObjectId> list_packs(Repository& repository) {
  std::vector<ObjectId> packs;
  repository.store().list("packs/", "", [&](const blob::ObjectInfo& object) {
    if (const auto key = detail::parse_object_key(object.key)) packs.push_back(key->pack);
    return true;
  });
  std::ranges::sort(packs);
  return packs;
}

}  // namespace

std::shared_ptr<const std::vector<ObjectId>> PackListing::get(Repository& repository, core::SteadyTime not_before) {
  constexpr auto kPoll = std::chrono::milliseconds(100);
  core::SteadyTime begun;
  {
    const core::LockGuard lock(mutex_);
    while (listing_) listed_.wait_for(mutex_, kPoll);
    begun = clock_.steady_now();
    if (packs_ && begun_ >= not_before && begun - begun_ < keep_) return packs_;
    listing_ = true;
  }
  std::shared_ptr<const std::vector<ObjectId>> packs;
  try {
    packs = std::make_shared<const std::vector<ObjectId>>(list_packs(repository));
  } catch (...) {
    const core::LockGuard lock(mutex_);
    listing_ = false;
    listed_.notify_all();
    throw;
  }
  const core::LockGuard lock(mutex_);
  listing_ = false;
  listed_.notify_all();
  packs_ = packs;
  begun_ = begun;
  return packs;
}

}  // namespace backstay::repository
