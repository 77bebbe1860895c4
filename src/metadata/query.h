// One SQL statement with the values that it binds, and rows by column name: the only way the stores speak to SOCI.
//
// SOCI binds by reference; a Query owns what it binds until it has run.
#pragma once

#include <concepts>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <soci/soci.h>

#include "core/json.h"
#include "core/time.h"
#include "metadata/database.h"

namespace backstay::metadata {

/// The columns of a result. Finding one is cheap where they are asked for in their order.
class Columns {
 public:
  struct Column {
    std::string name;
    soci::data_type type;
  };
  explicit Columns(const soci::row& row);
  /// Throws Error(internal) for a column that the statement does not select.
  std::size_t position(std::string_view name);
  [[nodiscard]] soci::data_type type(std::size_t position) const { return columns_[position].type; }

 private:
  std::vector<Column> columns_;
  std::size_t next_ = 0;
};

/// One row of a result; every column is BIGINT or TEXT.
class Row {
 public:
  Row(const soci::row& row, Columns& columns) : row_(row), columns_(columns) {}
  [[nodiscard]] std::int64_t integer(std::string_view column) const;
  [[nodiscard]] bool flag(std::string_view column) const { return integer(column) != 0; }
  [[nodiscard]] std::string text(std::string_view column) const;
  [[nodiscard]] core::Timestamp time(std::string_view column) const;
  /// Nothing for NULL.
  [[nodiscard]] std::optional<core::Timestamp> maybe_time(std::string_view column) const;
  [[nodiscard]] core::json::object object(std::string_view column) const;
  [[nodiscard]] core::json::array array(std::string_view column) const;

 private:
  [[nodiscard]] std::int64_t integer_at(std::size_t position) const;
  const soci::row& row_;
  Columns& columns_;
};

/// Column values by name, for an insert or an update.
class Values {
 public:
  /// Unsigned 64-bit values keep their bits.
  template <std::integral Integer>
  Values& set(std::string column, Integer value) {
    add(std::move(column)).integer = static_cast<std::int64_t>(value);
    return *this;
  }
  Values& set(std::string column, std::string_view value);
  Values& set(std::string column, const std::string& value) { return set(std::move(column), std::string_view(value)); }
  Values& set(std::string column, const char* value) { return set(std::move(column), std::string_view(value)); }
  Values& set(std::string column, core::Timestamp value);
  Values& set(std::string column, const std::optional<core::Timestamp>& value);
  Values& set(std::string column, const core::json::object& value);
  Values& set(std::string column, const core::json::array& value);
  [[nodiscard]] std::size_t size() const { return values_.size(); }

 private:
  friend class Query;
  friend void insert(Transaction& tx, const std::string& table, const Values& values);
  friend std::size_t update(Transaction& tx, const std::string& table, const Values& values, const std::string& where,
                            const Values& bound);
  struct Value {
    std::string column;
    bool is_text = false;
    bool is_null = false;
    long long integer = 0;  // the type that SOCI binds
    std::string text;
  };
  Value& add(std::string column);
  std::deque<Value> values_;
};

class Query {
 public:
  /// `sql` names its values as ":column".
  Query(Transaction& tx, std::string sql) : Query(tx.session(), std::move(sql)) {}
  Query(soci::session& session, std::string sql) : session_(session), sql_(std::move(sql)) {}
  Query& bind(const Values& values);

  /// Runs the statement; returns how many rows it changed. Throws Error(already_exists) for a uniqueness that is
  /// violated, Error(disk_full), Error(state_error).
  std::size_t run();
  void each(const std::function<void(const Row&)>& row);
  template <typename Result>
  std::vector<Result> list(const std::function<Result(const Row&)>& read) {
    std::vector<Result> results;
    each([&](const Row& row) { results.push_back(read(row)); });
    return results;
  }
  template <typename Result>
  std::optional<Result> first(const std::function<Result(const Row&)>& read) {
    std::optional<Result> result;
    each([&](const Row& row) {
      if (!result) result = read(row);
    });
    return result;
  }

 private:
  void prepare(soci::statement& statement);
  soci::session& session_;
  std::string sql_;
  std::deque<Values::Value> bound_;
  std::deque<soci::indicator> indicators_;
};

void insert(Transaction& tx, const std::string& table, const Values& values);
/// Sets `values` where `where` holds; `bound` are the values that `where` names. Returns how many rows.
std::size_t update(Transaction& tx, const std::string& table, const Values& values, const std::string& where,
                   const Values& bound);

/// Conditions that are all to hold, with their values.
class Conditions {
 public:
  /// `condition` may name `column` values added to values().
  void add(const std::string& condition);
  /// column IN (...); an empty list holds for no row.
  void add_in(const std::string& column, const std::vector<std::int64_t>& numbers);
  void add_in(const std::string& column, const std::vector<std::string>& texts);
  Values& values() { return values_; }
  /// " WHERE ..." or nothing.
  [[nodiscard]] std::string where() const;

 private:
  std::string text_;
  Values values_;
};

/// Calls `work` with the texts in groups that are small enough to be bound in one statement.
void for_each_batch(const std::vector<std::string>& texts,
                    const std::function<void(const std::vector<std::string>& batch)>& work);

/// The next number of a counter; it is the caller's when the transaction commits.
std::int64_t next_number(Transaction& tx, const std::string& counter);

/// " LIMIT n", or nothing for 0.
std::string limit_clause(std::size_t limit);

/// Runs `work`, and throws what SOCI throws as core::Error.
void translated(const std::function<void()>& work);

}  // namespace backstay::metadata
