#include "providers/server_probe.h"

namespace backstay::providers {
namespace {

constexpr auto kDeadline = std::chrono::milliseconds(3000);

postgres::Connection open(const postgres::Server& server) {
  auto target = server.management_target();
  target.connect_deadline = kDeadline;
  return postgres::Connection(target);
}

}  // namespace

std::optional<std::uint64_t> ServerProbe::ask(const postgres::Server& server, os::ProcessId process, bool measure) {
  const auto& name = server.description().name;
  auto session = take(name);
  if (!session || session->process != process) session.emplace(Session{process, open(server)});
  std::optional<std::uint64_t> used;
  if (measure) {
    const auto rows =
        session->connection.query("SELECT sum(pg_database_size(oid))::bigint FROM pg_database", {}, kDeadline);
    used = static_cast<std::uint64_t>(rows.integer(0, 0));
  } else {
    session->connection.query("SELECT 1", {}, kDeadline);
  }
  const core::LockGuard lock(mutex_);
  idle_.insert_or_assign(name, std::move(*session));
  return used;
}

void ServerProbe::forget(const std::string& name) { static_cast<void>(take(name)); }

std::optional<ServerProbe::Session> ServerProbe::take(const std::string& name) {
  const core::LockGuard lock(mutex_);
  const auto found = idle_.find(name);
  if (found == idle_.end()) return std::nullopt;
  std::optional<Session> session(std::move(found->second));
  idle_.erase(found);
  return session;
}

}  // namespace backstay::providers
