#include "metadata/query.h"

#include <fmt/format.h>
#include <soci/postgresql/soci-postgresql.h>
#include <soci/sqlite3/soci-sqlite3.h>

#include "core/error.h"
#include "core/text.h"

namespace backstay::metadata {
namespace {

constexpr int kSqliteFull = 13;
constexpr auto kPostgresqlFull = "53100";

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

/// The store's own words, without SOCI's context and PostgreSQL's details: those quote the bound values.
core::Error translate(const soci::soci_error& error) {
  auto message = error.get_error_message();
  message.erase(std::min(message.find('\n'), message.size()));
  if (const auto* sqlite = dynamic_cast<const soci::sqlite3_soci_error*>(&error)) {
    if (sqlite->result() == kSqliteFull) return {core::Code::kDiskFull, "the state store: " + message};
  }
  if (const auto* postgresql = dynamic_cast<const soci::postgresql_soci_error*>(&error)) {
    if (postgresql->sqlstate() == kPostgresqlFull) return {core::Code::kDiskFull, "the state store: " + message};
  }
  if (contains(message, "UNIQUE constraint") || contains(message, "duplicate key")) {
    return {core::Code::kAlreadyExists, "the state store: " + message};
  }
  return {core::Code::kStateError, "the state store: " + message};
}

/// How many bytes the character at `at` takes; 0 if there is none that may be stored.
std::size_t character_length(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const auto first = byte(at);
  if (first < 0x80) return first == 0 ? 0 : 1;
  const std::size_t length = first >= 0xc2 && first < 0xe0   ? 2
                             : first >= 0xe0 && first < 0xf0 ? 3
                             : first < 0xf5                  ? 4
                                                             : 0;
  if (length == 0 || first < 0xc2) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xc0U) != 0x80U) return 0;
  }
  const auto second = byte(at + 1);
  const bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
  const bool beyond = (first == 0xed && second > 0x9f) || (first == 0xf4 && second > 0x8f);
  return overlong || beyond ? 0 : length;
}

/// PostgreSQL takes UTF-8 without zero bytes only, and lines of foreign logs may be anything: what cannot be stored
/// becomes a question mark, in both stores.
std::string storable(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const auto length = character_length(text, at);
    if (length == 0) {
      result += '?';
      ++at;
    } else {
      result += text.substr(at, length);
      at += length;
    }
  }
  return result;
}

std::int64_t micros(core::Timestamp time) { return time.time_since_epoch().count(); }

}  // namespace

void translated(const std::function<void()>& work) {
  try {
    work();
  } catch (const soci::soci_error& error) {
    throw translate(error);
  }
}

Columns::Columns(const soci::row& row) {
  for (std::size_t i = 0; i < row.size(); ++i) {
    const auto& properties = row.get_properties(i);
    columns_.push_back({properties.get_name(), properties.get_data_type()});
  }
}

std::size_t Columns::position(std::string_view name) {
  for (std::size_t tried = 0; tried < columns_.size(); ++tried) {
    const std::size_t at = (next_ + tried) % columns_.size();
    if (columns_[at].name != name) continue;
    next_ = at + 1;
    return at;
  }
  throw core::Error(core::Code::kInternal, fmt::format("the statement has no column '{}'", name));
}

std::int64_t Row::integer(std::string_view column) const { return integer_at(columns_.position(column)); }

std::int64_t Row::integer_at(std::size_t position) const {
  switch (columns_.type(position)) {
    case soci::dt_integer: return row_.get<int>(position);
    // What SQLite computes, such as a count, has no declared type.
    case soci::dt_string: return core::parse_int(row_.get<std::string>(position)).value_or(0);
    default: return row_.get<long long>(position);
  }
}

std::string Row::text(std::string_view column) const { return row_.get<std::string>(columns_.position(column)); }
core::Timestamp Row::time(std::string_view column) const { return core::Timestamp(core::Duration(integer(column))); }

std::optional<core::Timestamp> Row::maybe_time(std::string_view column) const {
  const auto position = columns_.position(column);
  if (row_.get_indicator(position) == soci::i_null) return std::nullopt;
  return core::Timestamp(core::Duration(integer_at(position)));
}

core::json::object Row::object(std::string_view column) const { return core::parse_json(text(column)).as_object(); }
core::json::array Row::array(std::string_view column) const { return core::parse_json(text(column)).as_array(); }

Values::Value& Values::add(std::string column) {
  auto& value = values_.emplace_back();
  value.column = std::move(column);
  return value;
}

Values& Values::set(std::string column, std::string_view value) {
  auto& added = add(std::move(column));
  added.is_text = true;
  added.text = storable(value);
  return *this;
}

Values& Values::set(std::string column, core::Timestamp value) { return set(std::move(column), micros(value)); }

Values& Values::set(std::string column, const std::optional<core::Timestamp>& value) {
  auto& added = add(std::move(column));
  added.is_null = !value;
  if (value) added.integer = micros(*value);
  return *this;
}

Values& Values::set(std::string column, const core::json::object& value) {
  return set(std::move(column), core::to_text(value));
}
Values& Values::set(std::string column, const core::json::array& value) {
  return set(std::move(column), core::to_text(value));
}

Query& Query::bind(const Values& values) {
  bound_.insert(bound_.end(), values.values_.begin(), values.values_.end());
  return *this;
}

void Query::prepare(soci::statement& statement) {
  for (auto& value : bound_) {
    auto& indicator = indicators_.emplace_back(value.is_null ? soci::i_null : soci::i_ok);
    if (value.is_text) {
      statement.exchange(soci::use(value.text, indicator, value.column));
    } else {
      statement.exchange(soci::use(value.integer, indicator, value.column));
    }
  }
  statement.alloc();
  // Once: a statement that is named in the session would have to be forgotten there too, which fails after an error.
  statement.prepare(sql_, soci::details::st_one_time_query);
  statement.define_and_bind();
}

std::size_t Query::run() {
  std::size_t changed = 0;
  translated([&] {
    soci::statement statement(session_);
    prepare(statement);
    statement.execute(true);
    changed = static_cast<std::size_t>(std::max(0LL, statement.get_affected_rows()));
  });
  return changed;
}

void Query::each(const std::function<void(const Row&)>& row) {
  translated([&] {
    soci::row current;
    soci::statement statement(session_);
    statement.exchange(soci::into(current));
    prepare(statement);
    statement.execute();
    std::optional<Columns> columns;
    while (statement.fetch()) {
      if (!columns) columns.emplace(current);
      row(Row(current, *columns));
    }
  });
}

void insert(Transaction& tx, const std::string& table, const Values& values) {
  std::string columns;
  std::string places;
  for (const auto& value : values.values_) {
    columns += (columns.empty() ? "" : ", ") + value.column;
    places += (places.empty() ? ":" : ", :") + value.column;
  }
  Query(tx, "INSERT INTO " + table + " (" + columns + ") VALUES (" + places + ")").bind(values).run();
}

std::size_t update(Transaction& tx, const std::string& table, const Values& values, const std::string& where,
                   const Values& bound) {
  std::string sets;
  for (const auto& value : values.values_) {
    sets += (sets.empty() ? "" : ", ") + value.column + " = :" + value.column;
  }
  return Query(tx, "UPDATE " + table + " SET " + sets + " WHERE " + where).bind(values).bind(bound).run();
}

void Conditions::add(const std::string& condition) { text_ += (text_.empty() ? " WHERE " : " AND ") + condition; }

void Conditions::add_in(const std::string& column, const std::vector<std::int64_t>& numbers) {
  std::string list;
  for (const auto number : numbers) list += (list.empty() ? "" : ", ") + std::to_string(number);
  add(list.empty() ? "1 = 0" : column + " IN (" + list + ")");
}

void Conditions::add_in(const std::string& column, const std::vector<std::string>& texts) {
  std::string list;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto name = column + "_" + std::to_string(i);
    list += (list.empty() ? ":" : ", :") + name;
    values_.set(name, texts[i]);
  }
  add(list.empty() ? "1 = 0" : column + " IN (" + list + ")");
}

std::string Conditions::where() const { return text_; }

void for_each_batch(const std::vector<std::string>& texts,
                    const std::function<void(const std::vector<std::string>& batch)>& work) {
  constexpr std::ptrdiff_t kBatch = 500;
  for (auto begin = texts.begin(); begin != texts.end();) {
    const auto end = begin + std::min(kBatch, texts.end() - begin);
    work({begin, end});
    begin = end;
  }
}

std::int64_t next_number(Transaction& tx, const std::string& counter) {
  const auto name = Values().set("name", counter);
  Query(tx, "UPDATE counters SET value = value + 1 WHERE name = :name").bind(name).run();
  const auto number =
      Query(tx, "SELECT value FROM counters WHERE name = :name").bind(name).first<std::int64_t>([](const Row& row) {
        return row.integer("value");
      });
  if (!number) throw core::Error(core::Code::kStateError, "the state store has no counter '" + counter + "'");
  return *number;
}

std::string limit_clause(std::size_t limit) { return limit == 0 ? "" : " LIMIT " + std::to_string(limit); }

}  // namespace backstay::metadata
