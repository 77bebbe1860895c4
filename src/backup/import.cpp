#include "backup/import.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "backup/parallel.h"
#include "backup/tar_reader.h"
#include "core/error.h"
#include "core/random.h"
#include "core/text.h"
#include "os/file.h"
#include "os/file_system.h"
#include "postgres/dump_programs.h"

namespace backstay::backup {
namespace {

constexpr std::size_t kPiece = 1U << 20;
constexpr std::size_t kMostFiles = 200'000;
/// Beside the script, in scratch space.
constexpr std::string_view kArchive = "dump";
constexpr std::string_view kContents = "toc.dat";

[[noreturn]] void refuse(const std::string& message, const std::string& hint) {
  throw core::Error(core::Code::kImportRefused, message).with_hint(hint);
}

/// "toc.dat", "blobs.toc", "blob_16402.dat", "3345.dat.gz": what pg_dump puts into a directory.
bool is_part_of_dump(std::string_view name) {
  for (const std::string_view ending : {".gz", ".lz4", ".zst"}) {
    if (name.ends_with(ending)) name.remove_suffix(ending.size());
  }
  if (!name.ends_with(".dat") && !name.ends_with(".toc")) return false;
  name.remove_suffix(4);
  const auto known = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; };
  return !name.empty() && std::ranges::all_of(name, known);
}

/// A file without a name that only we can write, below a directory of ours.
os::Descriptor make_script(const Environment& environment, const std::filesystem::path& parent) {
  const auto path = parent / (environment.random.uuid() + ".sql");
  auto file = os::open_file(path, O_RDWR | O_CREAT | O_EXCL, 0600);
  environment.files.remove(path);
  return file;
}

class Import {
 public:
  Import(const Environment& environment, const ImportRequest& request, const ProgressCallback& progress,
         std::stop_token stop)
      : environment_(environment),
        request_(request),
        progress_(progress),
        stop_(std::move(stop)),
        info_(require_source()),
        scratch_(environment, request.scratch, info_.size, request.load.identity),
        files_(scratch_.path()),
        script_(make_script(environment, request.scratch.parent)),
        filter_([this](std::string_view text) { put_script(text); }),
        tar_({.begin = [this](const std::string& name, std::uint64_t) { begin_part(name); },
              .content = [this](core::ByteSpan bytes) { put_part(bytes); }}) {}

  ImportResult run() {
    info_.type == os::FileType::kDirectory ? lay_directory() : lay_file();
    part_ = {};
    if (format_ != DumpFormat::kPlain) convert();
    filter_.finish();
    flush_script();
    load();
    return {
        .format = *format_, .bytes = script_size_, .statements = filter_.statements(), .left_out = filter_.left_out()};
  }

 private:
  os::FileInfo require_source();
  void lay_file();
  void lay_directory();
  void take_content(core::ByteSpan bytes);
  void begin_content();
  void pass_on(core::ByteSpan bytes);
  void begin_directory();
  void begin_part(const std::string& name);
  void put_part(core::ByteSpan bytes);
  void put_script(std::string_view text);
  void flush_script();
  void convert();
  void load();
  [[nodiscard]] core::Error with_object(const core::Error& error) const;
  void claim(std::uint64_t& counter, std::size_t more);
  void tell(const char* phase, std::uint64_t done, std::uint64_t total) const {
    if (progress_) progress_({.phase = phase, .done = done, .total = total});
  }
  void check_stop() const {
    if (stop_.stop_requested()) throw core::Error(core::Code::kCancelled, "the import was stopped");
  }

  const Environment& environment_;
  const ImportRequest& request_;
  const ProgressCallback& progress_;
  const std::stop_token stop_;
  const os::FileInfo info_;
  ScratchDirectory scratch_;
  const os::UntrustedDirectory files_;
  const os::Descriptor script_;
  postgres::ScriptFilter filter_;
  TarReader tar_;

  std::optional<DumpFormat> format_;
  core::Bytes head_;
  os::Descriptor part_;
  std::uint64_t part_size_ = 0;
  std::size_t parts_ = 0;
  bool has_contents_ = false;
  std::uint64_t archive_size_ = 0;
  std::uint64_t passed_over_ = 0;
  std::string script_buffer_;
  std::uint64_t script_size_ = 0;
};

os::FileInfo Import::require_source() {
  auto info = request_.root.stat(request_.path);
  if (!info) throw core::Error(core::Code::kNotFound, fmt::format("there is no '{}' any more", request_.path));
  if (info->type != os::FileType::kFile && info->type != os::FileType::kDirectory) {
    throw core::Error(core::Code::kPathNotAllowed,
                      fmt::format("'{}' is neither a file nor a directory", request_.path));
  }
  return *info;
}

void Import::claim(std::uint64_t& counter, std::size_t more) {
  const bool checks = counter / kPiece != (counter + more) / kPiece;
  counter += more;
  if (request_.most_bytes && counter > *request_.most_bytes) {
    refuse(fmt::format("the dump is longer than {} when it is unpacked, and the service's plan does not hold so much",
                       core::format_bytes(*request_.most_bytes)),
           "choose a plan with more storage, or import less at a time");
  }
  if (checks) scratch_.check_room(archive_size_ + script_size_);
}

void Import::lay_file() {
  const os::Descriptor file = request_.root.open(request_.path, O_RDONLY);
  core::Bytes buffer(kPiece);
  std::uint64_t at = os::read_at(file.get(), 0, core::MutableByteSpan(buffer).first(kDumpHead));
  const auto recognised = recognise_dump(core::ByteSpan(buffer).first(at));
  std::unique_ptr<codec::StreamDecompressor> decompressor;
  if (recognised.compression) {
    decompressor = std::make_unique<codec::StreamDecompressor>(*recognised.compression,
                                                               [this](core::ByteSpan bytes) { take_content(bytes); });
  }
  const auto take = [&](core::ByteSpan bytes) { decompressor ? decompressor->feed(bytes) : take_content(bytes); };
  take(core::ByteSpan(buffer).first(at));
  while (const std::size_t got = os::read_at(file.get(), at, buffer)) {
    check_stop();
    take(core::ByteSpan(buffer).first(got));
    at += got;
    tell("unpack", at, info_.size);
  }
  if (decompressor) decompressor->finish();
  if (!format_) begin_content();
  if (format_ == DumpFormat::kTar) {
    tar_.finish();
    if (!has_contents_) refuse("the tar holds no dump of pg_dump: there is no toc.dat in it", "send what pg_dump made");
  }
}

void Import::take_content(core::ByteSpan bytes) {
  check_stop();
  if (format_) return pass_on(bytes);
  head_.insert(head_.end(), bytes.begin(), bytes.end());
  if (head_.size() >= kDumpHead) begin_content();
}

void Import::begin_content() {
  const auto recognised = recognise_dump(core::ByteSpan(head_).first(std::min(head_.size(), kDumpHead)));
  if (recognised.compression) refuse("the dump is compressed twice", "take one of the two off");
  format_ = recognised.format;
  if (request_.format && *request_.format != *format_) {
    refuse(fmt::format("it is a dump in {} form, not in {} form", to_text(*format_), to_text(*request_.format)),
           "leave the format out: the content tells it");
  }
  if (format_ == DumpFormat::kTar) begin_directory();
  if (format_ == DumpFormat::kCustom) part_ = files_.create(std::string(kArchive), request_.load.identity);
  pass_on(std::exchange(head_, {}));
}

void Import::pass_on(core::ByteSpan bytes) {
  if (format_ == DumpFormat::kPlain) return filter_.write(core::as_text(bytes));
  format_ == DumpFormat::kTar ? tar_.feed(bytes) : put_part(bytes);
}

/// pg_restore opens whatever file the table of contents names, "../" and all: only a user of the service's own keeps it
/// from what Backstay reads.
void Import::begin_directory() {
  if (!request_.load.identity) {
    refuse(
        fmt::format("a dump in {} form is not taken into a service without a user of its own: it could name any file "
                    "that Backstay's user may read",
                    to_text(*format_)),
        "send it in the plain or the custom form");
  }
  files_.make_directory(std::string(kArchive), request_.load.identity);
}

/// Of what else lies in a tar or a directory nothing is taken.
void Import::begin_part(const std::string& path) {
  const std::string name = path.substr(path.rfind('/') + 1);
  part_ = {};
  part_size_ = 0;
  if (!is_part_of_dump(name)) return;
  if (++parts_ > kMostFiles) refuse("the dump has too many files", "send it in the custom form");
  has_contents_ = has_contents_ || name == kContents;
  try {
    part_ = files_.create(fmt::format("{}/{}", kArchive, name), request_.load.identity);
  } catch (const core::Error& error) {
    if (error.code() != core::Code::kAlreadyExists) throw;
    refuse(fmt::format("the dump has more than one '{}'", name), "send one dump at a time");
  }
}

void Import::put_part(core::ByteSpan bytes) {
  // What is passed over was unpacked too.
  if (!part_.valid()) return claim(passed_over_, bytes.size());
  claim(archive_size_, bytes.size());
  os::write_at(part_.get(), part_size_, bytes);
  part_size_ += bytes.size();
}

void Import::lay_directory() {
  format_ = DumpFormat::kDirectory;
  if (request_.format && *request_.format != *format_) refuse("it is a directory", "leave the format out");
  begin_directory();
  core::Bytes buffer(kPiece);
  for (const auto& entry : request_.root.list(request_.path)) {
    if (entry.info.type != os::FileType::kFile) continue;
    begin_part(entry.name);
    if (!part_.valid()) continue;
    const os::Descriptor file = request_.root.open(request_.path + "/" + entry.name, O_RDONLY);
    while (const std::size_t got = os::read_at(file.get(), part_size_, buffer)) {
      check_stop();
      put_part(core::ByteSpan(buffer).first(got));
      tell("unpack", archive_size_, 0);
    }
  }
  if (!has_contents_) {
    refuse("the directory holds no dump of pg_dump: there is no toc.dat in it", "name the directory that pg_dump made");
  }
}

void Import::put_script(std::string_view text) {
  claim(script_size_, text.size());
  script_buffer_ += text;
  if (script_buffer_.size() >= kPiece) flush_script();
}

void Import::flush_script() {
  os::write_at(script_.get(), script_size_ - script_buffer_.size(), core::as_bytes(script_buffer_));
  script_buffer_.clear();
}

void Import::convert() {
  os::Command command = postgres::script_command({.installation = request_.load.installation,
                                                  .directory = scratch_.path() / kArchive,
                                                  .identity = request_.load.identity});
  command.on_output = [this](std::string_view text) {
    filter_.write(text);
    tell("convert", script_size_, 0);
  };
  const auto result = environment_.processes.run(command, stop_);
  if (result.exit_code == 0) return;
  throw postgres::dump_error(result, core::Code::kImportRefused)
      .with_hint(fmt::format("the pg_restore of PostgreSQL {} must be able to read it: make it with a pg_dump that is "
                             "not newer",
                             request_.load.installation.major));
}

void Import::load() {
  auto load = request_.load;
  load.script = script_.get();
  tell("load", 0, script_size_);
  std::atomic<bool> loaded = false;
  try {
    run_parallel(
        1, stop_,
        [&](const std::stop_token& stop) {
          postgres::load_script(environment_.processes, environment_.clock, environment_.random, load, stop);
          loaded = true;
        },
        [&] {
          scratch_.check_room(archive_size_ + script_size_);
          tell("load", static_cast<std::uint64_t>(std::max<off_t>(0, ::lseek(script_.get(), 0, SEEK_CUR))),
               script_size_);
        });
  } catch (const core::Error& error) {
    // A stop, or a full disk, that came too late to prevent it.
    if (loaded) return;
    if (error.code() != core::Code::kImportRefused || format_ == DumpFormat::kPlain) throw;
    throw with_object(error);
  }
}

/// The lines of a script that pg_restore made mean nothing to anybody: the object that it was at does.
core::Error Import::with_object(const core::Error& error) const {
  const std::string_view words = error.message();
  const auto colon = words.find(": ");
  const auto line = words.starts_with("line ") ? core::parse_int(words.substr(5, colon - 5)) : std::nullopt;
  if (!line) return error;
  std::string text;
  std::string object;
  std::int64_t number = 1;
  core::Bytes buffer(kPiece);
  for (std::uint64_t at = 0; number < *line;) {
    const std::size_t got = os::read_at(script_.get(), at, buffer);
    if (got == 0) break;
    at += got;
    text += core::as_text(core::ByteSpan(buffer).first(got));
    std::size_t begin = 0;
    for (auto end = text.find('\n'); end != std::string::npos && number < *line; end = text.find('\n', begin)) {
      const auto one = std::string_view(text).substr(begin, end - begin);
      const bool names = one.starts_with("-- Name: ") || one.starts_with("-- Data for Name: ");
      if (names) object = one.substr(3, std::min<std::size_t>(one.size() - 3, 200));
      begin = end + 1;
      ++number;
    }
    text.erase(0, begin);
  }
  if (object.empty()) return error;
  return core::Error(error.code(), fmt::format("{}: {}", object, words.substr(colon + 2))).with_hint(error.hint());
}

}  // namespace

ImportResult import_dump(const Environment& environment, const ImportRequest& request, const ProgressCallback& progress,
                         std::stop_token stop) {
  if (const auto problem = postgres::load_problem(request.load.installation)) {
    throw core::Error(core::Code::kNotSupported, *problem).with_hint("install the client programs of that version");
  }
  if (postgres::was_loaded(environment.clock, request.load, stop)) return {.loaded_before = true};
  return Import(environment, request, progress, std::move(stop)).run();
}

}  // namespace backstay::backup
