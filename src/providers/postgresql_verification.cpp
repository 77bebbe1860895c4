#include "providers/postgresql_verification.h"

#include <algorithm>
#include <exception>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>

#include "backup/verify_restore.h"
#include "core/error.h"
#include "core/log.h"
#include "core/text.h"
#include "os/file_system.h"
#include "os/priority.h"
#include "providers/postgresql_dumps.h"

namespace backstay::providers {
namespace {

constexpr mode_t kPassable = 0711;
constexpr auto kLock = "lock";
/// What the copy's server is given, and what must be free besides for the services.
constexpr std::uint64_t kMemory = std::uint64_t{256} << 20;
constexpr std::uint64_t kSpareMemory = std::uint64_t{256} << 20;
/// Its files are in the memory that its group may use, too.
constexpr std::int64_t kMostMemoryMib = 1024;
constexpr std::int64_t kTenthsOfACore = 10;
constexpr int kConnections = 10;
/// The part of a disk that stays free for the services, and the least.
constexpr std::uint64_t kReserve = std::uint64_t{1} << 30;
constexpr auto kLongest = std::chrono::hours(24);

bool try_lock(const os::Descriptor& file) { return ::flock(file.get(), LOCK_EX | LOCK_NB) == 0; }

void require_memory() {
  const auto available = os::available_memory();
  if (available >= kMemory + kSpareMemory) return;
  throw core::Error(core::Code::kUnavailable,
                    fmt::format("the machine has {} of memory to spare, and a restored copy needs {}",
                                core::format_bytes(available), core::format_bytes(kMemory + kSpareMemory)))
      .with_hint("it is tried again later; services are not to be short of memory for it");
}

void require_time(core::Clock& clock, core::SteadyTime until) {
  if (clock.steady_now() < until) return;
  throw core::Error(core::Code::kTimeout, "the verification was given up after a day, since others wait for it")
      .with_hint("recover the backup into a service and look at that, or give the machine more to spare");
}

/// What a thread throws that gets only what nobody else wants.
void run_aside(const std::function<void()>& work) {
  std::exception_ptr failure;
  std::jthread([&] {
    os::lower_priority();
    try {
      work();
    } catch (...) {
      failure = std::current_exception();
    }
  }).join();
  if (failure) std::rethrow_exception(failure);
}

core::json::array texts(const std::vector<std::string>& lines) { return core::json::array(lines.begin(), lines.end()); }

std::string_view next_step(model::BackupMechanism mechanism) {
  if (mechanism == model::BackupMechanism::kLogical) {
    return "keep older backups; what is named keeps the dump from becoming a database: change it in the service, then "
           "take another dump and verify it, or use physical backups";
  }
  return "keep older backups; look at what is named in the service itself, where it may be damaged too (REINDEX mends "
         "an index), then take another backup and verify it";
}

control::VerifiedRestore in_words(const backup::RestoreProof& proof, model::BackupMechanism mechanism) {
  control::VerifiedRestore found;
  const auto& checks = proof.checks;
  found.first_query_time = proof.first_query_time;
  found.recovery_time = proof.recovery_time;
  found.checks = {{"databases", checks.databases},
                  {"relations", checks.relations},
                  {"tables", checks.tables},
                  {"indexes", checks.indexes},
                  {"pages", proof.pages},
                  {"rowsExpected", static_cast<std::int64_t>(checks.rows_expected)},
                  {"rowsEstimated", static_cast<std::int64_t>(checks.rows_estimated)},
                  {"notes", texts(checks.notes)},
                  {"problems", texts(proof.problems)}};
  if (proof.problems.empty()) return found;
  found.problem = proof.problems.front();
  if (proof.problem_count > 1) found.problem += fmt::format(" (and {} more)", proof.problem_count - 1);
  found.next_step = next_step(mechanism);
  return found;
}

}  // namespace

PostgresqlVerification::PostgresqlVerification(const PostgresqlWorld& world, const backup::Environment& environment)
    : world_(world),
      environment_(environment),
      all_(world.config.state_dir / "verification"),
      name_("verification-" + world.deps.random.uuid()),
      clearing_([this] { clear_left(); }) {}

void PostgresqlVerification::take_place() {
  if (lock_.valid()) return;
  world_.deps.files.make_directories(all_, kPassable);
  world_.deps.files.set_mode(all_, kPassable);
  // Another server that starts now may take a directory without a lock for a dead one's.
  do {
    world_.deps.files.make_directories(all_ / name_, kPassable);
    world_.deps.files.set_mode(all_ / name_, kPassable);
    lock_ = os::open_file(all_ / name_ / kLock, O_RDWR | O_CREAT);
  } while (!try_lock(lock_) || !world_.deps.files.stat(all_ / name_ / kLock));
}

PostgresqlVerification::~PostgresqlVerification() {
  if (!lock_.valid()) return;
  try {
    clear(all_ / name_);
  } catch (const core::Error& error) {
    core::log_warning("verification.not_removed", error.message(), {{"path", (all_ / name_).string()}});
  }
}

void PostgresqlVerification::clear_left() noexcept {
  const auto attempt = [](const std::filesystem::path& path, const auto& work) {
    try {
      work();
    } catch (...) {
      core::log_warning("verification.not_removed", core::as_error(std::current_exception()).message(),
                        {{"path", path.string()}});
    }
  };
  attempt(all_, [&] {
    if (!world_.deps.files.stat(all_)) return;
    for (const auto& entry : world_.deps.files.list(all_)) {
      if (entry.name != name_) attempt(all_ / entry.name, [&] { clear_if_left(all_ / entry.name); });
    }
  });
}

void PostgresqlVerification::clear_if_left(const std::filesystem::path& directory) {
  const auto lock = os::open_file(directory / kLock, O_RDWR | O_CREAT);
  if (try_lock(lock)) clear(directory);
}

void PostgresqlVerification::clear(const std::filesystem::path& directory) {
  const auto name = directory.filename().string();
  backup::clear_restores(environment_, directory / "copies", [&](uid_t user) {
    world_.deps.runtime.end_processes(place(name, user), world_.deps.clock, {});
  });
  world_.deps.runtime.remove_directory(name);  // its control groups
  world_.deps.files.remove_all(directory);
}

control::InstancePlace PostgresqlVerification::place(const std::string& name, std::uint32_t uid) const {
  control::InstancePlace place;
  place.instance_id = name;
  place.uid = uid;
  place.gid = uid;
  place.limits = {kTenthsOfACore, kMostMemoryMib};
  return place;
}

std::optional<std::string> PostgresqlVerification::problem(const model::Instance& instance,
                                                           const model::Backup& backup) const {
  if (backup.mechanism == model::BackupMechanism::kLogical) {
    return dump_problem(world_, instance, control::DumpWork::kTake);
  }
  const auto there = std::ranges::any_of(
      world_.installations, [&](const auto& installation) { return installation.major == instance.engine_major; });
  if (there) return std::nullopt;
  return fmt::format("PostgreSQL {} is not installed on this machine", instance.engine_major);
}

control::VerifiedRestore PostgresqlVerification::verify(repository::Repository& repository,
                                                        const control::ServiceBody& body, const model::Backup& backup,
                                                        std::uint32_t uid, control::WorkContext& context) {
  const auto& instance = body.instance;
  if (const auto why_not = problem(instance, backup)) throw core::Error(core::Code::kNotSupported, *why_not);
  clear_left();
  take_place();
  require_memory();
  const auto sandbox = place(name_, uid);
  RuntimeLauncher launcher(world_.deps.runtime, sandbox);
  backup::VerifyRestoreRequest request{
      .repository = repository,
      .instance = instance.id,
      .backup_id = backup.id,
      .scratch = {.parent = all_ / name_ / "copies",
                  .reserve = kReserve,
                  .what = "the copy that a verification restores",
                  .hint = "make room on that disk, or move the services to a larger one; it is tried again later",
                  .claims = world_.scratch},
      .installation = postgres::installation_of(world_.installations, instance.engine_major),
      .launcher = launcher,
      .restore_helper = world_.config.restore_helper,
      .end_processes = [&] { world_.deps.runtime.end_processes(sandbox, world_.deps.clock, {}); }};
  if (uid != 0) request.identity = os::Identity{uid, uid};
  request.resources.memory_bytes = kMemory;
  request.resources.max_connections = kConnections;
  request.access = PostgresqlInstance(world_, body).access();
  const auto until = world_.deps.clock.steady_now() + kLongest;
  backup::RestoreProof proof;
  run_aside([&] {
    proof = backup::verify_restore(
        environment_, request,
        [&](const backup::Progress& progress) {
          require_time(world_.deps.clock, until);
          context.progress(progress.phase, progress.done, progress.total);
        },
        context.stop());
  });
  return in_words(proof, backup.mechanism);
}

}  // namespace backstay::providers
