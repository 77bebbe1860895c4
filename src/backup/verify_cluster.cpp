#include <algorithm>
#include <array>
#include <filesystem>
#include <map>

#include "backup/cluster_copy.h"
#include "backup/recover.h"
#include "backup/verification_look.h"
#include "core/error.h"
#include "os/file_system.h"
#include "os/untrusted_directory.h"
#include "postgres/cluster_files.h"
#include "postgres/control_file.h"
#include "postgres/page_checksum.h"

namespace backstay::backup {
namespace {

constexpr std::size_t kReadSize = 128 * postgres::kPageSize;
constexpr std::size_t kDamagedKept = 20;

using Damaged = std::map<std::filesystem::path, postgres::DamagedDirectory>;

class ClusterLook {
 public:
  ClusterLook(Look& look, VerificationSite& site, const RecoveryPlan& plan)
      : look_(look), site_(site), plan_(plan), environment_(look.environment), request_(look.request) {}

  void run();

 private:
  void recover_copy();
  Damaged check_pages();
  void check_file(const postgres::ClusterEntry& entry, Damaged& damaged);
  void check_server(const Damaged& damaged);
  [[nodiscard]] postgres::ControlFile control() const {
    return postgres::parse_control_file(read_control_file(environment_.clock, site_.paths().data(), look_.stop));
  }
  void report(const Progress& progress) {
    site_.check_room(written_);
    if (look_.progress) look_.progress(progress);
  }

  Look& look_;
  VerificationSite& site_;
  const RecoveryPlan& plan_;
  const Environment& environment_;
  const VerifyRestoreRequest& request_;
  std::uint64_t written_ = 0;
};

void ClusterLook::run() {
  recover_copy();
  const auto damaged = check_pages();
  site_.start_closed(control().limits, look_.stop);
  look_.proof.recovery_time = look_.elapsed();
  check_server(damaged);
}

void ClusterLook::recover_copy() {
  const RecoverRequest recovery{.repository = request_.repository,
                                .plan = plan_,
                                .name = "verification of " + request_.backup_id,
                                .paths = site_.paths(),
                                .installation = request_.installation,
                                .identity = request_.identity,
                                .launcher = site_.launcher(),
                                .resources = request_.resources,
                                .restore_helper = request_.restore_helper,
                                .workers = request_.workers};
  recover(
      environment_, recovery,
      [&](const Progress& progress) {
        if (progress.phase == "restore") written_ = progress.done;
        if (progress.phase == "replay") written_ = plan_.file_bytes + progress.done;
        // The last phase: by now the restored server has answered.
        if (progress.phase == "stop" && !look_.proof.first_query_time) {
          look_.proof.first_query_time = look_.elapsed();
        }
        report(progress);
      },
      look_.stop);
}

/// The server has ended, so that every page is in its file as it is.
Damaged ClusterLook::check_pages() {
  Damaged damaged;
  if (control().data_checksum_version == 0) {
    look_.proof.checks.notes.emplace_back("the cluster has no page checksums, so that none were checked");
    return damaged;
  }
  postgres::walk_cluster(site_.paths().data(), look_.stop, [&](const postgres::ClusterEntry& entry) {
    if (entry.type == postgres::EntryType::kFile && entry.first_block) check_file(entry, damaged);
  });
  return damaged;
}

void ClusterLook::check_file(const postgres::ClusterEntry& entry, Damaged& damaged) {
  // The server replaces a damaged page of these by an empty one.
  const bool is_map = entry.path.find("_fsm") != std::string::npos;
  thread_local core::Bytes buffer(kReadSize);
  const auto file = entry.open();
  for (std::uint64_t at = 0;;) {
    if (look_.stop.stop_requested()) throw core::Error(core::Code::kCancelled, "the verification was stopped");
    const std::size_t got = os::read_at(file.get(), at, buffer);
    const auto first = *entry.first_block + static_cast<std::uint32_t>(at / postgres::kPageSize);
    for (std::uint32_t i = 0; (i + 1) * postgres::kPageSize <= got; ++i) {
      ++look_.proof.pages;
      const auto page = core::ByteSpan(buffer).subspan(i * postgres::kPageSize, postgres::kPageSize);
      if (is_map || postgres::check_page(page, first + i) != postgres::PageState::kInvalid) continue;
      auto& directory = damaged[std::filesystem::path(entry.path).parent_path()];
      ++directory.count;
      if (directory.first.size() < kDamagedKept) directory.first.push_back({entry.path, first + i});
    }
    at += got;
    if (got < buffer.size()) return;
    report({.phase = "pages",
            .done = look_.proof.pages * postgres::kPageSize,
            .total = plan_.file_bytes + plan_.wal_bytes});
  }
}

void ClusterLook::check_server(const Damaged& damaged) {
  const auto connect = [&](const std::string& database) {
    auto target = site_.server().management_target(database);
    const std::array<std::string, 2> candidates = {target.user, std::string(postgres::kSuperuserRole)};
    return postgres::connect_as_superuser(std::move(target), candidates, look_.stop);
  };
  postgres::ClusterCheckRequest wanted;
  wanted.connect = connect;
  wanted.progress = [&](std::uint64_t done, std::uint64_t total) {
    report({.phase = "check", .done = done, .total = total});
  };
  for (const auto& [path, directory] : damaged) wanted.damaged.push_back(directory);
  postgres::check_cluster(wanted, look_.proof.checks, look_.stop);
}

}  // namespace

void look_at_cluster(Look& look, VerificationSite& site, const RecoveryPlan& plan) {
  ClusterLook(look, site, plan).run();
}

}  // namespace backstay::backup
