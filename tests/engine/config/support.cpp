#include "tests/engine/config/support.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

namespace vipkeeper::config {

ConfigDelta parse_good(std::string_view text) {
  Configuration configuration;
  auto result = configuration.apply(split("test.conf", text, {}));
  INFO(text);
  if (!result) {
    CAPTURE(lines_of(result.error()));
    FAIL("the text was expected to be good");
  }
  return std::move(result->delta);
}

VrrpInstance only_instance(std::string_view text) {
  const ConfigDelta delta = parse_good(text);
  REQUIRE(delta.instances.size() == 1);
  return *delta.instances.front();
}

VirtualServer only_server(std::string_view text) {
  const ConfigDelta delta = parse_good(text);
  REQUIRE(delta.virtual_servers.size() == 1);
  REQUIRE(delta.virtual_servers.begin()->second);
  return *delta.virtual_servers.begin()->second;
}

VrrpScript only_script(std::string_view text) {
  const ConfigDelta delta = parse_good(text);
  REQUIRE(delta.scripts.size() == 1);
  return *delta.scripts.front();
}

std::string read_seed(const std::string& name) { return read_text(std::string(VIPKEEPER_CONFIG_SEEDS) + "/" + name); }

std::string read_text(const std::string& path) {
  std::ifstream file(path);
  REQUIRE(file.good());
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace vipkeeper::config
