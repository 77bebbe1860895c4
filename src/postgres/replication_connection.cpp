#include "postgres/replication_connection.h"

#include <array>

#include <poll.h>

#include <fmt/format.h>

#include "core/error.h"
#include "core/text.h"
#include "postgres/libpq_session.h"
#include "postgres/wal_parser.h"

namespace backstay::postgres {
namespace {

using core::Code;
using core::Error;

constexpr std::chrono::milliseconds kCommandDeadline{30'000};
constexpr std::string_view kSlotExists = "42710";

struct FreeMemory {
  void operator()(char* memory) const { PQfreemem(memory); }
};
using Buffer = std::unique_ptr<char, FreeMemory>;

Lsn load_lsn(core::ByteSpan bytes, std::size_t at) { return {core::load_be<std::uint64_t>(bytes, at)}; }

core::Timestamp load_time(core::ByteSpan bytes, std::size_t at) {
  return from_postgres_time(static_cast<std::int64_t>(core::load_be<std::uint64_t>(bytes, at)));
}

/// "16MB", as SHOW says it.
std::uint64_t parse_size(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, std::uint64_t>, 4> kUnits = {
      {{"kB", 1u << 10}, {"MB", 1u << 20}, {"GB", 1u << 30}, {"B", 1}}};
  for (const auto& [unit, factor] : kUnits) {
    if (!text.ends_with(unit)) continue;
    if (const auto number = core::parse_int(text.substr(0, text.size() - unit.size()))) {
      return static_cast<std::uint64_t>(*number) * factor;
    }
  }
  throw Error(Code::kDatabaseError, fmt::format("'{}' is not a size", text));
}

TimelineId parse_timeline(const char* text) {
  const auto number = core::parse_int(text);
  if (!number) throw Error(Code::kDatabaseError, fmt::format("'{}' is not a timeline", text));
  return {static_cast<std::uint32_t>(*number)};
}

}  // namespace

struct ReplicationConnection::Handle {
  Handle(const ConnectionTarget& target, std::stop_token stop) : session(target, true, std::move(stop)) {}

  /// Reads what is there; nothing if a whole message has not arrived.
  std::optional<StreamMessage> take() {
    char* raw = nullptr;
    const int size = PQgetCopyData(session.get(), &raw, 1);
    buffer.reset(raw);
    if (size == 0) return std::nullopt;
    if (size == -1) return finish();
    if (size < 0) session.throw_lost();
    return parse(std::as_bytes(std::span(raw, static_cast<std::size_t>(size))));
  }

  static StreamMessage parse(core::ByteSpan message) {
    constexpr std::size_t kDataHeader = 25;
    constexpr std::size_t kKeepaliveSize = 18;
    const auto kind = static_cast<char>(message[0]);
    if (kind == 'w' && message.size() >= kDataHeader) {
      return WalData{load_lsn(message, 1), load_lsn(message, 9), load_time(message, 17), message.subspan(kDataHeader)};
    }
    if (kind == 'k' && message.size() >= kKeepaliveSize) {
      return Keepalive{load_lsn(message, 1), load_time(message, 9), message[17] != std::byte{0}};
    }
    throw Error(Code::kDatabaseError, fmt::format("the server sent an unknown replication message '{}'", kind));
  }

  /// The server ended the stream: because the timeline ended, because it shuts down, or with an error.
  StreamMessage finish() {
    streaming = false;
    const auto deadline = LibpqSession::after(kCommandDeadline);
    auto result = session.next_result(deadline);
    if (result && PQresultStatus(result.get()) == PGRES_COPY_IN) {
      if (PQputCopyEnd(session.get(), nullptr) < 0) session.throw_lost();
      result = session.next_result(deadline);
    }
    session.check(result);
    StreamMessage message = StreamClosed{};
    if (PQresultStatus(result.get()) == PGRES_TUPLES_OK) {
      message = end_of_timeline(result.get());
    } else if (!stopping) {
      return message;  // the server goes: it will not say that it is ready again
    }
    while (auto more = session.next_result(deadline)) session.check(more);
    return message;
  }

  static EndOfTimeline end_of_timeline(const PGresult* result) {
    if (PQntuples(result) != 1 || PQnfields(result) != 2) {
      throw Error(Code::kDatabaseError, "the server ended the timeline without naming the next one");
    }
    return {parse_timeline(PQgetvalue(result, 0, 0)), parse_lsn(PQgetvalue(result, 0, 1))};
  }

  LibpqSession session;
  Buffer buffer;
  bool streaming = false;
  bool stopping = false;  ///< the end was asked for by us
  std::optional<StreamMessage> pending;
};

ReplicationConnection::ReplicationConnection(const ConnectionTarget& target, std::stop_token stop)
    : handle_(std::make_unique<Handle>(target, std::move(stop))) {}
ReplicationConnection::~ReplicationConnection() = default;
ReplicationConnection::ReplicationConnection(ReplicationConnection&&) noexcept = default;
ReplicationConnection& ReplicationConnection::operator=(ReplicationConnection&&) noexcept = default;

SystemIdentity ReplicationConnection::identify_system() {
  const auto result = handle_->session.run("IDENTIFY_SYSTEM", kCommandDeadline);
  if (PQntuples(result.get()) != 1 || PQnfields(result.get()) < 3) {
    throw Error(Code::kDatabaseError, "the server did not identify itself");
  }
  SystemIdentity identity;
  identity.system_identifier = std::stoull(PQgetvalue(result.get(), 0, 0));
  identity.timeline = parse_timeline(PQgetvalue(result.get(), 0, 1));
  identity.flushed = parse_lsn(PQgetvalue(result.get(), 0, 2));
  return identity;
}

std::uint64_t ReplicationConnection::segment_size() {
  const auto result = handle_->session.run("SHOW wal_segment_size", kCommandDeadline);
  return parse_size(PQgetvalue(result.get(), 0, 0));
}

bool ReplicationConnection::create_physical_slot(const std::string& slot, bool temporary) {
  auto& session = handle_->session;
  const auto command = fmt::format("CREATE_REPLICATION_SLOT {}{} PHYSICAL RESERVE_WAL", quote_identifier(slot),
                                   temporary ? " TEMPORARY" : "");
  const auto result = session.run_unchecked(command, kCommandDeadline);
  if (sqlstate_of(result.get()) == kSlotExists) return false;
  session.check(result);
  return true;
}

std::string ReplicationConnection::timeline_history(TimelineId timeline) {
  const auto result = handle_->session.run(fmt::format("TIMELINE_HISTORY {}", timeline.value), kCommandDeadline);
  if (PQntuples(result.get()) != 1 || PQnfields(result.get()) != 2) {
    throw Error(Code::kDatabaseError, fmt::format("the server has no history of timeline {}", timeline.value));
  }
  return {PQgetvalue(result.get(), 0, 1), static_cast<std::size_t>(PQgetlength(result.get(), 0, 1))};
}

void ReplicationConnection::start_streaming(const std::string& slot, Lsn from, TimelineId timeline) {
  const auto with_slot = slot.empty() ? "" : fmt::format("SLOT {} ", quote_identifier(slot));
  const auto command =
      fmt::format("START_REPLICATION {}PHYSICAL {} TIMELINE {}", with_slot, format_lsn(from), timeline.value);
  handle_->pending.reset();
  const auto result = handle_->session.run(command, kCommandDeadline);
  if (PQresultStatus(result.get()) == PGRES_COPY_BOTH) {
    handle_->streaming = true;
  } else {
    // Nothing of this timeline is left to stream.
    handle_->pending = Handle::end_of_timeline(result.get());
  }
}

StreamMessage ReplicationConnection::receive(std::chrono::milliseconds wait) {
  auto& session = handle_->session;
  if (handle_->pending) return *std::exchange(handle_->pending, std::nullopt);
  if (!handle_->streaming) throw Error(Code::kInternal, "nothing is streamed on this connection");
  const auto deadline = LibpqSession::after(wait);
  while (true) {
    if (auto message = handle_->take()) return *message;
    const int unsent = PQflush(session.get());
    if (unsent < 0) session.throw_lost();
    if (!session.wait(static_cast<short>(unsent > 0 ? POLLIN | POLLOUT : POLLIN), deadline)) return NothingYet{};
    if (PQconsumeInput(session.get()) == 0) session.throw_lost();
  }
}

void ReplicationConnection::send_status(Lsn written, Lsn flushed, Lsn applied, core::Timestamp now,
                                        bool request_reply) {
  if (handle_->pending) return;
  core::Bytes message;
  message.push_back(std::byte{'r'});
  for (const auto lsn : {written, flushed, applied}) core::append_be(message, lsn.value);
  core::append_be(message, static_cast<std::uint64_t>(to_postgres_time(now)));
  message.push_back(request_reply ? std::byte{1} : std::byte{0});
  auto& session = handle_->session;
  if (PQputCopyData(session.get(), reinterpret_cast<const char*>(message.data()), static_cast<int>(message.size())) !=
      1) {
    session.throw_lost();
  }
  session.flush(LibpqSession::after(kCommandDeadline));
}

void ReplicationConnection::stop_streaming() {
  if (!handle_->streaming) return;
  auto& session = handle_->session;
  const auto deadline = LibpqSession::after(kCommandDeadline);
  if (PQputCopyEnd(session.get(), nullptr) < 0) session.throw_lost();
  session.flush(deadline);
  handle_->stopping = true;
  while (handle_->streaming) {
    if (handle_->take()) continue;
    if (!session.wait(POLLIN, deadline)) session.abandon();
    if (PQconsumeInput(session.get()) == 0) session.throw_lost();
  }
  handle_->stopping = false;
}

}  // namespace backstay::postgres
