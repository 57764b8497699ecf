#include "cmd/flags.h"

#include <CLI/CLI.hpp>
#include <iostream>

namespace vipkeeper::cmd {

namespace {

// What kube-keepalived-vip took beside the flags below: glog's, and those of its ancestor in kubernetes/contrib,
// kubectl's client flags among them. They have no meaning here.
constexpr const char* retired_flags[] = {"--logtostderr", "--alsologtostderr", "--use-kubernetes-cluster-service",
                                         "--watch-all-namespaces", "--insecure-skip-tls-verify"};
constexpr const char* retired_options[] = {"--vmodule",
                                           "--stderrthreshold",
                                           "--log_backtrace_at",
                                           "--log_dir",
                                           "--vrrp-version",
                                           "--password",
                                           "--server,-s",
                                           "--namespace",
                                           "--cluster",
                                           "--user",
                                           "--username",
                                           "--context",
                                           "--api-version",
                                           "--certificate-authority",
                                           "--client-certificate",
                                           "--client-key",
                                           "--token"};

void add_retired(CLI::App& app, RunFlags& flags) {
  const auto note = [&flags](std::string_view names) { flags.retired.emplace_back(names.substr(0, names.find(','))); };
  for (const char* names : retired_flags) {
    app.add_flag(names, flags.ignored_switch)->each([note, names](const std::string&) { note(names); })->group("");
  }
  for (const char* names : retired_options) {
    app.add_option_function<std::string>(names, [note, names](const std::string&) { note(names); })->group("");
  }
}

void add_original(CLI::App& app, RunFlags& flags) {
  app.add_option("--apiserver-host", flags.apiserver_host, "PROTOCOL://ADDRESS:PORT of the API server")
      ->type_name("URL");
  app.add_option("--kubeconfig", flags.kubeconfig, "a kubeconfig file; without it and --apiserver-host: in-cluster")
      ->type_name("PATH");
  app.add_option("--watch-namespace", flags.watch_namespace, "Services and endpoints of this namespace only")
      ->type_name("NAME");
  app.add_option("--services-configmap", flags.services_configmap, "the ConfigMap that lists the VIPs (required)")
      ->type_name("NAMESPACE/NAME");
  app.add_flag("--use-unicast", flags.use_unicast, "VRRP by unicast to the other nodes");
  app.add_flag("--proxy-protocol-mode", flags.proxy_protocol_mode, "HAProxy balances; VRRP only here");
  app.add_option("--vrid", flags.vrid, "VRRP virtual router ID, unique on the segment")
      ->check(CLI::Range(1, 255))
      ->capture_default_str();
  app.add_option("--iface", flags.iface, "interface of VRRP and the VIPs (default: the one with the node's address)")
      ->type_name("NAME");
  app.add_option("--http-port", flags.http_port, "port of /health, /ready, /status, /metrics; 0: any free one")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  app.add_flag("--release-vips,!--no-release-vips", flags.release_vips, "give the VIPs up at shutdown")
      ->default_str("true");
}

void add_own(CLI::App& app, RunFlags& flags) {
  app.add_option("--manifests", flags.manifests,
                 "objects from a directory of YAML/JSON files instead of the API server")
      ->type_name("DIR");
  app.add_option("--node-name", flags.node_name, "this node (default: of the own pod, else the host name)")
      ->type_name("NAME");
  app.add_option("--node-ip", flags.node_ip, "its address on the VIP network")->type_name("ADDRESS");
  app.add_option("--advert-interval", flags.advert_interval, "seconds between advertisements")
      ->check(CLI::Range(0.01, 40.95))
      ->capture_default_str();
  app.add_option("--templates", flags.templates, "own templates instead of the built-in ones")->type_name("DIR");
  app.add_option("--config-file", flags.config_file, "where the rendered text is shown")
      ->type_name("PATH")
      ->capture_default_str();
  app.add_option("--run-dir", flags.run_dir, "socket, ownership record, last good objects")
      ->type_name("DIR")
      ->capture_default_str();
  app.add_option("--http-address", flags.http_address, "address to listen on (default: all)")->type_name("ADDRESS");
  app.add_option("--service-cidr", flags.service_cidr, "the cluster's Service addresses: no VIP may lie there")
      ->type_name("CIDR,...");
  app.add_option("--allowed-vips", flags.allowed_vips, "the only addresses a ConfigMap may claim")
      ->type_name("CIDR,...");
  app.add_flag("--dry-run", flags.dry_run, "watch, plan and show; touch nothing in the kernel");
  app.add_option("-v,--v", flags.verbosity, "log detail: 0 normal, 1 and more debug")->capture_default_str();
}

// argv in pflag's syntax as CLI11 reads the same; last first, as it wants them.
std::vector<std::string> arguments_of(const CLI::App& app, int argc, char** argv) {
  std::vector<std::string> arguments;
  for (int i = argc - 1; i > 0; --i) {
    std::string argument = argv[i];
    // pflag (and glog before it) writes -v=2, which CLI11 would read as the value "=2".
    if (argument.starts_with("-v=")) argument.insert(0, "-");
    // --iface= is an empty value; CLI11 would take the next argument for it.
    if (argument.starts_with("--") && argument.find('=') == argument.size() - 1) {
      argument.pop_back();
      const auto* const option = app.get_option_no_throw(argument);
      if (option != nullptr && option->get_items_expected_min() > 0) {
        arguments.emplace_back();
      } else {
        argument += '=';
      }
    }
    arguments.push_back(std::move(argument));
  }
  return arguments;
}

}  // namespace

void add_run_flags(CLI::App& app, RunFlags& flags) {
  app.option_defaults()->take_last();  // a flag given twice: pflag takes the last
  add_original(app, flags);
  add_own(app, flags);
  add_retired(app, flags);
  // pflag ignores positional arguments; so `--use-unicast false` is true, as it was.
  app.add_option_function<std::vector<std::string>>("ignored", [](const std::vector<std::string>&) {})
      ->expected(0, -1)
      ->group("");
}

bool parse(CLI::App& app, int argc, char** argv, int& exit_code) {
  auto arguments = arguments_of(app, argc, argv);
  try {
    app.parse(arguments);
    return true;
  } catch (const CLI::CallForHelp&) {
    std::cout << app.help();
    exit_code = 0;
  } catch (const CLI::ParseError& error) {
    std::cerr << app.get_name() << ": " << error.what() << "; see `" << app.get_name() << " --help`\n";
    exit_code = 2;
  }
  return false;
}

}  // namespace vipkeeper::cmd
