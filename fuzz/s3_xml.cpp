// What a store answers, which need not be a store.
#include "blob/s3_xml.h"

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace backstay;  // NOLINT(google-build-using-namespace)
  const auto xml = fuzz::Input(data, size).rest();
  const auto refusals = {core::Code::kStoreRefused};
  fuzz::parses({}, [&] { (void)blob::parse_s3_error(xml); });
  fuzz::parses(refusals, [&] { (void)blob::parse_list_page(xml); });
  fuzz::parses(refusals, [&] { (void)blob::parse_upload_id(xml); });
  fuzz::parses(refusals, [&] { (void)blob::parse_delete_result(xml); });
  fuzz::parses(refusals, [&] { (void)blob::parse_versioning_status(xml); });
  fuzz::parses(refusals, [&] { (void)blob::parse_lock_rule(xml); });
  return 0;
}
