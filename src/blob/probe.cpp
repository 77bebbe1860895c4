#include "blob/probe.h"

#include <algorithm>

#include <fmt/format.h>

#include "blob/driver.h"
#include "core/error.h"
#include "core/log.h"

namespace backstay::blob {
namespace {

using core::Code;
using core::Error;

constexpr std::uint64_t kPart = 5 * 1024 * 1024;  // the smallest that S3 allows
constexpr std::chrono::seconds kTolerableSkew{60};
constexpr std::size_t kListed = 3;
constexpr auto kDelete = "delete";
constexpr std::chrono::seconds kPatience{15};
constexpr std::chrono::seconds kSilence{5};

std::string advice(const Error& error) {
  return error.hint().empty() ? error.message() : fmt::format("{}; {}", error.message(), error.hint());
}

class Probe {
 public:
  Probe(Driver driver, const RetryPolicy& retry, const StoreContext& context)
      : diagnostics_(driver.diagnostics),
        store_(decorate(std::move(driver.store), retry, context)),
        clock_(context.clock),
        base_(".backstay-probe-" + context.random.uuid()),
        content_(context.random.bytes(4096)),
        deadline_(context.clock.steady_now() + kPatience) {}

  ProbeReport run() {
    if (essential("put", [&] { put(); })) {
      essential("get", [&] { get(); });
      essential("range", [&] { range(); });
      essential("multipart", [&] { multipart(); });
      essential("list", [&] { list(); });
      optional("conditional_put", [&] { return conditional_put(); });
      if (diagnostics_ != nullptr) diagnose();
    } else {
      for (const char* name : {"get", "range", "multipart", "list"}) {
        report_.checks.push_back({.name = name, .essential = true, .message = "not tried, because put failed"});
      }
    }
    // Also after a failed put: its answer may have been lost, its object not.
    essential(kDelete, [&] { remove(); });
    return std::move(report_);
  }

 private:
  std::string key(std::string_view name) const { return fmt::format("{}-{}", base_, name); }

  static void require(bool good, std::string message) {
    if (!good) throw Error(Code::kStoreRefused, std::move(message));
  }

  void require_time() const {
    if (clock_.steady_now() < deadline_) return;
    throw Error(Code::kTimeout, fmt::format("the store was too slow: more than {} seconds in all", kPatience.count()));
  }

  bool essential(const char* name, const std::function<void()>& check) {
    return record(name, true, [&] {
      check();
      return std::string("works");
    });
  }
  void optional(const char* name, const std::function<std::string()>& check) { record(name, false, check); }

  bool record(const char* name, bool is_essential, const std::function<std::string()>& check) {
    ProbeCheck result{.name = name, .essential = is_essential, .message = ""};
    try {
      // What was written is removed in any case.
      if (std::string_view(name) != kDelete) require_time();
      result.message = check();
      result.passed = true;
    } catch (const Error& error) {
      if (error.code() == Code::kCancelled) {
        clean_up();
        throw;
      }
      result.message = advice(error);
      if (is_essential && !report_.refusal) report_.refusal = error.code();
    }
    report_.checks.push_back(result);
    return result.passed;
  }

  void put() { store_->put(key("object"), content_); }

  void get() {
    const auto read = store_->get(key("object"));
    require(read == content_, "an object that was just written does not come back as it was");
  }

  void range() {
    const auto middle = store_->get_range(key("object"), 1000, 96);
    require(middle && std::ranges::equal(*middle, core::ByteSpan(content_).subspan(1000, 96)),
            "a range of an object does not come back as asked");
    const auto tail = store_->get_tail(key("object"), 10);
    require(tail && tail->object_size == content_.size() &&
                std::ranges::equal(tail->content, core::ByteSpan(content_).last(10)),
            "the end of an object does not come back as asked");
  }

  void multipart() {
    core::Bytes large(kPart + 1, std::byte{'x'});
    const auto upload = store_->begin_upload(key("parts"));
    upload->append(large);
    upload->finish();
    const auto tail = store_->get_tail(key("parts"), 1);
    require(tail && tail->object_size == large.size(), "an object sent in two parts is not complete");
  }

  void list() {
    for (std::size_t i = 0; i < kListed; ++i) store_->put(key(fmt::format("list-{}", i)), {});
    std::size_t seen = 0;
    store_->list(key("list-"), "", [&](const ObjectInfo&) { return ++seen > 0; });
    require(seen == kListed, fmt::format("a listing shows {} of {} objects that were just written", seen, kListed));
  }

  void remove() {
    clean_up_or_throw();
    require(!store_->head(key("object")), "a removed object is still there");
  }

  std::string conditional_put() {
    require(store_->features().conditional_put,
            "the store ignores or refuses If-None-Match; Backstay is correct without it, nothing needs to change");
    return "works";
  }

  void diagnose() {
    optional("clock_skew", [&] {
      const auto skew = std::chrono::abs(diagnostics_->store_time() - clock_.now());
      require(skew <= kTolerableSkew,
              fmt::format("the store's clock and this machine's differ by {}: set this machine's time, e.g. with NTP; "
                          "beyond 15 minutes the store refuses requests",
                          core::format_duration(skew)));
      return std::string("the clocks agree");
    });
    optional("versioning", [&] {
      if (!diagnostics_->versioning()) return std::string("off: what is removed frees its space at once");
      report_.notes.emplace_back(
          "versioning is on: removed backups keep taking space as old versions until a lifecycle rule of the bucket "
          "(NoncurrentVersionExpiration, and ExpiredObjectDeleteMarker) removes them");
      return std::string("on: what is removed frees its space only by a lifecycle rule");
    });
    optional("object_lock", [&] {
      const auto lock = diagnostics_->object_lock();
      if (!lock) return std::string("no default retention");
      report_.notes.push_back(
          fmt::format("object lock is on ({}): nobody can remove backups before that time, and their space stays taken "
                      "as long, whatever the retention in Backstay says",
                      *lock));
      return "on: " + *lock;
    });
  }

  void clean_up_or_throw() {
    std::vector<std::string> keys = {key("object"), key("parts")};
    for (std::size_t i = 0; i < kListed; ++i) keys.push_back(key(fmt::format("list-{}", i)));
    store_->remove(keys);
  }

  void clean_up() {
    try {
      clean_up_or_throw();
    } catch (const Error& error) {
      core::log_warning("store.probe_left_objects", error.message(), {{"prefix", base_}});
    }
  }

  StoreDiagnostics* const diagnostics_;
  const std::unique_ptr<Store> store_;
  core::Clock& clock_;
  const std::string base_;
  const core::Bytes content_;
  const core::SteadyTime deadline_;
  ProbeReport report_;
};

}  // namespace

bool ProbeReport::accepted() const {
  return std::ranges::all_of(checks, [](const ProbeCheck& check) { return check.passed || !check.essential; });
}

void ProbeReport::require_accepted() const {
  if (accepted()) return;
  std::string message = "the destination cannot be used";
  for (const auto& check : checks) {
    if (!check.passed && check.essential) message += fmt::format("; {}: {}", check.name, check.message);
  }
  throw Error(refusal.value_or(Code::kStoreRefused), message);
}

ProbeReport probe(const DestinationConfig& config, const StorePolicy& policy, StoreContext context) {
  StorePolicy own = policy;
  own.part_size = kPart;
  own.retry.attempts = 1;
  own.request_deadline = std::min<std::chrono::milliseconds>(policy.request_deadline, kPatience);
  own.stall_time = kSilence;
  return Probe(open_driver(config, own, context), own.retry, context).run();
}

}  // namespace backstay::blob
