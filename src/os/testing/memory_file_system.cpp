#include "os/testing/memory_file_system.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "core/error.h"

namespace backstay::os::testing {

struct MemoryFileSystem::Node {
  explicit Node(FileType node_type, mode_t node_mode = 0755) : type(node_type), mode(node_mode) {}

  void crash() {
    content = durable_content;
    children = durable_children;
    for (auto& [name, child] : children) child->crash();
  }
  void sync_all() {
    durable_content = content;
    durable_children = children;
    for (auto& [name, child] : children) child->sync_all();
  }
  [[nodiscard]] std::uint64_t used() const {
    std::uint64_t sum = content.size();
    for (const auto& [name, child] : children) sum += child->used();
    return sum;
  }

  using Children = std::map<std::string, std::shared_ptr<Node>>;
  FileType type;
  mode_t mode;
  uid_t uid = 0;
  gid_t gid = 0;
  core::Bytes content;  // a symlink's target, too
  core::Bytes durable_content;
  Children children;
  Children durable_children;
};

struct MemoryFileSystem::State {
  core::Mutex mutex;
  std::shared_ptr<Node> root = std::make_shared<Node>(FileType::kDirectory);
  std::uint64_t capacity = UINT64_MAX;

  static std::vector<std::string> parts(const Path& path) {
    std::vector<std::string> names;
    for (const auto& part : path.lexically_normal()) {
      if (!part.empty() && part != "/" && part != ".") names.push_back(part.native());
    }
    return names;
  }
  std::shared_ptr<Node> find(const Path& path) const {
    std::shared_ptr<Node> node = root;
    for (const std::string& name : parts(path)) {
      const auto child = node->children.find(name);
      if (child == node->children.end()) return nullptr;
      node = child->second;
    }
    return node;
  }
  std::shared_ptr<Node> require(const Path& path) const {
    auto node = find(path);
    if (!node) {
      throw core::Error(core::Code::kNotFound, fmt::format("'{}': no such file or directory", path.native()));
    }
    return node;
  }
  std::shared_ptr<Node> require(const Path& path, FileType type) const {
    auto node = require(path);
    if (node->type != type) {
      throw core::Error(core::Code::kIoError, fmt::format("'{}' is of another type", path.native()));
    }
    return node;
  }
  std::shared_ptr<Node> parent(const Path& path) const {
    return require(path.lexically_normal().parent_path(), FileType::kDirectory);
  }
  static std::string name(const Path& path) { return path.lexically_normal().filename().native(); }

  void resize(Node& node, std::uint64_t size) const {
    if (size > node.content.size() && root->used() + size - node.content.size() > capacity) {
      throw core::Error(core::Code::kDiskFull, "no space left in memory");
    }
    node.content.resize(size);
  }
};

class MemoryFileSystem::File final : public ReadableFile, public WritableFile {
 public:
  File(std::shared_ptr<State> state, std::shared_ptr<Node> node) : state_(std::move(state)), node_(std::move(node)) {}

  std::size_t read_at(std::uint64_t offset, core::MutableByteSpan out) override {
    const core::LockGuard lock(state_->mutex);
    if (offset >= node_->content.size()) return 0;
    const std::size_t length = std::min<std::size_t>(out.size(), node_->content.size() - offset);
    if (length > 0) std::memcpy(out.data(), node_->content.data() + offset, length);
    return length;
  }
  std::uint64_t size() override {
    const core::LockGuard lock(state_->mutex);
    return node_->content.size();
  }
  void write_at(std::uint64_t offset, core::ByteSpan data) override {
    const core::LockGuard lock(state_->mutex);
    write(offset, data);
  }
  void append(core::ByteSpan data) override {
    const core::LockGuard lock(state_->mutex);
    write(node_->content.size(), data);
  }
  void truncate(std::uint64_t size) override {
    const core::LockGuard lock(state_->mutex);
    state_->resize(*node_, size);
  }
  void sync() override {
    const core::LockGuard lock(state_->mutex);
    node_->durable_content = node_->content;
  }
  void close() override {}

 private:
  void write(std::uint64_t offset, core::ByteSpan data) {
    if (data.empty()) return;
    state_->resize(*node_, std::max<std::uint64_t>(node_->content.size(), offset + data.size()));
    std::memcpy(node_->content.data() + offset, data.data(), data.size());
  }
  std::shared_ptr<State> state_;
  std::shared_ptr<Node> node_;
};

MemoryFileSystem::MemoryFileSystem() : state_(std::make_shared<State>()) {
  state_->root->children["tmp"] = std::make_shared<Node>(FileType::kDirectory);
  state_->root->sync_all();
}
MemoryFileSystem::~MemoryFileSystem() = default;

void MemoryFileSystem::crash() {
  const core::LockGuard lock(state_->mutex);
  state_->root->crash();
}

void MemoryFileSystem::set_capacity(std::uint64_t bytes) {
  const core::LockGuard lock(state_->mutex);
  state_->capacity = bytes;
}

core::Bytes MemoryFileSystem::read_file(const Path& path) {
  const core::LockGuard lock(state_->mutex);
  return state_->require(path, FileType::kFile)->content;
}

std::optional<FileInfo> MemoryFileSystem::stat(const Path& path) {
  const core::LockGuard lock(state_->mutex);
  const auto node = state_->find(path);
  if (!node) return std::nullopt;
  return FileInfo{.type = node->type,
                  .size = node->content.size(),
                  .mode = node->mode,
                  .uid = node->uid,
                  .gid = node->gid,
                  .modified = {}};
}

std::vector<DirEntry> MemoryFileSystem::list(const Path& path) {
  const core::LockGuard lock(state_->mutex);
  std::vector<DirEntry> entries;
  for (const auto& [name, child] : state_->require(path, FileType::kDirectory)->children) {
    entries.push_back({name, child->type});
  }
  return entries;
}

Path MemoryFileSystem::read_link(const Path& path) {
  const core::LockGuard lock(state_->mutex);
  return std::string(core::as_text(state_->require(path, FileType::kSymlink)->content));
}

std::unique_ptr<ReadableFile> MemoryFileSystem::open_read(const Path& path) {
  const core::LockGuard lock(state_->mutex);
  return std::make_unique<File>(state_, state_->require(path, FileType::kFile));
}

std::unique_ptr<WritableFile> MemoryFileSystem::open_write(const Path& path) {
  const core::LockGuard lock(state_->mutex);
  return std::make_unique<File>(state_, state_->require(path, FileType::kFile));
}

std::unique_ptr<WritableFile> MemoryFileSystem::create(const Path& path, mode_t mode) {
  const core::LockGuard lock(state_->mutex);
  auto& slot = state_->parent(path)->children[State::name(path)];
  if (!slot) slot = std::make_shared<Node>(FileType::kFile);
  if (slot->type != FileType::kFile) {
    throw core::Error(core::Code::kIoError, fmt::format("'{}' is of another type", path.native()));
  }
  slot->mode = mode;
  slot->content.clear();
  return std::make_unique<File>(state_, slot);
}

std::unique_ptr<WritableFile> MemoryFileSystem::create_new(const Path& path, mode_t mode) {
  const core::LockGuard lock(state_->mutex);
  auto& slot = state_->parent(path)->children[State::name(path)];
  if (slot) throw core::Error(core::Code::kAlreadyExists, fmt::format("'{}' exists", path.native()));
  slot = std::make_shared<Node>(FileType::kFile);
  slot->mode = mode;
  return std::make_unique<File>(state_, slot);
}

void MemoryFileSystem::rename(const Path& from, const Path& to) {
  const core::LockGuard lock(state_->mutex);
  const auto node = state_->require(from);
  const auto target = state_->find(to);
  if (target && target->type == FileType::kDirectory && !target->children.empty()) {
    throw core::Error(core::Code::kIoError, fmt::format("'{}' is not empty", to.native()));
  }
  state_->parent(to)->children[State::name(to)] = node;
  state_->parent(from)->children.erase(State::name(from));
}

void MemoryFileSystem::remove(const Path& path) {
  const core::LockGuard lock(state_->mutex);
  const auto node = state_->find(path);
  if (!node) return;
  if (!node->children.empty()) {
    throw core::Error(core::Code::kIoError, fmt::format("'{}' is not empty", path.native()));
  }
  state_->parent(path)->children.erase(State::name(path));
}

void MemoryFileSystem::remove_all(const Path& path) {
  const core::LockGuard lock(state_->mutex);
  if (state_->find(path)) state_->parent(path)->children.erase(State::name(path));
}

void MemoryFileSystem::make_directories(const Path& path, mode_t mode) {
  const core::LockGuard lock(state_->mutex);
  std::shared_ptr<Node> node = state_->root;
  for (const std::string& name : State::parts(path)) {
    auto& child = node->children[name];
    if (!child) child = std::make_shared<Node>(FileType::kDirectory, mode);
    if (child->type != FileType::kDirectory) {
      throw core::Error(core::Code::kIoError, fmt::format("'{}' is not a directory", name));
    }
    node = child;
  }
}

void MemoryFileSystem::make_symlink(const Path& target, const Path& link) {
  const core::LockGuard lock(state_->mutex);
  auto& slot = state_->parent(link)->children[State::name(link)];
  if (slot) throw core::Error(core::Code::kIoError, fmt::format("'{}' exists", link.native()));
  slot = std::make_shared<Node>(FileType::kSymlink);
  slot->content = slot->durable_content = core::to_bytes(target.native());
}

void MemoryFileSystem::sync_directory(const Path& path) {
  const core::LockGuard lock(state_->mutex);
  const auto node = state_->require(path, FileType::kDirectory);
  node->durable_children = node->children;
}

void MemoryFileSystem::sync_file_system(const Path& path) {
  const core::LockGuard lock(state_->mutex);
  static_cast<void>(state_->require(path));
  state_->root->sync_all();
}

std::uint64_t MemoryFileSystem::free_space(const Path& path) {
  const core::LockGuard lock(state_->mutex);
  static_cast<void>(state_->require(path));
  return state_->capacity - std::min(state_->capacity, state_->root->used());
}

void MemoryFileSystem::set_owner(const Path& path, uid_t uid, gid_t gid) {
  const core::LockGuard lock(state_->mutex);
  const auto node = state_->require(path);
  node->uid = uid;
  node->gid = gid;
}

void MemoryFileSystem::set_mode(const Path& path, mode_t mode) {
  const core::LockGuard lock(state_->mutex);
  state_->require(path)->mode = mode;
}

}  // namespace backstay::os::testing
