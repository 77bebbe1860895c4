// A server as a backup sees it: files of pages, and WAL. Every byte follows from where it is and how often it was
// changed, so that what was restored can be judged without keeping anything.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "postgres/relation_fork.h"
#include "postgres/wal_parser.h"
#include "repository/segment_index.h"
#include "simulation/turns.h"

namespace backstay::simulation {

constexpr std::uint64_t kPageSize = 8192;
/// The smallest that the format takes.
constexpr std::uint64_t kSegmentSize = 1024 * 1024;

struct ModelFile {
  std::string path = {};
  std::uint64_t id = 0;
  std::uint64_t size = 0;
  /// How often each page was changed.
  std::vector<std::uint32_t> pages = {};

  [[nodiscard]] postgres::RelationFork fork() const;
  void fill(std::uint64_t page, core::MutableByteSpan out) const;
  [[nodiscard]] std::uint64_t page_length(std::uint64_t page) const;
  [[nodiscard]] core::Bytes content() const;
};

/// A record of the WAL, and the page or the relation that it changes, if it does.
struct ModelRecord {
  postgres::Lsn start = {};
  postgres::Lsn end = {};
  std::optional<postgres::RelationFork> of = {};
  /// Nothing: the relation is new.
  std::optional<std::uint32_t> page = {};

  /// As a server writes it.
  void read(const std::function<void(const postgres::WalRecord&)>& use) const;
};

class ModelServer {
 public:
  ModelServer(Dice& dice, std::string instance);

  [[nodiscard]] const std::string& instance() const { return instance_; }
  /// In path order.
  [[nodiscard]] const std::vector<ModelFile>& files() const { return files_; }
  [[nodiscard]] std::uint64_t lsn() const { return lsn_; }
  [[nodiscard]] std::uint64_t first_lsn() const { return first_lsn_; }
  /// One after the other.
  [[nodiscard]] const std::vector<ModelRecord>& records() const { return records_; }
  /// Writes so much WAL, and changes some pages if it is any.
  void work(Dice& dice, std::uint64_t wal);

  [[nodiscard]] core::Bytes wal(std::uint64_t from, std::uint64_t to) const;
  /// A commit ends at every multiple of kPageSize, at a time that its position tells.
  static repository::SegmentIndex index(std::uint64_t from, std::uint64_t to);

  /// What the slot keeps WAL from.
  std::uint64_t slot = 0;
  /// What was let go of is not sent any more.
  std::uint64_t kept_from = 0;

 private:
  void write(std::uint64_t wal, std::optional<postgres::RelationFork> of, std::optional<std::uint32_t> page);

  std::string instance_;
  std::uint64_t seed_;
  std::uint64_t first_lsn_;
  std::uint64_t lsn_;
  std::uint64_t next_file_ = 0;
  std::vector<ModelFile> files_;
  std::vector<ModelRecord> records_;
};

}  // namespace backstay::simulation
