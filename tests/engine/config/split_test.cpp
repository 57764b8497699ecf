// A whole file in fragments: what stays, what moves, what is said twice.
#include <algorithm>
#include <catch2/catch.hpp>

#include <fmt/format.h>

#include "engine/config/language/include.h"
#include "tests/engine/config/support.h"

namespace vipkeeper::config {
namespace {

const std::string file_text =
    "! Configuration File for keepalived\n"
    "\n"
    "global_defs {\n"
    "  vrrp_version 3\n"
    "}\n"
    "\n"
    "vrrp_script chk {\n"
    "  script /bin/true\n"
    "}\n"
    "vrrp_instance VI_1 {\n"
    "  interface eth0\n"
    "  virtual_router_id 51\n"
    "  virtual_ipaddress {\n"
    "    192.0.2.1\n"
    "  }\n"
    "  track_script { chk }\n"
    "}\n"
    "\n"
    "# Service: default/dns\n"
    "virtual_server 192.0.2.1 53 {\n"
    "  protocol UDP\n"
    "  lb_algo rr\n"
    "  lb_kind NAT\n"
    "  real_server 10.0.0.5 53 { weight 1 }\n"
    "}\n"
    "virtual_server 192.0.2.1 53 {\n"
    "  protocol TCP\n"
    "  lb_algo rr\n"
    "  lb_kind NAT\n"
    "  real_server 10.0.0.5 53 { weight 1 }\n"
    "}\n";

std::vector<std::string> ids_of(const FragmentChange& change) {
  std::vector<std::string> ids;
  for (const auto& [id, fragment] : change) ids.push_back((fragment ? "" : "-") + id);
  return ids;
}

TEST_CASE("a file becomes one fragment a block, with the place it was cut from", "[config][split]") {
  const FragmentChange fragments = split("f.conf", file_text, {});
  CHECK(ids_of(fragments) == std::vector<std::string>{"0/globals", "1/script/chk", "1/vrrp/VI_1",
                                                      "2/vs/tcp 192.0.2.1 53", "2/vs/udp 192.0.2.1 53"});
  const Fragment& dns = *fragments.at("2/vs/udp 192.0.2.1 53");
  CHECK(dns.first_line == 19);
  CHECK(dns.file == "f.conf");
  CHECK(dns.text.starts_with("# Service: default/dns\nvirtual_server"));
  CHECK(dns.text.ends_with("}"));
  Configuration configuration;
  const auto result = configuration.apply(fragments);
  REQUIRE(result);
  CHECK(result->problems.empty());
  CHECK(result->delta.virtual_servers.size() == 2);
  CHECK(result->delta.virtual_servers.rbegin()->second->comment == "default/dns");
  CHECK(result->delta.virtual_servers.begin()->second->comment.empty());
}

TEST_CASE("unchanged blocks give the very same fragments and are not parsed again", "[config][split]") {
  const FragmentChange first = split("f.conf", file_text, {});
  Configuration configuration;
  REQUIRE(configuration.apply(first));
  const FragmentChange second = split("f.conf", file_text, first);
  for (const auto& [id, fragment] : second) CHECK(fragment == first.at(id));

  std::string edited = file_text;
  edited.replace(edited.rfind("weight 1"), 8, "weight 2");
  const auto result = configuration.apply(split("f.conf", edited, second));
  REQUIRE(result);
  CHECK(result->fragments_parsed == 1);
  CHECK(result->delta.virtual_servers.size() == 1);
  CHECK_FALSE(result->delta.vrrp_changed);
}

TEST_CASE("blocks that only moved in the file are no change, and their problems move with them", "[config][split]") {
  std::string warned = file_text;
  warned.replace(warned.find("  interface eth0\n"), 17, "  interface eth0\n  advert_int 0\n");
  const FragmentChange first = split("f.conf", warned, {});
  Configuration configuration;
  REQUIRE(configuration.apply(first));
  REQUIRE(configuration.problems().size() == 1);
  CHECK(configuration.problems()[0].where.line == 12);

  const auto result = configuration.apply(split("f.conf", "\n\n\n" + warned, first));
  REQUIRE(result);
  CHECK(result->fragments_parsed == 0);
  CHECK(result->delta.virtual_servers.empty());
  CHECK_FALSE(result->delta.vrrp_changed);
  REQUIRE(configuration.problems().size() == 1);
  CHECK(configuration.problems()[0].where.line == 15);
}

TEST_CASE("blocks that are gone from the file are removed", "[config][split]") {
  const FragmentChange first = split("f.conf", file_text, {});
  Configuration configuration;
  REQUIRE(configuration.apply(first));
  const FragmentChange second = split("f.conf", file_text.substr(0, file_text.find("# Service")), first);
  CHECK(second.at("2/vs/tcp 192.0.2.1 53") == nullptr);
  const auto result = configuration.apply(second);
  REQUIRE(result);
  CHECK(result->fragments_parsed == 0);
  CHECK(result->delta.virtual_servers.size() == 2);
  CHECK(configuration.virtual_server_count() == 0);
  // What is gone stays gone: it is not removed a second time.
  CHECK(ids_of(split("f.conf", file_text.substr(0, file_text.find("# Service")), second)) ==
        std::vector<std::string>{"0/globals", "1/script/chk", "1/vrrp/VI_1"});
}

TEST_CASE("a block said twice is reported with both places, not lost", "[config][split]") {
  const std::string twice = file_text + file_text.substr(file_text.rfind("virtual_server"));
  const FragmentChange fragments = split("f.conf", twice, {});
  CHECK(fragments.contains("2/vs/tcp 192.0.2.1 53#0002"));
  CHECK(lines_of(problems_in("f.conf", twice)) ==
        std::vector<std::string>{
            "f.conf:32:1: error: virtual_server tcp 192.0.2.1:53 is defined twice, first in f.conf:26:1, the first "
            "counts: remove one, or give them different ports or protocols"});
}

TEST_CASE("several global_defs add up, the later one wins", "[config][split]") {
  const ConfigDelta delta =
      parse_good("global_defs {\n router_id a\n vrrp_version 2\n}\nglobal_defs {\n vrrp_version 3\n}\n");
  CHECK(delta.globals.router_id == "a");
  CHECK(delta.globals.vrrp_version == 3);
}

TEST_CASE("two blocks on one line keep their columns", "[config][split]") {
  const auto problems = problems_in("f.conf", "vrrp_script a { script /bin/true } vrrp_script b { script }\n");
  CAPTURE(lines_of(problems));
  CHECK(std::ranges::any_of(problems, [](const Problem& p) {
    return p.where.line == 1 && p.where.column == 52 && p.severity == Severity::error;
  }));
}

TEST_CASE("text that is no configuration is reported, wherever it stands", "[config][split]") {
  for (const std::string text : {"}", "\n\n  }\n", "hello world\n", "a }", "{ }", "\"", "$X\n"}) {
    CAPTURE(text);
    CHECK_FALSE(problems_in("f.conf", text).empty());
    CHECK_FALSE(problems_in("f.conf", file_text + text).empty());
    CHECK_FALSE(problems_in("f.conf", text + "\n" + file_text).empty());
  }
  CHECK(problems_in("f.conf", "").empty());
  CHECK(problems_in("f.conf", "# nothing\n").empty());
}

TEST_CASE("fragments of a text with missing braces follow each other without overlap", "[config][split]") {
  const std::string text =
      "global_defs {\n  a {\n  }\n  b {\n    c\nvrrp_instance x {\n  d\n  e {\n    f\nvirtual_server 10.0.0.1 80 {\n";
  const FragmentChange fragments = split("f.conf", text, {});
  REQUIRE(fragments.size() == 3);
  std::string together;
  for (const auto& [id, fragment] : fragments) together += fragment->text + "\n";
  CHECK(together == text);
  CHECK(fragments.at("1/vrrp/x")->first_line == 6);
}

TEST_CASE("values take the place of their names from the definition on, in all texts of a configuration",
          "[config][split][variables]") {
  const FragmentChange fragments =
      split({{.file = "a.conf", .text = "$NET=10.0.0 # the office's\n  $VIP=${NET}.1/24\n"},
             {.file = "b.conf",
              .text = "vrrp_instance $NAME {\n interface eth0\n virtual_router_id 5\n"
                      "$NAME=late\n"
                      " virtual_ipaddress {\n  $VIP label ${NAME}\n  \"$NET.2\"\n }\n"
                      " notify \"/bin/sh -c 'echo $HOME $VIP2'\"\n}\n",
              .first_line = 7}},
            {});
  Configuration configuration;
  const auto result = configuration.apply(fragments);
  REQUIRE(result);
  CHECK(lines_of(result->problems).empty());
  REQUIRE(result->delta.instances.size() == 1);
  const VrrpInstance& instance = *result->delta.instances.front();
  CHECK(instance.name == "$NAME");
  REQUIRE(instance.addresses.size() == 2);
  CHECK(instance.addresses[0].prefix.to_string() == "10.0.0.1/24");
  CHECK(instance.addresses[0].label == "late");
  CHECK(instance.addresses[1].prefix.to_string() == "10.0.0.2/32");
  CHECK(instance.notify.any == "/bin/sh -c 'echo $HOME $VIP2'");
  CHECK(fragments.begin()->second->first_line == 7);

  SECTION("a changed value is a change of the blocks that use it, and of no others") {
    const std::string text =
        "global_defs {\n}\nvirtual_server 10.0.0.$A 80 {\n protocol TCP\n lb_algo rr\n lb_kind NAT\n "
        "real_server 10.0.0.$B 80 {\n }\n}\n";
    const FragmentChange first = split("f", "$A=1\n$B=2\n" + text, {});
    Configuration engine;
    REQUIRE(engine.apply(first));
    const auto changed = engine.apply(split("f", "$A=1\n$B=3\n" + text, first));
    REQUIRE(changed);
    CHECK(changed->fragments_parsed == 1);
    REQUIRE(changed->delta.virtual_servers.size() == 1);
    CHECK(changed->delta.virtual_servers.begin()->second->real_servers[0].address.to_string() == "10.0.0.3");
  }
}

TEST_CASE("definitions that grow without bound are left as they stand", "[config][split][variables]") {
  std::string text = "$A0=xxxxxxxxxx\n";
  for (int i = 1; i < 60; ++i) text += fmt::format("$A{}=$A{}$A{}\n", i, i - 1, i - 1);
  std::string uses;
  for (int i = 0; i < 2000; ++i) uses += fmt::format("$A6$A6$A6$A6$A6 $A{}\n", i % 60);
  std::size_t size = 0;
  for (const auto& [id, fragment] : split("f", text + uses, {})) size += fragment->text.size();
  CHECK(size > uses.size());
  CHECK(size < (text + uses).size() * 4 + 200'000);
  const auto problems = problems_in("f", "\n$A=" + std::string(1001, 'x') + "\n");
  REQUIRE(problems.size() == 1);
  CHECK(problems[0].where.line == 2);
  CHECK(problems[0].message.find("up to 1000 characters") != std::string::npos);
}

TEST_CASE("includes are found with what they want, wherever they stand", "[config][include]") {
  const std::string text =
      "include a.conf # one\nvrrp_instance V {\n  includem {b,c}.conf\n}\n\"include\" x\n includes y\n";
  const auto found = find_includes(text);
  REQUIRE(found.size() == 2);
  CHECK(found[0].pattern == "a.conf");
  CHECK(found[0].top_level);
  CHECK_FALSE(found[0].must_match);
  CHECK(text.substr(found[0].begin, found[0].end - found[0].begin) == "include a.conf");
  CHECK(found[1].must_match);
  CHECK_FALSE(found[1].top_level);
  CHECK(found[1].at == Position{3, 3});
  CHECK(find_includes("global_defs {\n}\n").empty());
}

TEST_CASE("an empty file removes everything, and is good", "[config][split]") {
  const FragmentChange first = split("f.conf", file_text, {});
  Configuration configuration;
  REQUIRE(configuration.apply(first));
  const auto result = configuration.apply(split("f.conf", "", first));
  REQUIRE(result);
  CHECK(result->delta.vrrp_changed);
  CHECK(result->delta.instances.empty());
  CHECK(result->delta.virtual_servers.size() == 2);
  CHECK(configuration.fragment_count() == 0);
}

}  // namespace
}  // namespace vipkeeper::config
