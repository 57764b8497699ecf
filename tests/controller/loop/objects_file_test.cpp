#include "controller/loop/objects_file.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/support/temporary_directory.h"

using namespace vipkeeper;
using namespace std::chrono_literals;
using objects::Wanted;

namespace {

const objects::StateOrigin origin = {
    .config_map = "default/vips", .watch_namespace = "", .node = "node1", .server = "https://10.96.0.1:443"};

objects::ObjectChange config_map(const std::string& value) {
  return {{objects::Kind::config_map, "default", "vips"},
          std::make_shared<const objects::Object>(objects::ConfigMap{.data = {{"10.0.0.50", value}}})};
}

std::string value_in(const objects::SavedState& state) {
  return std::get<objects::ConfigMap>(*state.objects.at(0).object).data.at("10.0.0.50");
}

template <class Condition>
bool eventually(Condition condition) {
  for (const auto end = Clock::now() + 20s; Clock::now() < end; std::this_thread::yield()) {
    if (condition()) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("what was noted is there for the next run", "[loop][outage]") {
  const tests::TemporaryDirectory directory;
  const std::string path = directory.path + "/objects.json";
  {
    loop::ObjectsFile file({.path = path, .origin = origin});
    CHECK(file.read(Wanted::all).error().code == ErrorCode::not_found);
    file.note({config_map("default/web")}, loop::GoodTexts{{"10.0.0.50", "default/old"}});
    file.note({config_map("default/new"), {{objects::Kind::node, "", "gone"}, nullptr}}, std::nullopt);
  }
  loop::ObjectsFile next({.path = path, .origin = origin});
  const auto state = next.read(Wanted::all);
  REQUIRE(state);
  REQUIRE(state->objects.size() == 1);
  CHECK(value_in(*state) == "default/new");
  CHECK(state->good_texts == loop::GoodTexts{{"10.0.0.50", "default/old"}});
  struct stat status{};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  CHECK_FALSE(std::filesystem::exists(path + ".new"));
}

TEST_CASE("while it runs it is written behind, not with every change", "[loop][outage]") {
  const tests::TemporaryDirectory directory;
  const std::string path = directory.path + "/objects.json";
  loop::ObjectsFile file({.path = path, .origin = origin, .pause = 1h});
  file.note({config_map("default/web")}, std::nullopt);
  REQUIRE(eventually([&] { return file.read(Wanted::all).has_value(); }));
  const auto first = std::filesystem::last_write_time(path);
  for (int i = 0; i < 1000; ++i) file.note({config_map(std::to_string(i))}, std::nullopt);
  CHECK(value_in(*file.read(Wanted::all)) == "default/web");
  CHECK(std::filesystem::last_write_time(path) == first);
}

TEST_CASE("a reader never sees half of it", "[loop][outage]") {
  const tests::TemporaryDirectory directory;
  const std::string path = directory.path + "/objects.json";
  loop::ObjectsFile file({.path = path, .origin = origin, .pause = 0s});
  file.note({config_map("0")}, std::nullopt);
  REQUIRE(eventually([&] { return file.read(Wanted::all).has_value(); }));
  for (int i = 1; i < 200; ++i) {
    file.note({config_map(std::string(100'000, 'x') + std::to_string(i))}, std::nullopt);
    REQUIRE(file.read(Wanted::all));
  }
}

TEST_CASE("a damaged or foreign file is refused in one line with its path, and stays", "[loop][outage]") {
  const tests::TemporaryDirectory directory;
  const std::string path = directory.path + "/objects.json";
  std::ofstream(path) << "hello\n";
  {
    loop::ObjectsFile file({.path = path, .origin = origin});
    CHECK(file.read(Wanted::good_texts).error().message == path + ": it is not vipkeeper's");
  }
  CHECK(std::filesystem::file_size(path) == 6);
  std::filesystem::remove(path);
  std::filesystem::create_directory(path);
  loop::ObjectsFile file({.path = path, .origin = origin});
  CHECK_FALSE(file.read(Wanted::all));
}

TEST_CASE("a directory that cannot be written to is a problem with its remedy", "[loop][outage]") {
  const tests::TemporaryDirectory directory;
  loop::ObjectsFile file({.path = directory.path + "/missing/objects.json", .origin = origin, .pause = 1h});
  file.note({config_map("default/web")}, std::nullopt);
  REQUIRE(eventually([&] { return !file.problem().empty(); }));
  CHECK(file.problem().find("/missing/objects.json") != std::string::npos);
  CHECK(file.problem().find("--run-dir") != std::string::npos);
}

TEST_CASE("told only to read, it writes nothing", "[loop][outage]") {
  const tests::TemporaryDirectory directory;
  const std::string path = directory.path + "/objects.json";
  {
    loop::ObjectsFile file({.path = path, .origin = origin, .writes = false});
    file.note({config_map("default/web")}, std::nullopt);
  }
  CHECK_FALSE(std::filesystem::exists(path));
}
