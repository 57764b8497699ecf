#include "controller/render/templates.h"

#include <catch2/catch.hpp>

#include "controller/render/values.h"

namespace vipkeeper::render {
namespace {

std::string refusal(const TemplateTexts& texts) {
  const auto templates = Templates::from_texts(texts);
  REQUIRE_FALSE(templates);
  CHECK(templates.error().code == ErrorCode::invalid_input);
  return templates.error().message;
}

TEST_CASE("the built-in templates parse and name only what has a value", "[render][templates]") {
  const auto templates = Templates::from_texts({});
  if (!templates) FAIL(templates.error().message);
  CHECK_NOTHROW(Templates::built_in());
}

TEST_CASE("a user's template stands in for the built-in one, without HTML escapes", "[render][templates]") {
  const auto templates = Templates::from_texts({{"globals.mustache", "global_defs {\n  router_id here\n}\n"},
                                                {"virtual_server.mustache",
                                                 "{{service}}|{{{service}}}|{{&service}}"
                                                 "{{#real_servers}} {{address}}{{/real_servers}}"}});
  if (!templates) FAIL(templates.error().message);
  CHECK(templates->render("globals.mustache", {}) == "global_defs {\n  router_id here\n}\n");
  Values values;
  values.text("service", "a<b&c");
  std::vector<Values> servers(2);
  servers[0].text("address", "10.2.0.5");
  servers[1].text("address", "10.2.0.6");
  values.list("real_servers", std::move(servers));
  CHECK(templates->render("virtual_server.mustache", values) == "a<b&c|a<b&c|a<b&c 10.2.0.5 10.2.0.6");
}

TEST_CASE("templates that are refused, with file, line, column and cause", "[render][templates]") {
  struct Row {
    const char* file;
    const char* text;
    const char* message;
  };
  const Row rows[] = {
      {"vrrp_instance.mustache", "a\n  b {{name", "template vrrp_instance.mustache:2:5: Unclosed tag"},
      {"vrrp_instance.mustache", "\n{{#unicast}}\nx\n",
       "template vrrp_instance.mustache:2:1: Unclosed section \"unicast\""},
      {"vrrp_instance.mustache", "x {{/unicast}}", "template vrrp_instance.mustache:1:3: Unopened section \"unicast\""},
      {"vrrp_instance.mustache", "{{#unicast}}{{/notify}}",
       "template vrrp_instance.mustache:1:1: Unclosed section \"unicast\""},
      {"vrrp_instance.mustache", "{{=<% %}}", "template vrrp_instance.mustache:1:1: Invalid set delimiter tag"},
      {"vrrp_instance.mustache", "priority {{prioriti}}",
       "template vrrp_instance.mustache:1:10: no value is named \"prioriti\" here; there are: name, interface, vrid, "
       "priority, advert_int, notify, unicast, source, has_excluded, addresses, excluded_addresses, peers"},
      {"globals.mustache", "{{vrid}}",
       "template globals.mustache:1:1: no value is named \"vrid\" here; there are none"},
      {"globals.mustache", "{{>other}}", "template globals.mustache:1:1: partials ({{>other}}) are not available"},
      {"virtual_server.mustache", "{{weight}}",
       "template virtual_server.mustache:1:1: no value is named \"weight\" here; "
       "there are: service, address, port, protocol, scheduler, method, masquerade, "
       "persistence, interval, timeout, retries, retry_delay, real_servers"},
      {"virtual_server.mustache", "{{^real_servers}}{{weight}}{{/real_servers}}",
       "template virtual_server.mustache:1:18: no value is named \"weight\" here; there are: service, address, port, "
       "protocol, scheduler, method, masquerade, persistence, interval, timeout, retries, retry_delay, real_servers"},
      {"virtual_server.mustache", "{{#nobody}}x{{/nobody}}",
       "template virtual_server.mustache:1:1: no value is named \"nobody\" here; there are: service, address, port, "
       "protocol, scheduler, method, masquerade, persistence, interval, timeout, retries, retry_delay, real_servers"},
      {"virtual_server.mustache", "{{^nobody}}x{{/nobody}}",
       "template virtual_server.mustache:1:1: no value is named \"nobody\" here; there are: service, address, port, "
       "protocol, scheduler, method, masquerade, persistence, interval, timeout, retries, retry_delay, real_servers"},
      {"virtual_server.mustache", "{{service.name}}",
       "template virtual_server.mustache:1:1: no value is named \"service.name\" here; there are: service, address, "
       "port, "
       "protocol, scheduler, method, masquerade, persistence, interval, timeout, retries, retry_delay, real_servers"},
      {"keepalived.tmpl", "",
       "template keepalived.tmpl: there is no such template; there are globals.mustache, "
       "virtual_server.mustache, vrrp_instance.mustache"},
  };
  for (const auto& row : rows) {
    INFO(row.text);
    CHECK(refusal({{row.file, row.text}}) == row.message);
  }
}

TEST_CASE("a line of one section tag or comment leaves no line behind, whether its section is rendered or not",
          "[render][templates]") {
  const auto templates = Templates::from_texts({{"virtual_server.mustache",
                                                 "a {\n"
                                                 "  {{! why }}\n"
                                                 "  {{#persistence}}\n"
                                                 "  p {{persistence}}\n"
                                                 "  {{/persistence}}\n"
                                                 "{{#real_servers}}\n"
                                                 "  r {{address}} {{! inline }}{\n"
                                                 "    {{#tcp_check}}\n"
                                                 "    check\n"
                                                 "    {{/tcp_check}}\n"
                                                 "    {{^tcp_check}}\n"
                                                 "    none\n"
                                                 "    {{/tcp_check}}\n"
                                                 "  }\n"
                                                 "{{/real_servers}}\n"
                                                 "}\n"}});
  if (!templates) FAIL(templates.error().message);
  Values values;
  values.optional_text("persistence", "");
  std::vector<Values> servers(2);
  servers[0].text("address", "A");
  servers[0].flag("tcp_check", true);
  servers[1].text("address", "B");
  servers[1].flag("tcp_check", false);
  values.list("real_servers", std::move(servers));
  CHECK(templates->render("virtual_server.mustache", values) ==
        "a {\n  r A {\n    check\n  }\n  r B {\n    none\n  }\n}\n");
  Values empty;
  empty.text("persistence", "90");
  empty.list("real_servers", {});
  CHECK(templates->render("virtual_server.mustache", empty) == "a {\n  p 90\n}\n");
}

TEST_CASE("names inside a list's section are its elements' and the outer ones", "[render][templates]") {
  CHECK(Templates::from_texts(
            {{"virtual_server.mustache",
              "{{! a comment }}{{#real_servers}}{{weight}} {{protocol}}{{#tcp_check}}{{port}}{{/tcp_check}}"
              "{{/real_servers}}"}})
            .has_value());
  CHECK(Templates::from_texts({{"vrrp_instance.mustache", "{{=<% %>=}}<%name%> <%#peers%><%address%><%/peers%>"}})
            .has_value());
}

}  // namespace
}  // namespace vipkeeper::render
