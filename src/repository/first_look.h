// What a recovery asks a repository for, begun at once.
#pragma once

#include <memory>
#include <string>

#include "blob/early_reads.h"

namespace backstay::repository {

/// A store in which a recovery of `backup` (of the newest one if empty) finds what it asks for first, where that is
/// little: after one round of requests for the description and the names of all objects, everything else that leads to
/// the packs, in one more round. Where there is much, only the names of the first objects are on their way.
std::shared_ptr<blob::Store> begin_recovery_reads(std::shared_ptr<blob::Store> store, const std::string& backup);

}  // namespace backstay::repository
