#include <array>
#include <utility>

#include <fmt/format.h>

#include "backup/dump_content.h"
#include "backup/dump_restore.h"
#include "backup/laid_dump.h"
#include "backup/parallel.h"
#include "backup/verification_look.h"
#include "core/error.h"
#include "core/random.h"
#include "postgres/dump_programs.h"

namespace backstay::backup {
namespace {

constexpr std::size_t kPasswordLength = 24;
/// Indexes, and what pages have besides rows.
constexpr std::uint64_t kGrowth = 2;
constexpr std::size_t kProblemsKept = 20;

class DumpLook {
 public:
  DumpLook(Look& look, VerificationSite& site, const repository::BackupRecord& record)
      : look_(look),
        site_(site),
        record_(record),
        environment_(look.environment),
        request_(look.request),
        from_{.repository = request_.repository,
              .instance = request_.instance,
              .backup_id = request_.backup_id,
              .installation = request_.installation,
              .identity = request_.identity,
              .scratch = request_.scratch} {}

  void run();

 private:
  void make_cluster();
  DumpContent load();
  DumpContent dump_again();
  void compare(const DumpContent& wanted, const DumpContent& found);
  DumpContent read(const postgres::DumpTask& task);
  /// Runs it on a thread of its own and watches the room meanwhile.
  void watched(const char* phase, const std::function<void(std::stop_token)>& work, const std::function<void()>& check);
  void report(const char* phase, std::uint64_t done) {
    if (look_.progress) look_.progress({.phase = phase, .done = done, .total = record_.data_size});
  }
  [[nodiscard]] postgres::ConnectTo connect() const {
    return [this](const std::string& database) { return site_.server().connect(database, look_.stop); };
  }

  Look& look_;
  VerificationSite& site_;
  const repository::BackupRecord& record_;
  const Environment& environment_;
  const VerifyRestoreRequest& request_;
  const StoredDump from_;
};

void DumpLook::run() {
  make_cluster();
  const DumpContent wanted = load();
  site_.server().connect(request_.access.database, look_.stop).query("SELECT 1");
  look_.proof.first_query_time = look_.elapsed();
  look_.proof.recovery_time = look_.proof.first_query_time;
  compare(wanted, dump_again());
}

void DumpLook::make_cluster() {
  const auto password = [&] { return core::Secret(environment_.random.token(kPasswordLength)); };
  postgres::initialize_cluster(environment_.processes, environment_.files,
                               {.installation = request_.installation,
                                .paths = site_.paths(),
                                .identity = request_.identity,
                                .management_password = password(),
                                .sync = false},
                               look_.stop);
  site_.start_closed({}, look_.stop);
  auto access = request_.access;
  access.password = password();
  access.superuser_password.reset();
  postgres::ensure_access(connect(), access);
}

void DumpLook::watched(const char* phase, const std::function<void(std::stop_token)>& work,
                       const std::function<void()>& check) {
  report(phase, 0);
  run_parallel(1, look_.stop, work, [&] {
    check();
    report(phase, 0);
  });
}

DumpContent DumpLook::load() {
  LaidDump dump(environment_, from_);
  dump.lay(look_.progress, look_.stop);
  DumpContent content = read(dump.task());
  DumpRestoreRequest wanted{
      .from = from_, .connection = site_.server().management_target(request_.access.database), .workers = 2};
  wanted.connect_as_superuser = connect();
  wanted.connection.user = request_.access.role;
  wanted.connection.password = {};
  wanted.connection.options.clear();
  watched(
      "load", [&](std::stop_token stop) { load_laid_dump(environment_, dump, wanted, std::move(stop)); },
      [&] { dump.check_room(); });
  return content;
}

DumpContent DumpLook::dump_again() {
  ScratchDirectory directory(environment_, request_.scratch, record_.data_size, request_.identity);
  const postgres::DumpTask task{.installation = request_.installation,
                                .connection = site_.server().management_target(request_.access.database),
                                .directory = directory.path(),
                                .identity = request_.identity,
                                .jobs = request_.workers};
  watched(
      "dump",
      [&](std::stop_token stop) {
        const auto result = environment_.processes.run(postgres::dump_command(task), std::move(stop));
        if (result.exit_code != 0) throw postgres::dump_error(result, core::Code::kDatabaseError);
      },
      [&] { directory.check_room(0); });
  return read(task);
}

DumpContent DumpLook::read(const postgres::DumpTask& task) {
  std::uint64_t done = 0;
  return read_dump_content(
      environment_.processes, task,
      [&](std::uint64_t more) {
        done += more;
        report("check", done);
      },
      look_.stop);
}

void DumpLook::compare(const DumpContent& wanted, const DumpContent& found) {
  const bool same_text = core::find_string(record_.details, "timeZone") == "UTC";
  const auto seen =
      compare_dumps(wanted, found, {request_.access.role, std::string(postgres::kManagementRole), ""}, same_text);
  auto& checks = look_.proof.checks;
  checks.databases = 1;
  checks.relations = seen.entries;
  checks.tables = seen.tables;
  checks.rows_expected = static_cast<double>(seen.rows_wanted);
  checks.rows_estimated = static_cast<double>(seen.rows_found);
  checks.problem_count = seen.problems.size();
  checks.problems.assign(seen.problems.begin(), seen.problems.begin() + static_cast<std::ptrdiff_t>(std::min(
                                                                            seen.problems.size(), kProblemsKept)));
  if (!same_text) {
    checks.notes.emplace_back("rows were counted, not compared: the dump was taken in a time zone that is not known");
  }
}

}  // namespace

std::uint64_t bytes_of_loaded(const repository::BackupRecord& dump) { return kGrowth * dump.data_size; }

void look_at_dump(Look& look, VerificationSite& site, const repository::BackupRecord& record) {
  DumpLook(look, site, record).run();
}

}  // namespace backstay::backup
