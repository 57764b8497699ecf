#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "engine/base/clock.h"
#include "engine/base/result.h"

// Where the API server is and how to be let in: from the environment of a pod, from a kubeconfig, or from an address
// alone.
namespace vipkeeper::kube {

// PEM text that is given, or that lies in a file which may be replaced at any time and so is read whenever it is
// needed.
struct Pem {
  std::string file;
  std::string text;  // wins
  [[nodiscard]] bool empty() const { return file.empty() && text.empty(); }
  // The text; an Error names the file.
  [[nodiscard]] Result<std::string> read() const;
};

struct ClusterAccess {
  bool https = true;
  std::string host;  // a name or an address, IPv6 without brackets
  std::uint16_t port = 443;
  std::string prefix;      // of the path, "" or "/k8s"
  std::string proxy_host;  // an HTTP proxy on the way, IPv6 without brackets; empty: none
  std::uint16_t proxy_port = 0;

  bool insecure = false;        // take any certificate
  std::string tls_server_name;  // expected instead of `host`
  Pem ca;                       // empty: the system's
  Pem client_certificate;
  Pem client_key;

  std::string token;
  std::string token_file;  // wins
  std::string user;
  std::string password;

  // "https://10.96.0.1:443/k8s", for messages.
  [[nodiscard]] std::string url() const;
};

// "PROTOCOL://HOST[:PORT][/PREFIX]" into https, host, port and prefix. HOST:PORT alone means http, as client-go has it.
Result<ClusterAccess> parse_server(std::string_view url);

struct AccessOptions {
  std::string apiserver_host{};  // --apiserver-host
  std::string kubeconfig{};      // --kubeconfig
  std::string service_account_directory = "/var/run/secrets/kubernetes.io/serviceaccount";
  // KUBERNETES_SERVICE_HOST and _PORT
  std::string service_host{};
  std::string service_port{};
};

// The way in that the options name: the kubeconfig (with --apiserver-host in place of its server), the address alone,
// or the pod's own service account. The Error names the file and the field, or what to give.
Result<ClusterAccess> cluster_access(const AccessOptions& options);

// The current context of a kubeconfig. Relative paths in it are relative to its directory. exec and auth-provider
// plugins are refused: they are programs of a developer's machine.
Result<ClusterAccess> read_kubeconfig(const std::string& file);
// The same of its text.
Result<ClusterAccess> parse_kubeconfig(const std::string& text, const std::string& directory);

// A bearer token. A file is read again after 50 s (the kubelet rotates it), or at once after refused(); if that fails,
// the last token is used.
class TokenSource {
 public:
  explicit TokenSource(const ClusterAccess& access) : token_(access.token), file_(access.token_file) {}
  // Empty: there is none. An Error only if there never was one.
  Result<std::string> token(TimePoint now);
  // The server did not accept it.
  void refused() { read_at_.reset(); }

 private:
  std::string token_;
  std::string file_;
  std::optional<TimePoint> read_at_;
};

Result<std::string> read_text_file(const std::string& file);
std::string encode_base64(std::string_view bytes);
Result<std::string> decode_base64(std::string_view text);

}  // namespace vipkeeper::kube
