// The one exception type of Backstay.
//
// An Error is a code of the catalogue (data/errors.toml), a message that names the object and quotes the value, and the
// context added while it rose. Messages are lower case without a full stop; advice is in the hint. It is caught only
// where a unit of work ends: an operation's step, a handler, one turn of a companion or of the scheduler, main.
#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <vector>

namespace backstay::core {

enum class Code {
#define BACKSTAY_ERROR(id, name, status, retryable, hint) id,
#include "core/error_codes.inc"
#undef BACKSTAY_ERROR
};

/// The code's name as in the catalogue, e.g. "not_found".
std::string_view code_name(Code code);
/// The code of a name, or kInternal for a name that the catalogue does not know.
Code code_from_name(std::string_view name);
/// The HTTP status that the catalogue gives the code.
int code_http_status(Code code);
/// True if the same call may succeed later without any change.
bool code_retryable(Code code);
/// The catalogue's advice.
std::string_view code_hint(Code code);

/// One refused field of a request: a JSON Pointer into the body and what is wrong there.
struct FieldError {
  std::string pointer;
  std::string message;
};

class Error : public std::exception {
 public:
  Error(Code code, std::string message);

  /// Replaces the catalogue's advice by a more specific one.
  Error& with_hint(std::string hint) &;
  Error&& with_hint(std::string hint) &&;
  /// Adds a refused field.
  Error& with_field(std::string pointer, std::string message) &;
  Error&& with_field(std::string pointer, std::string message) &&;
  /// Says what was being done when the error rose; the outermost context comes first in what().
  Error& add_context(std::string context) &;
  Error&& add_context(std::string context) &&;

  [[nodiscard]] Code code() const { return code_; }
  [[nodiscard]] bool retryable() const { return code_retryable(code_); }
  [[nodiscard]] const std::string& hint() const { return hint_; }
  [[nodiscard]] const std::vector<FieldError>& fields() const { return fields_; }
  /// The whole message, outermost context first, parts joined by ": ".
  [[nodiscard]] const char* what() const noexcept override { return message_.c_str(); }
  [[nodiscard]] const std::string& message() const { return message_; }

 private:
  Code code_;
  std::string message_;
  std::string hint_;
  std::vector<FieldError> fields_;
};

/// An Error for a failed system call: disk_full for ENOSPC and EDQUOT, else `code`; the message ends in
/// strerror(errno_value).
Error system_error(std::string what, int errno_value, Code code = Code::kIoError);

/// The exception as an Error: itself if it is one, else `internal` with its what().
Error as_error(const std::exception_ptr& exception);

}  // namespace backstay::core
