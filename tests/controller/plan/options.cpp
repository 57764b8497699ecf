#include "controller/plan/options.h"

#include "tests/controller/plan/world.h"

namespace vipkeeper::plan {
namespace {

using namespace world;

TEST_CASE("options that cannot be used are refused by the name of their flag", "[plan][options]") {
  struct Row {
    void (*spoil)(PlanOptions&);
    const char* message;
  };
  const Row rows[] = {
      {[](PlanOptions& o) { o.config_map_name.clear(); }, "--services-configmap: missing"},
      {[](PlanOptions& o) { o.vrid = 0; }, "--vrid: must be 1 to 255, is 0"},
      {[](PlanOptions& o) { o.interface = "eth0 {"; }, "--iface: \"eth0 {\" cannot be"},
      {[](PlanOptions& o) { o.interface = "sixteen-letters!"; }, "--iface: "},
      {[](PlanOptions& o) { o.interface = "abcdefghijklmnop"; }, "--iface: "},
      {[](PlanOptions& o) { o.interface = "a/b"; }, "--iface: "},
      {[](PlanOptions& o) { o.node_ip = ip("0.0.0.0"); }, "--node-ip: 0.0.0.0 cannot be"},
      {[](PlanOptions& o) { o.node_ip = ip("127.0.0.1"); }, "--node-ip: "},
      {[](PlanOptions& o) { o.node_ip = ip("224.0.0.18"); }, "--node-ip: "},
      {[](PlanOptions& o) { o.advert_interval = std::chrono::milliseconds(9); }, "--advert-interval: must be"},
      {[](PlanOptions& o) { o.advert_interval = std::chrono::seconds(41); }, "--advert-interval: must be"},
      {[](PlanOptions& o) { o.notify = "/n.sh\n}"; }, "KEEPALIVED_NOTIFY: "},
      {[](PlanOptions& o) { o.notify = "/n.sh $(reboot)"; }, "KEEPALIVED_NOTIFY: "},
      {[](PlanOptions& o) { o.notify = "\"/n.sh\""; }, "KEEPALIVED_NOTIFY: "},
  };
  for (const auto& row : rows) {
    auto with = options();
    REQUIRE(validate_options(with));
    row.spoil(with);
    const auto result = validate_options(with);
    REQUIRE_FALSE(result);
    CHECK_THAT(result.error().message, Catch::StartsWith(row.message));
  }
}

TEST_CASE("options at their limits can be used", "[plan][options]") {
  auto with = options();
  with.vrid = 255;
  with.interface = "bond0.100:1-a_b";
  with.node_ip = ip("10.0.0.4");
  with.notify = "/usr/local/bin/notify.sh --to=ops@example.org,x 1";
  for (const int milliseconds : {10, 40950}) {
    with.advert_interval = std::chrono::milliseconds(milliseconds);
    CHECK(validate_options(with));
  }
}

}  // namespace
}  // namespace vipkeeper::plan
