// What of a dump's text tells of the database, for tests that compare two.
#pragma once

#include <string>
#include <string_view>

namespace backstay::backup::testing {

/// Without what differs from run to run, and without that a password is valid for ever, which a recovery states.
std::string comparable_dump(std::string_view text);

}  // namespace backstay::backup::testing
