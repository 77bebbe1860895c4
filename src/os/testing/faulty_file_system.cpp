#include "os/testing/faulty_file_system.h"

#include <fmt/format.h>

namespace backstay::os::testing {
namespace {

class FaultyReadable final : public ReadableFile {
 public:
  FaultyReadable(FaultyFileSystem& counter, std::unique_ptr<ReadableFile> inner)
      : counter_(counter), inner_(std::move(inner)) {}
  std::size_t read_at(std::uint64_t offset, core::MutableByteSpan out) override {
    counter_.count("read_at");
    return inner_->read_at(offset, out);
  }
  std::uint64_t size() override {
    counter_.count("size");
    return inner_->size();
  }

 private:
  FaultyFileSystem& counter_;
  std::unique_ptr<ReadableFile> inner_;
};

class FaultyWritable final : public WritableFile {
 public:
  FaultyWritable(FaultyFileSystem& counter, std::unique_ptr<WritableFile> inner)
      : counter_(counter), inner_(std::move(inner)) {}
  void write_at(std::uint64_t offset, core::ByteSpan data) override {
    counter_.count("write_at");
    inner_->write_at(offset, data);
  }
  void append(core::ByteSpan data) override {
    counter_.count("append");
    inner_->append(data);
  }
  void truncate(std::uint64_t size) override {
    counter_.count("truncate");
    inner_->truncate(size);
  }
  void sync() override {
    counter_.count("sync");
    inner_->sync();
  }
  void close() override {
    counter_.count("close");
    inner_->close();
  }

 private:
  FaultyFileSystem& counter_;
  std::unique_ptr<WritableFile> inner_;
};

}  // namespace

void FaultyFileSystem::fail_call(std::uint64_t n, core::Code code) {
  calls_ = 0;
  code_ = code;
  stay_failed_ = false;
  fail_at_ = n;
}

void FaultyFileSystem::fail_from(std::uint64_t n, core::Code code) {
  fail_call(n, code);
  stay_failed_ = true;
}

void FaultyFileSystem::count(const char* what) {
  const std::uint64_t call = ++calls_;
  const std::uint64_t fail_at = fail_at_;
  if (fail_at != 0 && (call == fail_at || (stay_failed_ && call > fail_at))) {
    throw core::Error(code_, fmt::format("call {} ({}) is made to fail", call, what));
  }
}

core::Bytes FaultyFileSystem::read_file(const Path& path) {
  count("read_file");
  return inner_->read_file(path);
}
std::optional<FileInfo> FaultyFileSystem::stat(const Path& path) {
  count("stat");
  return inner_->stat(path);
}
std::vector<DirEntry> FaultyFileSystem::list(const Path& path) {
  count("list");
  return inner_->list(path);
}
Path FaultyFileSystem::read_link(const Path& path) {
  count("read_link");
  return inner_->read_link(path);
}
std::unique_ptr<ReadableFile> FaultyFileSystem::open_read(const Path& path) {
  count("open_read");
  return std::make_unique<FaultyReadable>(*this, inner_->open_read(path));
}
std::unique_ptr<WritableFile> FaultyFileSystem::open_write(const Path& path) {
  count("open_write");
  return std::make_unique<FaultyWritable>(*this, inner_->open_write(path));
}
std::unique_ptr<WritableFile> FaultyFileSystem::create(const Path& path, mode_t mode) {
  count("create");
  return std::make_unique<FaultyWritable>(*this, inner_->create(path, mode));
}
std::unique_ptr<WritableFile> FaultyFileSystem::create_new(const Path& path, mode_t mode) {
  count("create_new");
  return std::make_unique<FaultyWritable>(*this, inner_->create_new(path, mode));
}
void FaultyFileSystem::rename(const Path& from, const Path& to) {
  count("rename");
  inner_->rename(from, to);
}
void FaultyFileSystem::remove(const Path& path) {
  count("remove");
  inner_->remove(path);
}
void FaultyFileSystem::remove_all(const Path& path) {
  count("remove_all");
  inner_->remove_all(path);
}
void FaultyFileSystem::make_directories(const Path& path, mode_t mode) {
  count("make_directories");
  inner_->make_directories(path, mode);
}
void FaultyFileSystem::make_symlink(const Path& target, const Path& link) {
  count("make_symlink");
  inner_->make_symlink(target, link);
}
void FaultyFileSystem::sync_directory(const Path& path) {
  count("sync_directory");
  inner_->sync_directory(path);
}
void FaultyFileSystem::sync_file_system(const Path& path) {
  count("sync_file_system");
  inner_->sync_file_system(path);
}
std::uint64_t FaultyFileSystem::free_space(const Path& path) {
  count("free_space");
  return inner_->free_space(path);
}
void FaultyFileSystem::set_owner(const Path& path, uid_t uid, gid_t gid) {
  count("set_owner");
  inner_->set_owner(path, uid, gid);
}
void FaultyFileSystem::set_mode(const Path& path, mode_t mode) {
  count("set_mode");
  inner_->set_mode(path, mode);
}

}  // namespace backstay::os::testing
