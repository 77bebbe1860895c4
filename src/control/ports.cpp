#include "control/ports.h"

#include "core/log.h"
#include "metadata/instances.h"

namespace backstay::control {
namespace {

constexpr auto kPort = "port";

}  // namespace

std::uint16_t allocate_port(metadata::Transaction& tx, const PortDependencies& deps, const model::Instance& instance) {
  const auto& [first, last] = deps.range;
  const int ports = last - first + 1;
  const auto offset = deps.random.below(static_cast<std::uint64_t>(ports));
  const metadata::NumberRange range{first, last, first + static_cast<std::int64_t>(offset)};
  return static_cast<std::uint16_t>(metadata::Allocations(tx).allocate(
      kPort, instance.node, instance.id, range,
      [&](std::int64_t port) { return deps.provider.port_usable(static_cast<std::uint16_t>(port)); }));
}

void move_port(metadata::Transaction& tx, const PortDependencies& deps, const std::string& instance_id) {
  auto instance = metadata::Instances(tx).require(instance_id);
  metadata::Allocations(tx).release(kPort, instance_id);
  const auto before = instance.port;
  instance.port = allocate_port(tx, deps, instance);
  metadata::Instances(tx).update(instance);
  core::log_info("port.moved",
                 fmt::format("port {} was taken by another program, the instance gets {}", before, instance.port),
                 {{"instance", instance_id}});
}

}  // namespace backstay::control
