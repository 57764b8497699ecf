"""Services: real requests through real virtual services, and what the kernel holds while things change."""

import random
import time

import pytest

from vklab import (Manifests, config_map, endpoint_slice, holds_for, node as node_object, service, virtual_server_text, vrrp_text,
                   wait_until)
from vklab.ipvs import Real, TableReader, Virtual
from vklab.manifests import templates_without_checks
from vklab.node import REPOSITORY
from vklab.site import GATEWAY, VIP_DR, VIP_NAT, VIPS, Site

pytestmark = pytest.mark.ipvs
both = pytest.mark.parametrize("program", ["vipkeeper", "keepalived"])
WEB_PORTS = [("http", 80, 8080), ("echo", 7, 8080, "UDP")]
DIRECT_PORTS = [("http", 80, 80)]


def start_by_text(site, program, reals):
    """Every node with the configuration that the manifests below stand for, written by hand."""
    vips = [VIP_NAT, VIP_DR, f"{GATEWAY} dev eth1"]
    servers = "".join((
        virtual_server_text(VIP_NAT, 80, [(a, 8080) for a in reals]),
        virtual_server_text(VIP_NAT, 7, [(a, 8080) for a in reals], protocol="UDP", check=None),
        virtual_server_text(VIP_DR, 80, [(a, 80) for a in reals], method="DR")))
    for priority, node in reversed(list(zip((100, 101, 102), site.nodes))):
        node.start_router(program, vrrp_text(priority, vips, advert=0.3) + servers)


def manifests_of(site):
    manifests = Manifests(site.lab.directory / "manifests")
    put_objects(site, manifests)
    return manifests


def put_objects(site, manifests):
    """The site's objects: a NAT Service, a DR Service, and a bare VIP that is the pods' gateway."""
    for node in site.nodes:
        manifests.put(node_object(node.name, next(a.split("/")[0] for a in node.addresses()["eth0"] if ":" not in a)))
    manifests.put(service("web", WEB_PORTS))
    manifests.put(service("direct", DIRECT_PORTS))
    put_endpoints(manifests, site.pod_addresses)
    manifests.put(endpoint_slice("direct", site.pod_addresses, [("http", 80)]))
    manifests.put(config_map({VIP_NAT: "default/web", VIP_DR: "default/direct:DR", GATEWAY: ""}))


def put_endpoints(manifests, addresses):
    manifests.put(endpoint_slice("web", addresses, [("http", 8080), ("echo", 8080, "UDP")]))


def start_by_manifests(site, **options):
    manifests = manifests_of(site)
    for node in site.nodes:
        node.start_vipkeeper(manifests.directory, **options)
    for node in site.nodes:
        node.wait_ready()
    return manifests


def reals(method, port, addresses, weight=1):
    return {f"{address}:{port}": Real(method, weight) for address in addresses}


def expected_table(web, direct, scheduler="wlc"):
    return {f"tcp {VIP_NAT}:80": Virtual(scheduler, 0, reals("masquerade", 8080, web)),
            f"udp {VIP_NAT}:7": Virtual(scheduler, 0, reals("masquerade", 8080, web)),
            f"tcp {VIP_DR}:80": Virtual(scheduler, 0, reals("direct", 80, direct))}


def settle(site, table):
    for node in site.nodes:
        wait_until(lambda: node.ipvs() == table, 20, f"the table of {node.name} to be {table}; it is {node.ipvs()}")


@both
def test_requests_reach_every_pod_by_nat_and_by_direct_routing_before_and_after_a_fail_over(lab, program):
    site = Site(lab)
    start_by_text(site, program, site.pod_addresses)
    settle(site, expected_table(site.pod_addresses, site.pod_addresses, "rr"))
    for _ in range(2):
        holder = site.holder()
        for vip in (VIP_NAT, VIP_DR):
            assert site.spread(vip, 80, 30) == {"web-1": 10, "web-2": 10, "web-3": 10}
        probe = lab.probe(site.client, VIP_NAT, 7)
        holder.cut_off()
        wait_until(lambda: not lab.holders(VIP_NAT) & {holder.name}, 10, "the cut node to release the VIP")
        assert site.holder() is not holder
        time.sleep(0.1)
        result = probe.finish()
        assert result.longest < 2, str(result)


def test_objects_become_addresses_virtual_services_and_answers(lab):
    site = Site(lab)
    start_by_manifests(site)
    settle(site, expected_table(site.pod_addresses, site.pod_addresses))
    holder = site.holder()
    addresses = holder.addresses()
    assert {f"{VIP_NAT}/32", f"{VIP_DR}/32"} <= addresses["eth0"] and f"{GATEWAY}/32" in addresses["eth1"]
    for vip in (VIP_NAT, VIP_DR):
        assert site.spread(vip, 80, 30).keys() == {"web-1", "web-2", "web-3"}
    status = holder.status()
    assert status["config"]["synced"] and status["config"]["source"] == "manifests" and not status["config"]["problems"]
    assert {(s["protocol"], s["address"], s["port"], s["service"]) for s in status["virtual_services"]} == {
        ("tcp", VIP_NAT, 80, "default/web"), ("udp", VIP_NAT, 7, "default/web"), ("tcp", VIP_DR, 80, "default/direct")}
    # What is shown is what runs: an engine accepts the very file.
    text = holder.path("/etc/keepalived/keepalived.conf").read_text()
    assert "virtual_server 192.0.2.50 80 {" in text and "vrrp_instance vips {" in text


def test_the_priority_is_a_hundred_and_the_rank_of_the_node(lab):
    site = Site(lab)
    start_by_manifests(site)
    assert [node.status()["virtual_routers"][0]["priority"] for node in site.nodes] == [100, 101, 102]


def test_a_changed_endpoint_is_one_change_in_the_kernel_and_none_in_vrrp(lab):
    site = Site(lab)
    manifests = start_by_manifests(site)
    settle(site, expected_table(site.pod_addresses, site.pod_addresses))
    holder = site.holder()
    probe = lab.probe(site.client, VIP_NAT, 7)
    for web in (site.pod_addresses[:2], site.pod_addresses, site.pod_addresses[1:]):
        put_endpoints(manifests, web)
        settle(site, expected_table(web, site.pod_addresses))
    assert site.holder() is holder
    assert holder.status()["virtual_routers"][0]["counters"]["became_master"] == 1
    probe.finish()
    assert site.spread(VIP_NAT, 80, 30).keys() == {"web-2", "web-3"}


def test_among_a_thousand_services_one_endpoint_is_one_fragment_and_one_command(lab):
    node = lab.add_node("node1", lab.add_network(), "192.0.2.11/24")
    manifests = Manifests(lab.directory / "manifests")
    manifests.put(node_object("node1", "192.0.2.11"))
    vips = {f"198.18.{i // 200}.{1 + i % 200}": f"s{i}" for i in range(1000)}
    four = {name: [f"10.{16 + i // 250}.{i % 250}.{n}" for n in (1, 2, 3, 4)] for i, name in enumerate(vips.values())}
    for name in vips.values():
        manifests.put(service(name, [("http", 80, 8080)]))
        manifests.put(endpoint_slice(name, four[name], [("http", 8080)]))
    manifests.put(config_map({vip: f"default/{name}" for vip, name in vips.items()}))
    templates = templates_without_checks(REPOSITORY / "templates", lab.directory / "templates")
    node.start_vipkeeper(manifests.directory, options=["--templates", templates])
    node.wait_ready(60)
    reader = TableReader(node)
    wait_until(lambda: sum(1 for _ in reader.services()) == 1000 and len(reader.reals("tcp", "198.18.4.200", 80)) == 4, 60,
               "a thousand virtual services")
    names = ("vipkeeper_fragments_rendered_total", "vipkeeper_fragments_parsed_total", "vipkeeper_kernel_operations_total")

    def counters():
        metrics = node.metrics()
        return [sum(value for key, value in metrics.items() if key.split("{")[0] == name) for name in names]

    for addresses in (four["s500"][:3], four["s500"]):
        before = counters()
        manifests.put(endpoint_slice("s500", addresses, [("http", 8080)]))
        wait_until(lambda: len(reader.reals("tcp", "198.18.2.101", 80)) == len(addresses), 20, f"{len(addresses)} real servers")
        wait_until(lambda: counters() != before, 5, "the counters to move")
        assert [after - earlier for after, earlier in zip(counters(), before)] == [1, 1, 1]
    reader.close()


def test_a_service_without_endpoints_keeps_its_address(lab):
    site = Site(lab)
    manifests = start_by_manifests(site)
    settle(site, expected_table(site.pod_addresses, site.pod_addresses))
    lab.wait_for_holder(VIP_NAT)
    put_endpoints(manifests, [])
    wait_until(lambda: not any("masquerade" == r.method for v in site.nodes[0].ipvs().values() for r in v.reals.values()), 20,
               "no real server of the Service left")
    holds_for(lambda: len(lab.holders(VIP_NAT)) == 1, 1, "the VIP held by one node")
    put_endpoints(manifests, site.pod_addresses)
    settle(site, expected_table(site.pod_addresses, site.pod_addresses))


def test_an_entry_added_and_removed_brings_and_takes_its_address_and_virtual_services(lab):
    site = Site(lab)
    manifests = start_by_manifests(site)
    settle(site, expected_table(site.pod_addresses, site.pod_addresses))
    more = {VIP_NAT: "default/web", VIP_DR: "default/direct:DR", GATEWAY: "", "192.0.2.52": "default/web"}
    manifests.put(config_map(more))
    lab.wait_for_holder("192.0.2.52")
    wait_until(lambda: site.spread("192.0.2.52", 80, 1), 10, "an answer from the new VIP")
    del more["192.0.2.52"]
    manifests.put(config_map(more))
    wait_until(lambda: not lab.holders("192.0.2.52"), 10, "the address gone")
    settle(site, expected_table(site.pod_addresses, site.pod_addresses))


def test_extended_entries_are_in_the_kernel_as_they_say_and_a_wrong_interface_is_one_entrys_matter(lab):
    site = Site(lab)
    manifests = start_by_manifests(site)
    table = expected_table(site.pod_addresses, site.pod_addresses)
    settle(site, table)
    manifests.put(config_map({
        VIP_NAT: "default/web", VIP_DR: "default/direct:DR", GATEWAY: "",
        "tuned": "addresses: [192.0.2.60/24, \"2001:db8::60\"]\nservices:\n"
                 "- {service: default/web, ports: [http], scheduler: sh, persistence: 30m}\n"
                 "- {service: default/web, ports: 7/udp, method: TUN, scheduler: rr}\n",
        "placed": "addresses: 192.0.2.61\ninterface: eth1\n",
        "slip": "addresses: 192.0.2.62\ninterface: eth9\nservices: [{service: default/direct, method: DR}]\n"}))
    table |= {"tcp 192.0.2.60:80": Virtual("sh", 1800, reals("masquerade", 8080, site.pod_addresses)),
              "udp 192.0.2.60:7": Virtual("rr", 0, reals("tunnel", 7, site.pod_addresses)),
              "tcp 192.0.2.62:80": Virtual("wlc", 0, reals("direct", 80, site.pod_addresses))}
    settle(site, table)
    lab.wait_for_holder("192.0.2.60")
    holder = site.holder()
    wait_until(lambda: {"192.0.2.60/24"} <= holder.addresses()["eth0"] and {"192.0.2.61/32"} <= holder.addresses()["eth1"], 10,
               "each address on its interface with its length")
    assert site.spread("192.0.2.60", 80, 4)
    assert not lab.holders("192.0.2.62")
    for node in site.nodes:
        assert node.status()["virtual_routers"][0]["state"] in ("MASTER", "BACKUP")
        assert sorted(problem["message"].split(":")[0] for problem in node.status()["config"]["problems"]) == [
            "IPv6 addresses are not available yet", "TUN cannot change ports", "interface eth9 does not exist on this host"]


def test_a_dead_pod_leaves_the_kernel_within_a_check_and_comes_back(lab):
    site = Site(lab)
    start_by_text(site, "vipkeeper", site.pod_addresses)
    table = expected_table(site.pod_addresses, site.pod_addresses, "rr")
    settle(site, table)
    site.pods[0].cables["eth0"].cut()
    wait_until(lambda: all("10.2.0.101:8080" not in node.ipvs()[f"tcp {VIP_NAT}:80"].reals for node in site.nodes), 20,
               "the dead pod out of every table")
    assert site.spread(VIP_NAT, 80, 20) == {"web-2": 10, "web-3": 10}
    site.pods[0].cables["eth0"].mend()
    settle(site, table)


def test_what_others_put_into_the_kernel_stays_untouched_by_start_reload_and_end(lab):
    site = Site(lab, nodes=1)
    [only] = site.nodes
    only.run(["ipvsadm", "-R"], input="-A -t 198.51.100.1:443 -s rr\n-a -t 198.51.100.1:443 -r 10.9.0.1:443 -m -w 5\n"
             "-A -u 198.51.100.1:53 -s wrr -p 60\n-A -f 9 -s lc\n")
    only.add_address("198.51.100.1/32", "eth0")
    foreign = only.ipvs()
    assert len(foreign) == 3
    manifests = start_by_manifests(site)
    ours = expected_table(site.pod_addresses, site.pod_addresses)
    settle(site, {**foreign, **ours})
    put_endpoints(manifests, site.pod_addresses[:1])
    settle(site, {**foreign, **expected_table(site.pod_addresses[:1], site.pod_addresses)})
    only.program.stop()
    assert only.ipvs() == foreign
    assert only.holds("198.51.100.1") and not any(only.holds(vip) for vip in VIPS)


def test_sigterm_takes_addresses_and_virtual_services_along(lab):
    site = Site(lab)
    start_by_manifests(site)
    settle(site, expected_table(site.pod_addresses, site.pod_addresses))
    holder = site.holder()
    assert holder.program.stop() == 0
    assert holder.ipvs() == {}
    assert not any(holder.holds(vip) for vip in VIPS)
    assert site.holder() is not holder
    assert site.spread(VIP_NAT, 80, 9).keys() == {"web-1", "web-2", "web-3"}


def test_killed_twenty_times_in_busy_reloads_the_table_ends_as_desired_and_foreign_entries_untouched(lab):
    site = Site(lab, nodes=1)
    [only] = site.nodes
    only.run(["ipvsadm", "-R"], input="-A -t 198.51.100.1:443 -s rr\n-a -t 198.51.100.1:443 -r 10.9.0.1:443 -m -w 5\n")
    foreign = only.ipvs()
    chance = random.Random(seed := random.randrange(1 << 30))
    print(f"seed {seed}")
    services = [f"busy-{i}" for i in range(30)]
    manifests = manifests_of(site)
    manifests.put(config_map({VIP_NAT: "default/web", VIP_DR: "default/direct:DR", GATEWAY: "",
                              **{f"198.18.0.{i + 1}": f"default/{name}" for i, name in enumerate(services)}}))
    backends = {}

    def shuffle(name):
        backends[name] = sorted(chance.sample(site.pod_addresses, chance.randint(1, 3)))
        manifests.put(endpoint_slice(name, backends[name], [("http", 8080)]))

    for name in services:
        manifests.put(service(name, [("http", 80, 8080)]))
        shuffle(name)
    for _ in range(20):
        only.start_vipkeeper(manifests.directory)
        end = time.monotonic() + chance.uniform(0.02, 0.6)
        while time.monotonic() < end:
            shuffle(chance.choice(services))
            time.sleep(0.002)
        only.program.kill9()
        if chance.random() < 0.3:  # and some things change while it is dead
            shuffle(chance.choice(services))
    only.start_vipkeeper(manifests.directory)
    only.wait_ready()
    desired = expected_table(site.pod_addresses, site.pod_addresses)
    for i, name in enumerate(services):
        desired[f"tcp 198.18.0.{i + 1}:80"] = Virtual("wlc", 0, reals("masquerade", 8080, backends[name]))
    settle(site, {**foreign, **desired})
    only.program.stop()
    assert only.ipvs() == foreign
