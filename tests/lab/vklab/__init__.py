"""A lab for programs that keep virtual IPs: hosts, networks and failures that a test tells like a story. See lab.py."""

from .lab import Lab
from .manifests import Manifests, config_map, endpoint_slice, node, service
from .text import virtual_server_text, vrrp_text
from .waiting import holds_for, wait_until

__all__ = ["Lab", "Manifests", "config_map", "endpoint_slice", "holds_for", "node", "service",
           "virtual_server_text", "vrrp_text", "wait_until"]
