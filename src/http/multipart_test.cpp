#include "http/multipart.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace backstay::http {
namespace {

struct Read {
  std::string file;
  std::map<std::string, std::string, std::less<>> fields;
};

Read read(std::string_view body, std::size_t piece) {
  Read result;
  MultipartReader reader("XyZ", [&](std::string_view part) { result.file += part; });
  for (std::size_t at = 0; at < body.size(); at += piece) reader.write(body.substr(at, piece));
  reader.finish();
  result.fields = reader.fields();
  return result;
}

std::string file_part(const std::string& content) {
  return "--XyZ\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a;b\\\"=c.sql\"\r\nContent-Type: "
         "x/y\r\n\r\n" +
         content + "\r\n";
}
std::string field_part(const std::string& name, const std::string& value) {
  return "--XyZ\r\ncontent-disposition: form-data; name=" + name + "\r\n\r\n" + value + "\r\n";
}
constexpr std::string_view kEnd = "--XyZ--\r\n";

TEST(MultipartTest, ReadsTheFileAndTheFieldsInPiecesOfAnySize) {
  for (const std::string& content :
       {std::string(), std::string("SELECT 1;"), std::string("\r\n"), std::string("\r\n--XyY\r\n--Xy"),
        std::string("a\r\n\r\n--"), std::string(5000, '\r'), std::string("\0\1\2", 3)}) {
    const std::string body =
        field_part("format", "plain") + file_part(content) + field_part("x", "") + std::string(kEnd);
    for (const std::size_t piece : {1U, 2U, 3U, 11U, 4096U, 1U << 20}) {
      const auto result = read(body, piece);
      EXPECT_EQ(result.file, content) << piece;
      EXPECT_EQ(result.fields.at("format"), "plain");
      EXPECT_EQ(result.fields.at("x"), "");
    }
  }
}

TEST(MultipartTest, RefusesWhatIsNotWellFormed) {
  const std::vector<std::string> bodies{"",
                                        "SELECT 1;",
                                        std::string(9000, 'x'),
                                        file_part("a"),
                                        field_part("a", "b") + std::string(kEnd),
                                        file_part("a") + file_part("b") + std::string(kEnd),
                                        field_part("a", std::string(5000, 'b')) + file_part("") + std::string(kEnd),
                                        "--XyZ\r\nContent-Type: x/y\r\n\r\na\r\n--XyZ--\r\n",
                                        "--XyZ\r\n" + std::string(9000, 'h')};
  for (const auto& body : bodies) EXPECT_THROW(read(body, 100), core::Error) << body.substr(0, 100);
}

TEST(MultipartTest, FindsTheBoundary) {
  EXPECT_EQ(multipart_boundary("multipart/form-data; boundary=abc"), "abc");
  EXPECT_EQ(multipart_boundary("Multipart/Form-Data; charset=utf-8; Boundary=\"a b;c\""), "a b;c");
  EXPECT_EQ(multipart_boundary("application/sql"), std::nullopt);
  EXPECT_EQ(multipart_boundary("text/plain; boundary=abc"), std::nullopt);
  EXPECT_THROW(multipart_boundary("multipart/form-data"), core::Error);
  EXPECT_THROW(multipart_boundary("multipart/form-data; boundary="), core::Error);
  EXPECT_THROW(multipart_boundary("multipart/form-data; boundary=" + std::string(71, 'x')), core::Error);
}

}  // namespace
}  // namespace backstay::http
