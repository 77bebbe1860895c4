#include "cli/exit_code.h"

namespace backstay::cli {

ExitCode exit_code_of(const core::Error& error) {
  switch (error.code()) {
    case core::Code::kConfigError: return ExitCode::kUsage;
    case core::Code::kNotFound: return ExitCode::kNotFound;
    case core::Code::kUnavailable: return ExitCode::kUnreachable;
    default: break;
  }
  const int status = core::code_http_status(error.code());
  const bool refused = (status >= 400 && status < 500) || error.code() == core::Code::kNotSupported;
  return refused ? ExitCode::kRefused : ExitCode::kFailed;
}

}  // namespace backstay::cli
