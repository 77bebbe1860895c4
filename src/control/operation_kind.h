// What an operation does: a list of named steps, each safe to run again.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "control/provider.h"
#include "core/error.h"
#include "metadata/database.h"
#include "model/operation.h"

namespace backstay::control {

/// What a step works through.
class StepContext : public WorkContext {
 public:
  [[nodiscard]] virtual const model::Operation& operation() const = 0;
  /// What the operation will have brought when it ends well; kept only if it ends well in this run.
  virtual core::json::object& result() = 0;
};

struct Step {
  std::string name;
  std::function<void(StepContext&)> run;
};

struct OperationKind {
  std::vector<Step> steps;
  /// Retryable errors after which it fails.
  std::int64_t max_failures = 8;
  /// Called before the operation is ended without success: takes back what can be, may throw (that is logged).
  std::function<void(StepContext&)> undo;
  /// Called in the transaction that ends it without success.
  std::function<void(metadata::Transaction&, const model::Operation&, const core::Error&)> on_failed;
  std::function<void(metadata::Transaction&, const model::Operation&)> on_cancelled;
  /// Called in the transaction that puts it back because a step threw Error(not_yet). That is no failure: the step runs
  /// again a little later, for as long as it takes.
  std::function<void(metadata::Transaction&, const model::Operation&, const core::Error&)> on_waiting;
};

/// By the operation's kind.
using OperationKinds = std::map<std::string, OperationKind, std::less<>>;

/// True if an operation of this kind may be cancelled once it runs.
bool is_cancellable(std::string_view kind);

}  // namespace backstay::control
