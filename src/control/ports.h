// The TCP ports of instances.
#pragma once

#include <cstdint>
#include <string>

#include "control/provider.h"
#include "core/random.h"
#include "metadata/database.h"
#include "model/instance.h"

namespace backstay::control {

struct PortRange {
  std::uint16_t first = 20000;
  std::uint16_t last = 29999;
};

/// What the functions below need; all outlive the call.
struct PortDependencies {
  const PortRange& range;
  const Provider& provider;
  core::Random& random;
};

/// Gives the instance a port that it keeps. The search begins at a random place: other programs of this machine, a
/// second Backstay among them, look for ports too, and know nothing of ours.
std::uint16_t allocate_port(metadata::Transaction& tx, const PortDependencies& deps, const model::Instance& instance);
/// Gives the stored instance another one, in place of a port that somebody else took meanwhile.
void move_port(metadata::Transaction& tx, const PortDependencies& deps, const std::string& instance_id);

}  // namespace backstay::control
