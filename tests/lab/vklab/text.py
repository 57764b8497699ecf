"""keepalived.conf texts of tests: one virtual router, and virtual servers."""


def vrrp_text(priority, vips=("192.0.2.50",), *, name="vips", advert=0.1, version=3, vrid=50, interface="eth0", state="BACKUP",
              preempt=True, source=None, peers=(), extra="", extra_global=""):
    """A vrrp_instance; with `peers` it is unicast. `extra` goes into the instance."""
    lines = ["global_defs {", f"  vrrp_version {version}", "  vrrp_garp_master_delay 1", *extra_global.splitlines(), "}",
             f"vrrp_instance {name} {{", f"  state {state}", f"  interface {interface}", f"  virtual_router_id {vrid}",
             f"  priority {priority}", f"  advert_int {advert:g}"]
    if not preempt:
        lines.append("  nopreempt")
    if peers:
        lines += [f"  unicast_src_ip {source}", "  unicast_peer {", *(f"    {peer}" for peer in peers), "  }"]
    lines += ["  virtual_ipaddress {", *(f"    {vip}" for vip in vips), "  }", *extra.splitlines(), "}"]
    return "\n".join(lines) + "\n"


def virtual_server_text(vip, port, reals, *, protocol="TCP", method="NAT", scheduler="rr", check="TCP_CHECK", persistence=0,
                        delay_loop=1, masquerade=None, here=()):
    """A virtual_server with real servers given as (address, port) or (address, port, weight). `here`: addresses of those that
    are on this node, which vipkeeper's `masquerade auto` asks."""
    lines = [f"virtual_server {vip} {port} {{", f"  delay_loop {delay_loop}", f"  lvs_sched {scheduler}", f"  lvs_method {method}",
             f"  protocol {protocol}"]
    if persistence:
        lines.append(f"  persistence_timeout {persistence}")
    if masquerade:
        lines.append(f"  masquerade {masquerade}")
    for address, real_port, *weight in reals:
        lines += [f"  real_server {address} {real_port} {{", f"    weight {weight[0] if weight else 1}"]
        if address in here:
            lines.append("    on_this_node")
        if check == "TCP_CHECK":
            lines += ["    TCP_CHECK {", f"      connect_port {real_port}", "      connect_timeout 1", "    }"]
        lines.append("  }")
    return "\n".join([*lines, "}"]) + "\n"
