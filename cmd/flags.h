#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace vipkeeper::cmd {

// The flags of `run`, `render` and `plan`, as written; what they mean is checked by settings().
struct RunFlags {
  // kube-keepalived-vip's own (reference: its flags are a drop-in contract).
  std::string apiserver_host;
  std::string kubeconfig;
  std::string watch_namespace;
  bool use_unicast = false;
  std::string services_configmap;
  bool proxy_protocol_mode = false;
  int vrid = 50;
  std::string iface;
  int http_port = 8080;
  bool release_vips = true;
  // New.
  std::string manifests;
  std::string node_name;
  std::string node_ip;
  double advert_interval = 1;
  std::string templates;
  std::string config_file = "/etc/keepalived/keepalived.conf";
  std::string run_dir = "/run/vipkeeper";
  std::string http_address;
  std::string service_cidr;
  std::string allowed_vips;
  bool dry_run = false;
  bool strict = false;  // render only
  int verbosity = 0;    // glog's -v

  // Flags that older manifests still carry and that mean nothing here: warned about by name, not refused.
  std::vector<std::string> retired;
  std::string ignored_switch;  // the value of those that are switches
};

// Adds the flags to a command. Syntax as pflag's: --b, --b=false, --x v, --x=v; positional arguments are ignored.
void add_run_flags(CLI::App& app, RunFlags& flags);

// Parses argv; 0: go on; else the exit code wrapped in `exit_code` (0 after --help, 2 for wrong usage, said on stderr).
bool parse(CLI::App& app, int argc, char** argv, int& exit_code);

}  // namespace vipkeeper::cmd
