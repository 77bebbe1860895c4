#include "postgres/cluster_checks.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"
#include "core/text.h"

namespace backstay::postgres {
namespace {

constexpr std::size_t kKept = 20;
constexpr std::string_view kSchema = "backstay_verification";
constexpr auto kCatalogueDeadline = std::chrono::minutes(10);
/// Tables whose rows are estimated, and pages that are read of each.
constexpr int kSampledTables = 100;
constexpr int kSampledPages = 500;
/// Statistics of fewer rows say little.
constexpr double kFewRows = 10'000;
constexpr double kOdd = 2;

/// What has storage here and is not another session's. Rows that a transaction was prepared over are locked for good.
constexpr std::string_view kStored =
    "c.relpersistence <> 't' AND NOT EXISTS (SELECT FROM pg_locks l WHERE l.relation = c.oid AND l.database = (SELECT "
    "oid FROM pg_database WHERE datname = current_database()) AND l.mode = 'AccessExclusiveLock' AND l.pid IS DISTINCT "
    "FROM pg_backend_pid())";

struct CheckedRelation {
  std::string oid;
  std::string name;
  bool index = false;
  /// Of an index: no function of a user's has a say in what it holds.
  bool plain = false;
};

std::chrono::milliseconds time_until(core::SteadyTime until) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
}

class DatabaseCheck {
 public:
  DatabaseCheck(const ClusterCheckRequest& request, std::string name, std::string oid, ClusterChecks& checks,
                core::SteadyTime until, std::stop_token stop)
      : request_(request),
        name_(std::move(name)),
        oid_(std::move(oid)),
        checks_(checks),
        until_(until),
        stop_(std::move(stop)),
        connection_(request.connect(name_)) {
    prepare();
  }

  void run() {
    name_damaged();
    attempt("its catalogue", [&] { check_catalogue(); });
    attempt("its files", [&] { check_files(); });
    attempt("the extension amcheck", [&] { check_relations(); });
    attempt("its estimates", [&] { estimate_rows(); });
  }

  /// True if it has the relations of this directory's files.
  [[nodiscard]] bool claims(const DamagedDirectory& directory) const;

 private:
  template <typename Work>
  void attempt(const std::string& what, const Work& work);
  /// Anew, once a connection was given up.
  void enter() {
    connection_ = request_.connect(name_);
    prepare();
  }
  /// What is done here must not run anything of a tenant's. Not by ALTER EVENT TRIGGER, which is one by one.
  void prepare() {
    connection_.query("SET lock_timeout = '10s'");
    connection_.query("UPDATE pg_catalog.pg_event_trigger SET evtenabled = 'D' WHERE evtenabled <> 'D'");
  }
  [[nodiscard]] std::chrono::milliseconds left(std::chrono::milliseconds at_most) const {
    const auto rest = time_until(until_);
    if (rest <= rest.zero()) throw core::Error(core::Code::kTimeout, "there was no time left for it");
    return std::min(at_most, rest);
  }
  void name_damaged();
  void name_damaged(const DamagedBlock& block);
  void check_catalogue();
  void check_files();
  void check_relations();
  std::optional<std::string> prepare_amcheck();
  std::vector<CheckedRelation> list_relations();
  void check_relation(const std::string& schema, const CheckedRelation& relation);
  void estimate_rows();
  void problem(const std::string& object, const std::string& what) {
    ++checks_.problem_count;
    if (checks_.problems.size() < kKept) {
      checks_.problems.push_back(fmt::format("{} in database '{}': {}", object, name_, what));
    }
  }
  void note(const std::string& what) {
    if (checks_.notes.size() < kKept) checks_.notes.push_back(fmt::format("database '{}': {}", name_, what));
  }

  const ClusterCheckRequest& request_;
  const std::string name_;
  const std::string oid_;
  ClusterChecks& checks_;
  const core::SteadyTime until_;
  const std::stop_token stop_;
  Connection connection_;
};

template <typename Work>
void DatabaseCheck::attempt(const std::string& what, const Work& work) {
  try {
    work();
  } catch (const core::Error& error) {
    if (error.code() == core::Code::kDatabaseError) return problem(what, error.message());
    if (error.code() != core::Code::kTimeout) throw;
    note(fmt::format("{} could not be looked at: {}", what, error.message()));
    enter();
  }
}

bool DatabaseCheck::claims(const DamagedDirectory& directory) const {
  const auto parts = core::split(directory.first.front().file, '/');
  if (parts.front() == "global") return name_ == "postgres";
  return parts.size() >= 2 && parts[parts.size() - 2] == oid_;
}

void DatabaseCheck::name_damaged() {
  for (const auto& directory : request_.damaged) {
    if (!claims(directory)) continue;
    for (const auto& block : directory.first) name_damaged(block);
    checks_.problem_count += directory.count - directory.first.size();
  }
}

/// "base/5/16384.1", "global/1262", "pg_tblspc/16400/PG_15_202209061/5/16500": the relation that a file is of.
void DatabaseCheck::name_damaged(const DamagedBlock& block) {
  const auto parts = core::split(block.file, '/');
  const std::string space = parts.front() == "global" ? "1664" : parts.front() == "pg_tblspc" ? parts[1] : "0";
  const auto node = parts.back().substr(0, parts.back().find_first_of("._"));
  std::string name = "an unknown relation";
  attempt("its catalogue", [&] {
    const auto rows = connection_.query("SELECT pg_filenode_relation($1::oid, $2::oid)::regclass::text", {space, node},
                                        left(kCatalogueDeadline));
    if (!rows.is_null(0, 0)) name = rows.text(0, 0);
  });
  problem(name, fmt::format("block {} fails its checksum (file {})", block.block, block.file));
}

/// Reads every row of the catalogues that say what there is.
void DatabaseCheck::check_catalogue() {
  const auto odd = connection_.query(
      "SELECT c.oid::regclass::text, c.relnatts, count(a.attrelid) FROM pg_class c LEFT JOIN pg_attribute a ON "
      "a.attrelid = c.oid AND a.attnum > 0 GROUP BY c.oid HAVING c.relnatts <> count(a.attrelid) LIMIT 20",
      {}, left(kCatalogueDeadline));
  for (std::size_t i = 0; i < odd.size(); ++i) {
    problem(odd.text(i, 0),
            fmt::format("it has {} columns, and the catalogue knows {}", odd.text(i, 1), odd.text(i, 2)));
  }
  connection_.query(
      "SELECT count(pg_get_indexdef(indexrelid)) FROM pg_index WHERE indexrelid < 16384 UNION ALL SELECT "
      "count(prosrc) FROM pg_proc UNION ALL SELECT count(typname) FROM pg_type UNION ALL SELECT count(conname) FROM "
      "pg_constraint UNION ALL SELECT count(classid) FROM pg_depend",
      {}, left(kCatalogueDeadline));
}

/// The source's statistics name pages that were there: they are written after the pages, and again when a table
/// shrinks. Of an unlogged relation every recovery leaves the empty file only.
void DatabaseCheck::check_files() {
  const auto rows = connection_.query(
      "SELECT c.oid::regclass::text, CASE c.relpersistence WHEN 'p' THEN c.relpages ELSE 0 END, "
      "coalesce(pg_relation_filepath(c.oid), ''), (pg_stat_file(pg_relation_filepath(c.oid), true)).size IS NULL, "
      "coalesce(pg_relation_size(c.oid) / current_setting('block_size')::int, 0) FROM pg_class c WHERE c.relkind IN "
      "('r', 'i', 't', 'm', 'S') AND c.relpersistence <> 't'",
      {}, left(kCatalogueDeadline));
  checks_.relations += rows.size();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto known = rows.integer(i, 1);
    const auto there = rows.integer(i, 4);
    if (rows.truth(i, 3)) {
      problem(rows.text(i, 0), fmt::format("its file {} is missing", rows.text(i, 2)));
    } else if (there + 8 < known - known / 10) {
      problem(rows.text(i, 0), fmt::format("it has {} pages, at the source it had {}", there, known));
    }
  }
}

/// The schema that its functions are in; nothing where the machine does not have it.
std::optional<std::string> DatabaseCheck::prepare_amcheck() {
  const auto there = connection_.query(
      "SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE "
      "e.extname = 'amcheck'");
  const auto known = connection_.query("SELECT 1 FROM pg_available_extensions WHERE name = 'amcheck'");
  if (known.empty()) return std::nullopt;
  if (!there.empty()) {
    connection_.query("ALTER EXTENSION amcheck UPDATE");
    return there.text(0, 0);
  }
  connection_.query(fmt::format("CREATE SCHEMA {}", kSchema));
  connection_.query(fmt::format("CREATE EXTENSION amcheck SCHEMA {}", kSchema));
  return std::string(kSchema);
}

std::vector<CheckedRelation> DatabaseCheck::list_relations() {
  const auto rows = connection_.query(
      fmt::format("SELECT c.oid::text, c.oid::regclass::text, i.indexrelid IS NOT NULL, i.indexprs IS NULL AND "
                  "i.indpred IS NULL AND i.indisvalid FROM pg_class c JOIN pg_am a ON a.oid = c.relam LEFT JOIN "
                  "pg_index i ON i.indexrelid = c.oid WHERE {} AND ((c.relkind IN ('r', 't', 'm') AND a.amname = "
                  "'heap') OR (c.relkind = 'i' AND a.amname = 'btree' AND i.indisready AND i.indislive AND "
                  "i.indisvalid)) ORDER BY c.oid",
                  kStored),
      {}, left(kCatalogueDeadline));
  std::vector<CheckedRelation> relations;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    relations.push_back({rows.text(i, 0), rows.text(i, 1), rows.truth(i, 2), !rows.is_null(i, 3) && rows.truth(i, 3)});
  }
  return relations;
}

void DatabaseCheck::check_relations() {
  const auto schema = prepare_amcheck();
  if (!schema) {
    note("its tables and indexes were not looked at: amcheck is not installed for this version");
    return;
  }
  const auto relations = list_relations();
  for (std::size_t i = 0; i < relations.size(); ++i) {
    if (stop_.stop_requested()) throw core::Error(core::Code::kCancelled, "the verification was stopped");
    if (time_until(until_).count() <= 0) {
      note(fmt::format("{} of {} tables and indexes were not looked at: there was no time left", relations.size() - i,
                       relations.size()));
      return;
    }
    if (request_.progress) request_.progress(i, relations.size());
    const auto& relation = relations[i];
    try {
      check_relation(*schema, relation);
    } catch (core::Error& error) {
      const auto object = fmt::format("{} {}", relation.index ? "index" : "table", relation.name);
      if (error.code() == core::Code::kDatabaseError) {
        problem(object, error.message());
        continue;
      }
      if (error.code() != core::Code::kTimeout) throw std::move(error).add_context(object);
      note(fmt::format("{} was given up: {}", object, error.message()));
      enter();
    }
  }
}

void DatabaseCheck::check_relation(const std::string& schema, const CheckedRelation& relation) {
  if (relation.index) {
    ++checks_.indexes;
    connection_.query(fmt::format("SELECT {}.bt_index_check($1::oid::regclass, $2::boolean)", schema),
                      {relation.oid, relation.plain ? "on" : "off"}, left(request_.deadline));
    return;
  }
  ++checks_.tables;
  const auto found =
      connection_.query(fmt::format("SELECT blkno, msg FROM {}.verify_heapam($1::oid::regclass, true)", schema),
                        {relation.oid}, left(request_.deadline));
  if (!found.empty()) {
    problem("table " + relation.name, fmt::format("block {}: {}", found.text(0, 0), found.text(0, 1)));
  }
}

void DatabaseCheck::estimate_rows() {
  const auto tables = connection_.query(
      fmt::format("SELECT c.oid::regclass::text, c.reltuples, least(100, 100.0 * {} / c.relpages) FROM pg_class c JOIN "
                  "pg_am a ON a.oid = c.relam WHERE {} AND c.relkind IN ('r', 'm') AND a.amname = 'heap' AND "
                  "c.reltuples >= {} AND c.relpages > 0 AND c.relpersistence = 'p' ORDER BY c.relpages DESC LIMIT {}",
                  kSampledPages, kStored, kFewRows, kSampledTables),
      {}, left(kCatalogueDeadline));
  for (std::size_t i = 0; i < tables.size(); ++i) {
    const auto seen = connection_.query(fmt::format("SELECT count(*) * 100.0 / {1} FROM ONLY {0} TABLESAMPLE SYSTEM "
                                                    "({1}) REPEATABLE (1)",
                                                    tables.text(i, 0), tables.text(i, 2)),
                                        {}, left(kCatalogueDeadline));
    const double expected = std::stod(tables.text(i, 1));
    const double estimated = std::stod(seen.text(0, 0));
    checks_.rows_expected += expected;
    checks_.rows_estimated += estimated;
    if (estimated * kOdd < expected || estimated > expected * kOdd) {
      note(fmt::format("{} has about {:.0f} rows, and the source's statistics say {:.0f}", tables.text(i, 0), estimated,
                       expected));
    }
  }
}

/// The server is there and has nobody enter the database: something of its files is wrong.
bool is_refusal(const core::Error& error, Connection& other) {
  if (error.code() == core::Code::kDatabaseError) return true;
  const auto& words = error.message();
  if (error.code() != core::Code::kDatabaseUnavailable || words.find("FATAL:") == std::string::npos) return false;
  if (blames_machine(words) || words.find("the database system is") != std::string::npos) return false;
  other.query("SELECT 1");
  return true;
}

class ClusterCheck {
 public:
  ClusterCheck(const ClusterCheckRequest& request, ClusterChecks& checks, std::stop_token stop)
      : request_(request),
        checks_(checks),
        until_(std::chrono::steady_clock::now() + request.deadline),
        stop_(std::move(stop)),
        first_(request.connect("postgres")) {}

  void run();

 private:
  void look(const std::string& name, const std::string& oid);
  void name_unclaimed();
  void problem(const std::string& what) {
    if (checks_.problems.size() < kKept) checks_.problems.push_back(what);
  }

  const ClusterCheckRequest& request_;
  ClusterChecks& checks_;
  const core::SteadyTime until_;
  const std::stop_token stop_;
  Connection first_;
  /// Which of the damaged directories a database has that was entered.
  std::vector<bool> claimed_ = std::vector<bool>(request_.damaged.size());
};

void ClusterCheck::run() {
  first_.query("UPDATE pg_catalog.pg_database SET datallowconn = true WHERE NOT datallowconn");
  const auto databases = first_.query(
      "SELECT datname, oid::text, datconnlimit = -2 FROM pg_catalog.pg_database ORDER BY datname <> 'postgres', oid");
  for (std::size_t i = 0; i < databases.size(); ++i) {
    const auto& name = databases.text(i, 0);
    if (databases.truth(i, 2)) {
      checks_.notes.push_back(fmt::format("database '{}' was being dropped: nobody can enter it", name));
      continue;
    }
    if (time_until(until_).count() <= 0) {
      checks_.notes.push_back(fmt::format("database '{}' was not looked at: there was no time left", name));
      continue;
    }
    try {
      look(name, databases.text(i, 1));
    } catch (core::Error& error) {
      if (stop_.stop_requested()) throw core::Error(core::Code::kCancelled, "the verification was stopped");
      throw std::move(error).add_context(fmt::format("database '{}'", name));
    }
  }
  name_unclaimed();
}

void ClusterCheck::look(const std::string& name, const std::string& oid) {
  ++checks_.databases;
  std::optional<DatabaseCheck> check;
  try {
    check.emplace(request_, name, oid, checks_, until_, stop_);
  } catch (const core::Error& error) {
    if (!is_refusal(error, first_)) throw;
    ++checks_.problem_count;
    return problem(fmt::format("database '{}': {}", name, error.message()));
  }
  for (std::size_t i = 0; i < request_.damaged.size(); ++i) {
    if (check->claims(request_.damaged[i])) claimed_[i] = true;
  }
  check->run();
}

/// Of a database that is in no catalogue, or that nobody can enter.
void ClusterCheck::name_unclaimed() {
  for (std::size_t i = 0; i < request_.damaged.size(); ++i) {
    if (claimed_[i]) continue;
    const auto& directory = request_.damaged[i];
    checks_.problem_count += directory.count;
    for (const auto& block : directory.first) {
      problem(fmt::format("block {} of the file {}, which is of no database that can be entered, fails its checksum",
                          block.block, block.file));
    }
  }
}

}  // namespace

bool blames_machine(std::string_view words) {
  constexpr std::array<std::string_view, 6> kBlames = {"No space left on device", "out of memory",
                                                       "Cannot allocate memory",  "Disk quota exceeded",
                                                       "Too many open files",     "terminated by signal 9"};
  return std::ranges::any_of(kBlames, [&](std::string_view blame) { return words.find(blame) != words.npos; });
}

void check_cluster(const ClusterCheckRequest& request, ClusterChecks& checks, std::stop_token stop) {
  ClusterCheck(request, checks, std::move(stop)).run();
}

}  // namespace backstay::postgres
