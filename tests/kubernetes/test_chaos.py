"""Faults of every kind, one after another, while Services, EndpointSlices and ConfigMap entries change fifty times a second.

Each seed stands for one sequence of changes and one of faults. At the quiet point after it every kernel holds what the objects say;
what did not change was never gone; and no node asked without pause. `--seeds=1-100` runs others than the twenty of CI, `--seeds=17`
one again.
"""

import random
import select
import time

import pytest

import churn
from story import ClusterSite
from vklab import wait_until
from vklab.ipvs import Real, TableReader, Virtual
from vklab.site import GATEWAY, VIP_NAT
from vklab.workers import Worker

pytestmark = pytest.mark.ipvs
RATE, REQUESTS, REQUESTS_A_SECOND = 50, 20, 3
FIXED = {VIP_NAT: "default/web", GATEWAY: ""}


class Chaos:
    """The faults: each begins, stands for a moment, and is made good again."""

    FAULTS = ("killed", "frozen", "etcd_frozen", "cut", "compacted", "tokens_void", "authority_new", "rights_gone", "slow", "storm",
              "clock_stepped")

    def __init__(self, site, chance):
        self.site, self.cluster, self.chance = site, site.cluster, chance

    def run(self, name):
        began = time.monotonic()
        make_good = getattr(self, name)()
        time.sleep(self.chance.uniform(0.3, 1.2))
        make_good()
        return f"{name} {time.monotonic() - began:.1f} s"

    def killed(self):
        self.cluster.kill()
        return self.cluster.start_api_server

    def frozen(self):
        self.cluster.freeze()
        return self.cluster.thaw

    def etcd_frozen(self):
        self.cluster.freeze("etcd")
        return lambda: self.cluster.thaw("etcd")

    def cut(self):
        for _ in range(3):
            self.cluster.cut_connections()
            time.sleep(self.chance.uniform(0, 0.3))
        return lambda: None

    def compacted(self):
        # Nobody hears of what changes now, and then it is forgotten.
        for node in self.site.nodes:
            node.cables["wire0"].cut()
        self.cluster.cut_connections()
        time.sleep(0.3)
        self.cluster.compact()
        return lambda: [node.cables["wire0"].mend() for node in self.site.nodes]

    def tokens_void(self):
        self.cluster.rotate_account_key()
        return self.renew

    def authority_new(self):
        self.cluster.rotate_authority()
        return self.renew

    def renew(self):
        for node in self.site.nodes:
            self.cluster.renew_account_files(node)

    def rights_gone(self):
        self.cluster.delete("ClusterRoleBinding", "vipkeeper", "")
        self.cluster.delete("RoleBinding", "vipkeeper", "kube-system")
        self.cluster.cut_connections()
        return self.cluster.apply_rbac

    def slow(self):
        node = self.chance.choice(self.site.nodes)
        self.cluster.delay(node, 5)
        return lambda: self.cluster.delay(node, 0)

    def storm(self):
        self.cluster.begin_storm()
        self.cluster.cut_connections()
        return self.cluster.end_storm

    def clock_stepped(self):
        step = self.chance.choice((-3600, 3600))
        time.clock_settime(time.CLOCK_REALTIME, time.time() + step)
        return lambda: time.clock_settime(time.CLOCK_REALTIME, time.time() - step)


class Told:
    """A text that is made when it is needed."""

    def __init__(self, make):
        self.make = make

    def __str__(self):
        return self.make()


class Steady:
    """Looks all the time whether the Service that nobody changes is whole in every kernel."""

    WANTED = {f"10.64.0.{n}:8080": Real("masquerade", 1) for n in (1, 2, 3)}

    def __init__(self, nodes):
        self._readers = {node.name: TableReader(node) for node in nodes}
        self._worker = Worker(self._run)

    def _run(self, stop):
        seen = []
        while not select.select([stop], [], [], 0.02)[0]:
            for name, reader in self._readers.items():
                held = reader.reals("tcp", churn.vip(0), 80)
                if held != self.WANTED:
                    seen.append((name, sorted(held)))
        return seen

    def finish(self):
        seen = self._worker.finish()
        for reader in self._readers.values():
            reader.close()
        return seen


def test_at_every_quiet_point_the_kernels_are_what_the_objects_say(lab, control_plane, seeds):
    cluster = control_plane
    # Without its watch cache the server hides no compaction; with it, it hides what a restart does.
    cluster.start(watch_cache=seeds[0] // 5 % 2 == 1)
    site = ClusterSite(lab, cluster)
    cluster.put(*churn.Churn.first_objects(FIXED))
    site.start(entries={churn.vip(i): f"default/s{i}" for i in range(churn.SERVICES)}, settle=False)
    settle(site, 20)
    for seed in seeds:
        one_seed(site, seed)


def one_seed(site, seed):
    chance = random.Random(seed)
    chaos, cluster = Chaos(site, chance), site.cluster
    began, position, steady = time.monotonic(), cluster.audit_position(), Steady(site.nodes)
    cluster.start_churn(seed, RATE, FIXED)
    try:
        happened = [chaos.run(name) for name in chance.sample(Chaos.FAULTS, 2)]
    finally:
        counts = cluster.stop_churn()
    quiet = time.monotonic()
    settle(site, 40)
    settled = time.monotonic()
    asked = {}
    for one in cluster.audit(position):
        if one["verb"] != "watch" or one["stage"] == "ResponseStarted":
            asked[one["source"]] = asked.get(one["source"], 0) + 1
    print(f"seed {seed}: {', '.join(happened)}; {counts['done']} changes, {counts['failed']} refused; settled {settled - quiet:.1f} s "
          f"after the last; {max(asked.values(), default=0)} requests of a node in {settled - began:.1f} s", flush=True)
    gone = steady.finish()
    assert not gone, f"seed {seed}: {len(gone)} times not whole, first {gone[0]}"
    assert max(asked.values(), default=0) <= REQUESTS + REQUESTS_A_SECOND * (settled - began), f"seed {seed}: {asked}"
    assert all(node.program.running for node in site.nodes)


def settle(site, timeout):
    """Until the kernels are what the objects say, and each address is held by one node."""
    wait_until(lambda: site.cluster.ready(), 30, "the API server ready")
    expected = site.cluster.expected()
    table = {key: Virtual(scheduler, 0, {where: Real("masquerade", 1) for where in reals})
             for key, (scheduler, reals) in expected["table"].items()}
    for node in site.nodes:
        wait_until(lambda: node.ipvs() == table, timeout, Told(lambda: f"{node.name} to hold what the objects say: {difference(node.ipvs(), table)}"))
    for address in expected["addresses"]:
        site.lab.wait_for_holder(address, timeout=10)


def difference(held, wanted):
    return {key: (held.get(key), wanted.get(key)) for key in {*held, *wanted} if held.get(key) != wanted.get(key)}
