#include "postgres/connection.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/text.h"
#include "postgres/libpq_session.h"

namespace backstay::postgres {
namespace {

using core::Code;
using core::Error;

Rows to_rows(const PGresult* result) {
  Rows rows;
  const int columns = PQnfields(result);
  for (int c = 0; c < columns; ++c) rows.columns.emplace_back(PQfname(result, c));
  for (int r = 0; r < PQntuples(result); ++r) {
    auto& row = rows.rows.emplace_back();
    for (int c = 0; c < columns; ++c) {
      if (PQgetisnull(result, r, c) != 0) {
        row.emplace_back();
      } else {
        row.emplace_back(std::string(PQgetvalue(result, r, c), static_cast<std::size_t>(PQgetlength(result, r, c))));
      }
    }
  }
  const auto affected = core::parse_int(PQcmdTuples(const_cast<PGresult*>(result)));
  rows.affected = static_cast<std::uint64_t>(affected.value_or(0));
  return rows;
}

}  // namespace

const std::string& Rows::text(std::size_t row, std::size_t column) const {
  if (row >= rows.size() || column >= rows[row].size()) {
    throw Error(Code::kInternal, fmt::format("there is no value in row {}, column {}", row, column));
  }
  if (!rows[row][column]) throw Error(Code::kInternal, fmt::format("column '{}' is null", columns[column]));
  return *rows[row][column];
}

bool Rows::is_null(std::size_t row, std::size_t column) const { return !rows.at(row).at(column).has_value(); }

bool Rows::truth(std::size_t row, std::size_t column) const { return text(row, column) == "t"; }

std::int64_t Rows::integer(std::size_t row, std::size_t column) const {
  const auto value = core::parse_int(text(row, column));
  if (!value) throw Error(Code::kInternal, fmt::format("'{}' is not an integer", text(row, column)));
  return *value;
}

struct Connection::Handle {
  Handle(const ConnectionTarget& target, std::stop_token stop) : session(target, false, std::move(stop)) {}

  void require_open() const {
    if (session.get() == nullptr) throw Error(Code::kDatabaseUnavailable, "the connection was given up at a deadline");
  }

  /// All results of the running command; the last one's rows. The first error is thrown once everything was read, so
  /// that the connection can be used again.
  Rows collect(core::SteadyTime deadline) {
    ResultPointer failed;
    Rows rows;
    while (auto result = session.next_result(deadline)) {
      const auto status = PQresultStatus(result.get());
      if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
        throw Error(Code::kNotSupported, "COPY is not possible in this kind of statement");
      }
      if (status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE) {
        if (!failed) failed = std::move(result);
      } else {
        rows = to_rows(result.get());
      }
    }
    if (failed) session.check(failed);
    return rows;
  }

  LibpqSession session;
};

Connection::Connection(const ConnectionTarget& target, std::stop_token stop)
    : handle_(std::make_unique<Handle>(target, std::move(stop))) {}
Connection::~Connection() = default;
Connection::Connection(Connection&&) noexcept = default;
Connection& Connection::operator=(Connection&&) noexcept = default;

Rows Connection::query(const std::string& sql, std::span<const Parameter> parameters,
                       std::chrono::milliseconds deadline) {
  handle_->require_open();
  std::vector<const char*> values;
  values.reserve(parameters.size());
  for (const auto& parameter : parameters) values.push_back(parameter ? parameter->c_str() : nullptr);
  const auto end = LibpqSession::after(deadline);
  if (PQsendQueryParams(handle_->session.get(), sql.c_str(), static_cast<int>(values.size()), nullptr, values.data(),
                        nullptr, nullptr, 0) == 0) {
    handle_->session.throw_lost();
  }
  return handle_->collect(end);
}

Rows Connection::query(const std::string& sql, std::initializer_list<Parameter> parameters,
                       std::chrono::milliseconds deadline) {
  return query(sql, std::span<const Parameter>(parameters.begin(), parameters.size()), deadline);
}

Rows Connection::execute(const std::string& sql, std::chrono::milliseconds deadline) {
  handle_->require_open();
  const auto end = LibpqSession::after(deadline);
  if (PQsendQuery(handle_->session.get(), sql.c_str()) == 0) handle_->session.throw_lost();
  return handle_->collect(end);
}

int Connection::server_version() const {
  handle_->require_open();
  return PQserverVersion(handle_->session.get());
}

core::Secret Connection::password_verifier(const std::string& user, const core::Secret& password) const {
  handle_->require_open();
  char* verifier =
      PQencryptPasswordConn(handle_->session.get(), password.reveal().c_str(), user.c_str(), "scram-sha-256");
  if (verifier == nullptr) {
    throw Error(Code::kInternal, fmt::format("no verifier for the password of role '{}' could be made", user));
  }
  core::Secret result{std::string(verifier)};
  PQfreemem(verifier);
  return result;
}

std::string quote_identifier(std::string_view name) {
  std::string result = "\"";
  for (const char c : name) {
    if (c == '"') result += '"';
    result += c;
  }
  return result + '"';
}

std::string quote_literal(std::string_view text) {
  const bool escaped = text.find('\\') != std::string_view::npos;
  std::string result = escaped ? " E'" : "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') result += c;
    result += c;
  }
  return result + '\'';
}

}  // namespace backstay::postgres
