#include "core/error.h"
#include "repository/pack_writer.h"

namespace backstay::repository {

PackUploader::PackUploader(Repository& repository, PackOptions options)
    : repository_(repository), options_(options), queue_(options.queued_packs) {
  for (unsigned i = 0; i < std::max(1U, options_.upload_threads); ++i) {
    threads_.emplace_back([this] { send_all(); });
  }
}

PackUploader::~PackUploader() { queue_.abort(); }

void PackUploader::send_all() {
  while (auto pack = queue_.pop()) {
    try {
      repository_.store().put(pack->key, pack->content);
    } catch (...) {
      {
        const core::LockGuard lock(mutex_);
        if (!error_) error_ = std::current_exception();
      }
      queue_.abort();  // Writers that wait for room must hear of it.
      return;
    }
    ++packs_stored_;
    bytes_stored_ += pack->content.size();
    const core::LockGuard lock(mutex_);
    free_buffers_.push_back(std::move(pack->content));
  }
}

void PackUploader::submit(Pack pack) {
  if (queue_.push(std::move(pack))) return;
  rethrow_error();
  throw core::Error(core::Code::kInternal, "a pack was handed in after the end of its backup");
}

core::Bytes PackUploader::take_buffer() {
  {
    const core::LockGuard lock(mutex_);
    if (!free_buffers_.empty()) {
      core::Bytes buffer = std::move(free_buffers_.back());
      free_buffers_.pop_back();
      return buffer;
    }
  }
  core::Bytes buffer;
  buffer.reserve(options_.target_size + 2 * kGroupSize);
  return buffer;
}

void PackUploader::rethrow_error() {
  std::exception_ptr error;
  {
    const core::LockGuard lock(mutex_);
    error = error_;
  }
  if (error) std::rethrow_exception(error);
}

void PackUploader::finish() {
  queue_.close();
  for (std::jthread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
  rethrow_error();
}

}  // namespace backstay::repository
