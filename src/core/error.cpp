#include "core/error.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace backstay::core {
namespace {

struct CatalogueRow {
  std::string_view name;
  int status;
  bool retryable;
  std::string_view hint;
};

constexpr auto kCatalogue = std::to_array<CatalogueRow>({
#define BACKSTAY_ERROR(id, name, status, retryable, hint) {name, status, retryable, hint},
#include "core/error_codes.inc"
#undef BACKSTAY_ERROR
});

const CatalogueRow& row(Code code) { return kCatalogue.at(static_cast<std::size_t>(code)); }

}  // namespace

std::string_view code_name(Code code) { return row(code).name; }
int code_http_status(Code code) { return row(code).status; }
bool code_retryable(Code code) { return row(code).retryable; }
std::string_view code_hint(Code code) { return row(code).hint; }

Code code_from_name(std::string_view name) {
  for (std::size_t i = 0; i < kCatalogue.size(); ++i) {
    if (kCatalogue.at(i).name == name) return static_cast<Code>(i);
  }
  return Code::kInternal;
}

Error::Error(Code code, std::string message) : code_(code), message_(std::move(message)), hint_(code_hint(code)) {}

Error& Error::with_hint(std::string hint) & {
  hint_ = std::move(hint);
  return *this;
}
Error&& Error::with_hint(std::string hint) && { return std::move(with_hint(std::move(hint))); }

Error& Error::with_field(std::string pointer, std::string message) & {
  fields_.push_back({std::move(pointer), std::move(message)});
  return *this;
}
Error&& Error::with_field(std::string pointer, std::string message) && {
  return std::move(with_field(std::move(pointer), std::move(message)));
}

Error& Error::add_context(std::string context) & {
  message_ = std::move(context) + ": " + message_;
  return *this;
}
Error&& Error::add_context(std::string context) && { return std::move(add_context(std::move(context))); }

Error system_error(std::string what, int errno_value, Code code) {
  if (errno_value == ENOSPC || errno_value == EDQUOT) code = Code::kDiskFull;
  std::array<char, 256> buffer{};
  return {code, std::move(what) + ": " + strerror_r(errno_value, buffer.data(), buffer.size())};
}

Error as_error(const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const Error& e) {
    return e;
  } catch (const std::exception& e) {
    return {Code::kInternal, e.what()};
  } catch (...) {
    return {Code::kInternal, "an exception of an unknown type"};
  }
}

}  // namespace backstay::core
