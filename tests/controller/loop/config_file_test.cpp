#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "controller/loop/config_file.h"
#include "tests/support/temporary_directory.h"

using namespace vipkeeper;

namespace {

std::string content(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::shared_ptr<const config::Fragment> fragment(std::string id, std::string text) {
  return std::make_shared<const config::Fragment>(
      config::Fragment{std::move(id), "keepalived.conf", 1, std::move(text)});
}

}  // namespace

TEST_CASE("the shown file is the fragments in order, and its directory is made", "[loop]") {
  const tests::TemporaryDirectory directory;
  const std::string path = directory.path + "/etc/keepalived/keepalived.conf";
  {
    loop::ConfigFile file(path);
    file.show({fragment("0", "one\n"), fragment("1", "two\n")});
    file.show({fragment("0", "one\n"), fragment("1", "three\n")});
  }
  CHECK(content(path) == "one\nthree\n");
  CHECK_FALSE(std::filesystem::exists(path + ".new"));
}

TEST_CASE("a path that cannot be written is a problem with its name and the remedy", "[loop]") {
  const tests::TemporaryDirectory directory;
  std::ofstream(directory.path + "/file") << "in the way";
  const auto result = loop::replace_file(directory.path + "/file/keepalived.conf", "text");
  REQUIRE_FALSE(result);
  CHECK(result.error().message.find("/file/keepalived.conf") != std::string::npos);
}

TEST_CASE("a replaced file is never seen half written", "[loop]") {
  const tests::TemporaryDirectory directory;
  const std::string path = directory.path + "/keepalived.conf";
  REQUIRE(loop::replace_file(path, std::string(100'000, 'a')));
  std::ifstream reader(path);
  REQUIRE(loop::replace_file(path, "b"));
  std::ostringstream seen;
  seen << reader.rdbuf();
  CHECK(seen.str().size() == 100'000);
  CHECK(content(path) == "b");
}
