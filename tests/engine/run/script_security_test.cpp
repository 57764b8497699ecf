#include "engine/run/scripts/script_security.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "engine/run/scripts/script_identity.h"
#include "tests/support/temporary_directory.h"

using namespace vipkeeper;
using namespace vipkeeper::run;
using tests::TemporaryDirectory;

namespace {

// A script that others than root could replace, whoever runs the tests.
struct UnsafeScript {
  TemporaryDirectory directory;
  std::string path = directory.path + "/chk.sh";
  UnsafeScript() {
    std::ofstream(path) << "exit 0\n";
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    std::filesystem::permissions(directory.path, std::filesystem::perms::all);
  }
};

// In a user namespace even "/" may belong to nobody that is known.
bool system_is_roots() {
  struct stat status{};
  return ::stat("/", &status) == 0 && status.st_uid == 0;
}

std::shared_ptr<const config::VrrpScript> script(const std::string& name, const std::string& command,
                                                 const std::string& user) {
  auto result = std::make_shared<config::VrrpScript>();
  result->name = name;
  result->command = command;
  result->user = user;
  return result;
}

}  // namespace

TEST_CASE("what only root can replace has no replaceable part, through links and all", "[run][script][security]") {
  for (const char* path :
       {"/bin/sh", "/usr/bin/../bin/./sh", "//usr//bin/env", "/no/such/thing", "/tmp/no-such-thing"}) {
    INFO(path);
    const auto part = find_replaceable_part(path);
    if (system_is_roots())
      CHECK(part == std::nullopt);
    else
      CHECK(part->starts_with("/ belongs to user "));
  }
}

TEST_CASE("the first part of a path that others can write is named with the reason", "[run][script][security]") {
  const UnsafeScript unsafe;
  const std::string& directory = unsafe.directory.path;
  const auto part = find_replaceable_part(unsafe.path);
  REQUIRE(part);
  CHECK(part == find_replaceable_part(directory + "/sub/../chk.sh"));
  if (!system_is_roots()) return;
  CHECK(directory.starts_with(part->substr(0, part->find(' '))));
  // A link to a safe program is as unsafe as the place where it lies, and one from there to here.
  std::filesystem::create_symlink("/bin/true", directory + "/link");
  CHECK(find_replaceable_part(directory + "/link") == part);
  std::filesystem::create_symlink(directory, directory + "/again");
  CHECK(find_replaceable_part(directory + "/again/chk.sh") == part);
  std::filesystem::create_symlink("round", directory + "/round");
  CHECK(find_replaceable_part(directory + "/round") == part);
  CHECK_THAT(*find_replaceable_part("/dev/null"),
             Catch::StartsWith("/dev/null may be written by everyone (mode 0666)"));
}

TEST_CASE("a relative path is looked at from the working directory", "[run][script][security]") {
  const UnsafeScript unsafe;
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(unsafe.directory.path);
  const auto part = find_replaceable_part("chk.sh");
  std::filesystem::current_path(before);
  CHECK(part == find_replaceable_part(unsafe.path));
}

TEST_CASE("enable_script_security refuses to root what others can replace, and names it", "[run][script][security]") {
  const UnsafeScript unsafe;
  for (const std::string& command : {unsafe.path, unsafe.path + " argument", "/bin/true && " + unsafe.path}) {
    INFO(command);
    const auto refused = check_may_run(command, "root", true);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::permission);
    CHECK_THAT(refused.error().message, Catch::Contains("'" + unsafe.path + "' is not run: ") &&
                                            Catch::Contains(*find_replaceable_part(unsafe.path)) &&
                                            Catch::Contains("enable_script_security"));
  }
  // Whoever is not root harms nobody but himself.
  if (::geteuid() != 0 && ::getegid() != 0) CHECK(check_may_run(unsafe.path, "", true));
  CHECK(check_may_run(unsafe.path, "", false));
}

TEST_CASE("a user that this process cannot become is refused with the capability that is missing",
          "[run][script][security]") {
  const std::string other = ::geteuid() == 0 ? "nobody" : "root";
  const auto refused = check_may_run("/bin/true", other, false);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::permission);
  CHECK_THAT(refused.error().message, Catch::Contains("'" + other + "'") && Catch::Contains("SETUID and SETGID"));
  const auto unknown = check_may_run("/bin/true", "no-such-user", false);
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().code == ErrorCode::not_found);
  const auto group = check_may_run("/bin/true", "root no-such-group", false);
  REQUIRE_FALSE(group);
  CHECK(group.error().message == "group 'no-such-group' does not exist on this host");
}

TEST_CASE("a user without a group has its own, one with a group has that one", "[run][script][security]") {
  const auto root = find_identity("root");
  REQUIRE(root);
  CHECK(root->user == 0);
  CHECK(root->group == 0);
  CHECK(root->is_root());
  const auto daemon = find_identity("daemon");
  REQUIRE(daemon);
  CHECK_FALSE(daemon->is_root());
  const auto mixed = find_identity("daemon root");
  REQUIRE(mixed);
  CHECK(mixed->user == daemon->user);
  CHECK(mixed->group == 0);
  CHECK(mixed->is_root());
  CHECK(std::ranges::find(mixed->groups, gid_t{0}) != mixed->groups.end());
}

TEST_CASE("a refused check is as if nobody tracked it, a refused notify script as if there were none",
          "[run][script][security]") {
  const UnsafeScript unsafe;
  VrrpConfig config;
  config.globals.enable_script_security = true;
  config.scripts = {script("bad", unsafe.path, "root"), script("good", "/bin/true", ""),
                    script("unused", unsafe.path, "root")};
  config::VrrpInstance instance;
  instance.name = "vips";
  instance.track_scripts = {{"bad", 0, false}, {"good", 5, false}};
  instance.notify.master = "/bin/true";
  config.instances = {std::make_shared<const config::VrrpInstance>(instance)};

  auto problems = leave_out_refused_scripts(config);
  REQUIRE(problems.size() == 1);
  CHECK(problems[0].error);
  CHECK(problems[0].object == "vrrp_script bad");
  CHECK_THAT(problems[0].message, Catch::Contains(unsafe.path));
  CHECK(config.instances[0]->track_scripts == std::vector<config::TrackedScript>{{"good", 5, false}});
  CHECK(config.instances[0]->notify.master == "/bin/true");

  config.globals.script_user = "root";
  config.scripts.clear();
  instance.track_scripts.clear();
  instance.notify.master = unsafe.path;
  config.instances = {std::make_shared<const config::VrrpInstance>(instance)};
  problems = leave_out_refused_scripts(config);
  REQUIRE(problems.size() == 1);
  CHECK(problems[0].object == "notify script of vips");
  CHECK(config.instances[0]->notify.master.empty());

  config.globals.enable_script_security = false;
  config.globals.script_user = "";
  config.instances = {std::make_shared<const config::VrrpInstance>(instance)};
  CHECK(leave_out_refused_scripts(config).empty());
  CHECK(config.instances[0]->notify.master == unsafe.path);
}
