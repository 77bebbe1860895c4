// A provider as a document: the body with which it is published, and what the state keeps of it. The same keys as
// Codesphere's provider.yml.
#pragma once

#include <string_view>

#include "core/json.h"
#include "model/provider.h"

namespace backstay::model {

/// The kind of every published provider: its backend speaks the adapter contract.
inline constexpr std::string_view kRestKind = "rest";

/// Reads and judges a document whole: types, name and version, schemas (docs/json-schema.md), at least one plan with
/// whole-numbered parameters and known prices, capabilities, versions, and a backend {"api": {"endpoint", "secret"?}}.
/// Unknown keys of the document itself are ignored. Throws Error(invalid_argument) with a field for everything that is
/// wrong, and Error(not_supported) for a landscape or a git repository, which need a platform that builds and runs
/// them. The scope is not part of it.
ProviderDefinition provider_from_document(const core::json::object& document);

/// {"type": "global"} or {"type": "team", "teamIds": [1, 2]}. Throws Error(invalid_argument) with fields below /scope.
ProviderScope scope_from_json(const core::json::object& scope);

/// True for "1.2.3", "1.2.3-rc.1" and "1.2.3+5".
bool is_semantic_version(std::string_view text);

}  // namespace backstay::model
