#include "engine/net/kernel_switches.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <map>

#include "tests/support/temporary_directory.h"

namespace vipkeeper::net {
namespace {

const std::vector<std::string> all{"net.ipv4.ip_forward", "net.ipv4.vs.conntrack", "net.ipv4.vs.expire_nodest_conn",
                                   "net.ipv4.vs.expire_quiescent_template"};

// A /proc/sys of its own.
struct Switches {
  tests::TemporaryDirectory directory;

  [[nodiscard]] std::string root() const { return directory.path; }
  [[nodiscard]] std::filesystem::path file(std::string name) const {
    for (char& c : name)
      if (c == '.') c = '/';
    return std::filesystem::path(root()) / name;
  }
  void set(const std::string& name, const std::string& value) const {
    std::filesystem::create_directories(file(name).parent_path());
    std::ofstream(file(name)) << value;
  }
  [[nodiscard]] std::string value(const std::string& name) const {
    std::string text;
    std::ifstream(file(name)) >> text;
    return text;
  }
};

TEST_CASE("switches that balancing needs are turned on where they are off", "[switches]") {
  const Switches host;
  for (const auto& name : all) host.set(name, name == all[1] ? "1\n" : "0\n");
  CHECK(prepare_kernel(host.root()).empty());
  for (const auto& name : all) CHECK(host.value(name) == "1");
}

TEST_CASE("a switch that cannot be turned on is named with its value and the remedy", "[switches]") {
  const Switches host;
  for (const auto& name : all) host.set(name, "1\n");
  std::filesystem::remove(host.file(all[2]));
  const auto missing = prepare_kernel(host.root());
  REQUIRE(missing.size() == 1);
  CHECK(missing[0].name == "net.ipv4.vs.expire_nodest_conn");
  CHECK(missing[0].message ==
        "cannot be read (No such file or directory): UDP clients of a real server that is gone get no answer until "
        "they pause; run \"sysctl -w net.ipv4.vs.expire_nodest_conn=1\" on the host");
  // The unit tests run without rights; /proc/sys is read-only for them, as it is in a container.
  host.set(all[2], "0\n");
  std::filesystem::permissions(host.file(all[2]), std::filesystem::perms::owner_read);
  if (std::ofstream(host.file(all[2]), std::ios::app)) return;  // as root: nothing is read-only
  const auto read_only = prepare_kernel(host.root());
  REQUIRE(read_only.size() == 1);
  CHECK(read_only[0].message.starts_with("is 0 and cannot be set to 1 from here (Permission denied): "));
}

}  // namespace
}  // namespace vipkeeper::net
