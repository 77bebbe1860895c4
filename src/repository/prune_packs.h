// Private to repository: the packs that nothing refers to.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "repository/prune_survey.h"

namespace backstay::repository::detail {

/// The content of "condemned/<id>": packs that nothing referred to, and the attempts at backups that were writing
/// *after* these packs had been seen.
struct PackList {
  core::Timestamp condemned = {};
  std::set<ObjectId> writers = {};
  std::vector<PackObject> packs = {};
};

/// Returns its key.
std::string put_pack_list(Repository& repository, const PackList& list);

/// Removes the condemned packs that are due and condemns the others that nothing refers to.
void prune_packs(PruneWorld& world);

}  // namespace backstay::repository::detail
