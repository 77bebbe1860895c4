#include "providers/import_places.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"
#include "core/log.h"
#include "core/text.h"
#include "os/untrusted_directory.h"

namespace backstay::providers {
namespace {

constexpr mode_t kDirectoryMode = 0700;
constexpr mode_t kFileMode = 0600;
constexpr std::uint64_t kLookEvery = std::uint64_t{16} << 20;
constexpr std::chrono::hours kFetchDeadline{24};
/// Of an object, at a time.
constexpr std::uint64_t kPiece = std::uint64_t{8} << 20;
/// Of files that are being written.
constexpr std::string_view kUnfinished = ".part";

core::Error not_allowed(const std::string& path, const std::string& why) {
  return core::Error(core::Code::kPathNotAllowed, fmt::format("'{}' {}", path, why))
      .with_field("/path", why)
      .with_hint("name a file or a directory below a root that the operator allows (import.roots)");
}

}  // namespace

AllowedPath allowed_path(const std::string& path, std::span<const std::filesystem::path> roots) {
  if (roots.empty()) {
    throw core::Error(core::Code::kPathNotAllowed, "the operator allows no paths to import from")
        .with_field("/path", "is not possible here: no root is allowed")
        .with_hint("upload the dump, or have the operator set import.roots");
  }
  const auto wanted = std::filesystem::path(path).lexically_normal();
  for (const auto& root : roots) {
    const auto below = wanted.lexically_relative(root.lexically_normal());
    if (wanted.is_absolute() && !below.empty() && below != "." && *below.begin() != "..") {
      auto text = below.string();
      while (text.ends_with('/')) text.pop_back();
      return {root, text};
    }
  }
  throw not_allowed(path, "lies below no root that the operator allows");
}

std::filesystem::path spool_directory(const std::filesystem::path& services_directory) {
  return services_directory / "imports";
}

/// Written under a name of its own, which nobody looks for; renamed when it is whole.
class FileDumpSpool::File final : public control::SpoolFile {
 public:
  explicit File(const FileDumpSpool& spool)
      : spool_(spool),
        path_(spool.config_.directory / (spool.random_.uuid() + std::string(kUnfinished))),
        file_(spool.files_.create_new(path_, kFileMode)) {}
  ~File() override {
    if (kept_) return;
    try {
      spool_.files_.remove(path_);
    } catch (const core::Error& error) {
      core::log_warning("import.upload_left", "what there is of a dump stays until the next start removes it",
                        {{"path", path_.string()}, {"error", error.what()}});
    }
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  void write(std::string_view bytes) override {
    if (size_ + bytes.size() > spool_.config_.most_bytes) throw too_long(spool_.config_.most_bytes);
    if (size_ / kLookEvery != (size_ + bytes.size()) / kLookEvery) spool_.require_room(kLookEvery);
    file_->append(core::as_bytes(bytes));
    size_ += bytes.size();
  }
  void keep(const std::string& name) override {
    file_->sync();
    file_->close();
    spool_.files_.rename(path_, spool_.config_.directory / name);
    spool_.files_.sync_directory(spool_.config_.directory);
    kept_ = true;
  }
  static core::Error too_long(std::uint64_t limit) {
    return core::Error(core::Code::kBodyTooLarge,
                       fmt::format("the dump is longer than the {} that are taken", core::format_bytes(limit)))
        .with_hint("compress it (gzip, zstd, or pg_dump's custom form), or have import.max_upload_bytes raised");
  }

 private:
  const FileDumpSpool& spool_;
  const std::filesystem::path path_;
  std::unique_ptr<os::WritableFile> file_;
  std::uint64_t size_ = 0;
  bool kept_ = false;
};

void FileDumpSpool::require_room(std::uint64_t more) const {
  const auto free = files_.free_space(config_.directory);
  if (free >= config_.reserve && free - config_.reserve >= more) return;
  throw core::Error(core::Code::kDiskFull,
                    fmt::format("there is no room for the dump: {} are free, and {} must stay so",
                                core::format_bytes(free), core::format_bytes(config_.reserve)))
      .with_hint("compress the dump, or have the operator make room");
}

std::unique_ptr<control::SpoolFile> FileDumpSpool::open(std::optional<std::uint64_t> expected) {
  if (expected && *expected > config_.most_bytes) throw File::too_long(config_.most_bytes);
  files_.make_directories(config_.directory, kDirectoryMode);
  require_room(expected.value_or(0));
  return std::make_unique<File>(*this);
}

bool FileDumpSpool::contains(const std::string& name) const {
  return files_.stat(config_.directory / name).has_value();
}

void FileDumpSpool::remove(const std::string& name) { files_.remove(config_.directory / name); }

std::vector<control::SpooledDump> FileDumpSpool::list() const {
  std::vector<control::SpooledDump> dumps;
  if (!files_.stat(config_.directory)) return dumps;
  for (const auto& entry : files_.list(config_.directory)) {
    if (const auto info = files_.stat(config_.directory / entry.name)) dumps.push_back({entry.name, info->modified});
  }
  return dumps;
}

void FileDumpSpool::check_path(const std::string& path) const {
  const auto allowed = allowed_path(path, config_.roots);
  try {
    const auto info = os::UntrustedDirectory(allowed.root).stat(allowed.path);
    if (!info) {
      throw core::Error(core::Code::kNotFound, fmt::format("there is no '{}'", path))
          .with_field("/path", "does not exist");
    }
    if (info->type != os::FileType::kFile && info->type != os::FileType::kDirectory) {
      throw not_allowed(path, "is neither a file nor a directory");
    }
  } catch (const core::Error& error) {
    if (error.code() != core::Code::kPathNotAllowed || !error.fields().empty()) throw;
    throw not_allowed(path, "has a symbolic link on the way");
  }
}

void FileDumpSpool::check_url(const std::string& url) const {
  std::string host;
  try {
    host = http::parse_url(url).host;
  } catch (const core::Error& error) {
    throw core::Error(error.code(), error.message()).with_field("/url", "must be an http or https URL");
  }
  const bool numeric =
      host.find(':') != std::string::npos || host.find_first_not_of("0123456789.") == std::string::npos;
  const auto kind = http::classify_address(host);
  if (!numeric || config_.egress.allows(kind)) return;
  throw core::Error(core::Code::kEgressRefused,
                    fmt::format("'{}' is a {}, which may not be reached", host, http::describe(kind)))
      .with_field("/url", "names an address that may not be reached");
}

void FileDumpSpool::fetch(const std::string& url, control::SpoolFile& into,
                          const std::function<void(std::uint64_t done, std::uint64_t total)>& progress,
                          std::stop_token stop) {
  std::uint64_t done = 0;
  http::ClientRequest request{.url = url, .sink = [&](core::ByteSpan bytes) {
                                into.write(core::as_text(bytes));
                                done += bytes.size();
                                progress(done, 0);
                              }};
  request.deadline = kFetchDeadline;
  const auto answer = transport_.send(request, std::move(stop));
  if (answer.status == 200) return;
  throw core::Error(core::Code::kImportRefused,
                    fmt::format("the URL's server answered with status {} instead of the dump", answer.status))
      .with_hint("name the URL of the dump itself: redirects are not followed");
}

void FileDumpSpool::fetch_object(const model::Destination& at, const std::string& key, control::SpoolFile& into,
                                 const std::function<void(std::uint64_t done, std::uint64_t total)>& progress,
                                 std::stop_token stop) {
  const auto store = stores_.open(at);
  const auto found = store->head(key);
  if (!found) {
    throw core::Error(core::Code::kImportRefused,
                      fmt::format("there is no object '{}' at '{}'", key, store->description()));
  }
  for (std::uint64_t done = 0; done < found->size;) {
    if (stop.stop_requested()) throw core::Error(core::Code::kCancelled, "fetching the dump was cancelled");
    const auto piece = store->get_range(key, done, kPiece);
    if (!piece || piece->empty()) {
      throw core::Error(core::Code::kImportRefused, fmt::format("the object '{}' changed while it was read", key));
    }
    into.write(core::as_text(*piece));
    done += piece->size();
    progress(done, found->size);
  }
}

}  // namespace backstay::providers
