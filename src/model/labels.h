// Labels: short texts by name that an owner, or a dialect on the owner's behalf, keeps with an object. Nothing in here
// gives them a meaning; finding an object by them is up to whoever set them.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/json.h"

namespace backstay::model {

using Labels = std::map<std::string, std::string>;
/// A nothing takes the label away; what is not named stays.
using LabelChanges = std::map<std::string, std::optional<std::string>>;

/// At most 32 labels; a name has 1 to 63 letters, digits, '.', '_', '-' and '/', a value at most 1024 bytes. Throws
/// Error(invalid_argument) with a field below `pointer` for each that is not so.
void check_labels(const Labels& labels, std::string_view pointer = "/labels");

Labels changed(Labels labels, const LabelChanges& changes);
/// True if `labels` has every one of `wanted` with the same value.
bool has_labels(const Labels& labels, const Labels& wanted);

core::json::object to_json(const Labels& labels);
/// Of an object whose values are all texts, as to_json() makes it.
Labels labels_from_json(const core::json::object& object);

}  // namespace backstay::model
