// A dialect: how the clients of one platform speak, apart from the calls themselves.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/time.h"
#include "http/types.h"

namespace backstay::api {

/// What the header fields of an answer may tell.
struct AnswerFacts {
  /// Of the program.
  std::string version;
  core::Timestamp now{};
};

/// One constant for each dialect; dialects.cpp lists them.
struct Dialect {
  /// True for a path of this platform.
  bool (*owns)(std::string_view path);
  /// The caller's token, where the platform's clients may put it elsewhere than in "Authorization: Bearer"; nothing if
  /// the request has none there. Null: they do not.
  std::optional<std::string> (*credential)(const http::Request& request);
  /// A refusal in the platform's form and with its statuses.
  http::Response (*refusal)(const http::Request& request, const core::Error& error);
  /// Adds the header fields that every answer has. Null: none.
  void (*dress)(const AnswerFacts& facts, http::Response& response);
};

}  // namespace backstay::api
