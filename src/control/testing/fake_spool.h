// A spool of dumps in memory; paths and URLs are what a test says.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "control/dump_spool.h"
#include "core/error.h"

namespace backstay::control::testing {

/// One thread at a time.
class FakeSpool final : public DumpSpool {
 public:
  std::map<std::string, std::string> dumps;
  /// What an URL has; others do not answer.
  std::map<std::string, std::string> urls;
  std::map<std::string, std::string> paths;
  std::uint64_t most_bytes = 1000;
  core::Timestamp now{};

  std::unique_ptr<SpoolFile> open(std::optional<std::uint64_t> expected) override {
    if (expected && *expected > most_bytes) throw core::Error(core::Code::kBodyTooLarge, "too long");
    return std::make_unique<File>(*this);
  }
  [[nodiscard]] bool contains(const std::string& name) const override { return dumps.contains(name); }
  void remove(const std::string& name) override { dumps.erase(name); }
  [[nodiscard]] std::vector<SpooledDump> list() const override {
    std::vector<SpooledDump> all;
    for (const auto& [name, content] : dumps) all.push_back({name, now});
    return all;
  }
  void check_path(const std::string& path) const override {
    if (paths.contains(path)) return;
    throw core::Error(core::Code::kPathNotAllowed, "no such root").with_field("/path", "lies below no root");
  }
  void check_url(const std::string& url) const override {
    if (url.starts_with("http")) return;
    throw core::Error(core::Code::kInvalidArgument, "no URL").with_field("/url", "must be an http or https URL");
  }
  void fetch(const std::string& url, SpoolFile& into,
             const std::function<void(std::uint64_t done, std::uint64_t total)>& progress, std::stop_token) override {
    const auto found = urls.find(url);
    if (found == urls.end()) throw core::Error(core::Code::kStoreUnreachable, "nobody answers");
    into.write(found->second);
    progress(found->second.size(), 0);
  }

  void fetch_object(const model::Destination& at, const std::string& key, SpoolFile& into,
                    const std::function<void(std::uint64_t done, std::uint64_t total)>& progress,
                    std::stop_token) override {
    const auto found = urls.find(at.url + "/" + key);
    if (found == urls.end()) throw core::Error(core::Code::kImportRefused, "there is no such object");
    into.write(found->second);
    progress(found->second.size(), found->second.size());
  }

 private:
  class File final : public SpoolFile {
   public:
    explicit File(FakeSpool& spool) : spool_(spool) {}
    void write(std::string_view bytes) override {
      content_ += bytes;
      if (content_.size() > spool_.most_bytes) throw core::Error(core::Code::kBodyTooLarge, "too long");
    }
    void keep(const std::string& name) override { spool_.dumps[name] = content_; }

   private:
    FakeSpool& spool_;
    std::string content_;
  };
};

}  // namespace backstay::control::testing
