#include "api/testing/house_api.h"

namespace backstay::api::house {
namespace {

/// A body in pieces of a few bytes.
class TextSource final : public http::BodySource {
 public:
  explicit TextSource(std::string text) : text_(std::move(text)) {}
  std::string_view next() override {
    const auto piece = std::string_view(text_).substr(at_, 7);
    at_ += piece.size();
    return piece;
  }
  [[nodiscard]] std::optional<std::uint64_t> length() const override { return text_.size(); }

 private:
  const std::string text_;
  std::size_t at_ = 0;
};

class ImportRoutesTest : public testing::HouseApiTest {
 protected:
  ImportRoutesTest() : service_(world_.make_service()) {}

  http::Request upload(const std::string& type, const std::string& content, const std::string& query = "") {
    auto head = request("POST", "/api/managed-services/" + service_.id + "/imports" + query);
    head.headers.set("Content-Type", type);
    head.upload = std::make_shared<TextSource>(content);
    return head;
  }
  /// What a request sent ends up as in the spool, with the format that was told.
  std::string taken(const http::Request& upload) {
    const auto response = handle(upload);
    EXPECT_EQ(response.status, 202) << response.body;
    if (response.status != 202) return {};
    const auto id = core::require_string(core::parse_json(response.body).as_object(), "id");
    const auto operation = world_.queries->operation(id, world_.admin);
    const auto text = world_.spool.dumps.at(core::require_string(operation.request, "spooled"));
    world_.settle();
    return core::find_string(operation.request, "format").value_or("any") + ":" + text;
  }

  model::Service service_;
};

TEST_F(ImportRoutesTest, TakesRawBodiesAndForms) {
  EXPECT_EQ(taken(upload("application/sql", "SELECT 1; SELECT 2;")), "any:SELECT 1; SELECT 2;");
  EXPECT_EQ(taken(upload("", "SELECT 1;", "?format=plain")), "plain:SELECT 1;");
  const std::string form =
      "--x\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\nSELECT 1;\r\n"
      "--x\r\nContent-Disposition: form-data; name=format\r\n\r\ncustom\r\n--x--\r\n";
  EXPECT_EQ(taken(upload("multipart/form-data; boundary=x", form)), "custom:SELECT 1;");
}

TEST_F(ImportRoutesTest, RefusesAndKeepsNothing) {
  const std::vector<http::Request> refused{
      upload("multipart/form-data", "x"), upload("multipart/form-data; boundary=x", "--x\r\nno end"),
      upload("application/sql", "SELECT 1;", "?format=zip"), upload("application/sql", std::string(2000, 'x'))};
  for (const auto& one : refused) EXPECT_GE(handle(one).status, 400);
  EXPECT_TRUE(world_.spool.dumps.empty());
  EXPECT_EQ(world_.count_events(service_.id, "import.started"), 0u);
}

TEST_F(ImportRoutesTest, TakesJsonThatSaysWhere) {
  world_.spool.paths["/dumps/a"] = "SELECT 1;";
  const auto path = "/api/managed-services/" + service_.id + "/imports";
  EXPECT_EQ(send("POST", path, R"({"path":"/dumps/a"})").status, 202);
  EXPECT_EQ(send("POST", path, R"({"path":"/dumps/a"})").status, 400);  // one at a time
  EXPECT_EQ(send("POST", path, R"({"path":"/dumps/a","more":1})").status, 400);
  EXPECT_EQ(send("POST", path, "").status, 400);
}

TEST_F(ImportRoutesTest, OnlyTheCallThatTakesFilesGetsThem) {
  auto head = request("POST", "/api/managed-services/" + service_.id + "/imports");
  EXPECT_TRUE(routes_.is_upload(head));
  head.headers.set("Content-Type", "multipart/form-data; boundary=x");
  EXPECT_TRUE(routes_.is_upload(head));
  head.headers.set("Content-Type", "Application/JSON; charset=utf-8");
  EXPECT_FALSE(routes_.is_upload(head));
  for (const char* path : {"/api/managed-services", "/api/managed-services/x/imports/y", "/managed-services/x/imports",
                           "/nowhere", "/api/managed-services/%q/imports"}) {
    EXPECT_FALSE(routes_.is_upload(request("POST", path))) << path;
  }
}

}  // namespace
}  // namespace backstay::api::house
