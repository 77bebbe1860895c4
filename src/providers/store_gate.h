// The gate from control to the blob drivers and to the repository's keys.
#pragma once

#include <memory>

#include "blob/destination.h"
#include "control/stores.h"
#include "providers/store_turns.h"

namespace backstay::providers {

class BlobStoreGate final : public control::StoreGate {
 public:
  /// Everything in `context`, and `turns`, must outlive this.
  BlobStoreGate(blob::StorePolicy policy, blob::StoreContext context, StoreTurns& turns)
      : policy_(std::move(policy)), context_(std::move(context)), turns_(turns) {}
  void check(const model::Destination& destination) override;
  std::vector<control::ProbeCheck> probe(const model::Destination& destination) override;
  bool holds_repository(const model::Destination& destination, const std::string& repository_id) override;
  /// As it is, for what is no backup; read only.
  [[nodiscard]] std::unique_ptr<blob::Store> open(const model::Destination& destination);
  [[nodiscard]] std::string recovery_kit(const model::Team& team,
                                         const std::vector<model::Destination>& destinations) const override;
  core::Secret make_recovery_key() override;

 private:
  blob::StorePolicy policy_;
  blob::StoreContext context_;
  StoreTurns& turns_;
};

/// A destination as the drivers want it.
blob::DestinationConfig to_blob(const model::Destination& destination);

}  // namespace backstay::providers
