// Whose store a destination is, and what follows from that: its endpoint and its region.
//
//  s3         the endpoint is Amazon's unless one is named
//  r2         https://<account>.r2.cloudflarestorage.com, or https://<account>.<jurisdiction>.r2.cloudflarestorage.com;
//             the region is "auto"
//  backblaze  https://s3.<region>.backblazeb2.com
//  minio      an endpoint is named, and the bucket stands in the path
//  custom     the same
//
// An endpoint that is named holds for every provider.
#pragma once

#include <string_view>

#include "model/destination.h"

namespace backstay::model {

/// Fills in what follows from the provider and was not named; nothing for a destination that names none. Throws
/// Error(invalid_argument) with a field ("/provider", "/accountId", "/jurisdiction", "/region", "/endpointUrl",
/// "/destinationPath") below `pointer` for each fault.
void complete_destination(Destination& destination, std::string_view pointer);

/// The same destination with only what was named: without the endpoint and the region that its provider gave it.
Destination without_derived(Destination destination);

}  // namespace backstay::model
