// A kubeconfig (client.config.k8s.io/v1) as far as a daemon can use one.

#include <fmt/core.h>
#include <yaml-cpp/yaml.h>

#include <filesystem>

#include "controller/kube/access.h"

namespace vipkeeper::kube {

namespace {

namespace fs = std::filesystem;

// One fault ends the reading; caught in read_kubeconfig.
struct Unusable {
  std::string message;
};

std::string text_of(const YAML::Node& node, const char* name) {
  const YAML::Node value = node[name];
  if (!value.IsDefined() || value.IsNull()) return {};
  if (!value.IsScalar()) throw Unusable{fmt::format("{}: expected a text", name)};
  return value.Scalar();
}

// The member `what` of the entry called `name` in the list `list`.
YAML::Node entry(const YAML::Node& config, const char* list, const char* what, const std::string& name) {
  const YAML::Node entries = config[list];
  if (entries.IsDefined() && entries.IsSequence()) {
    for (const YAML::Node& one : entries) {
      if (one.IsMap() && text_of(one, "name") == name && one[what].IsMap()) return one[what];
    }
  }
  throw Unusable{fmt::format("{}: none has the name \"{}\" (and a \"{}\")", list, name, what)};
}

std::string absolute(const std::string& file, const fs::path& directory) {
  if (file.empty() || fs::path(file).is_absolute()) return file;
  return (directory / file).lexically_normal().string();
}

// FIELD-data (base64), else the file in FIELD.
Pem pem_of(const YAML::Node& node, const std::string& field, const fs::path& directory) {
  Pem pem;
  const std::string data = text_of(node, (field + "-data").c_str());
  if (!data.empty()) {
    auto text = decode_base64(data);
    if (!text) throw Unusable{fmt::format("{}-data: {}", field, text.error().message)};
    pem.text = *std::move(text);
    return pem;
  }
  pem.file = absolute(text_of(node, field.c_str()), directory);
  return pem;
}

bool flag_of(const YAML::Node& node, const char* name) {
  const std::string text = text_of(node, name);
  if (text.empty() || text == "false") return false;
  if (text == "true") return true;
  throw Unusable{fmt::format("{}: expected true or false", name)};
}

void read_cluster(const YAML::Node& cluster, const fs::path& directory, ClusterAccess& access) {
  const std::string server = text_of(cluster, "server");
  if (server.empty()) throw Unusable{"cluster.server: missing"};
  auto parsed = parse_server(server);
  if (!parsed) throw Unusable{parsed.error().message};
  access = *std::move(parsed);
  access.tls_server_name = text_of(cluster, "tls-server-name");
  access.insecure = flag_of(cluster, "insecure-skip-tls-verify");
  access.ca = pem_of(cluster, "certificate-authority", directory);
  if (access.insecure && !access.ca.empty()) {
    throw Unusable{"insecure-skip-tls-verify and certificate-authority exclude each other"};
  }
  const std::string proxy = text_of(cluster, "proxy-url");
  if (proxy.empty()) return;
  if (!proxy.starts_with("http://")) {
    throw Unusable{fmt::format("proxy-url: \"{}\": only http:// proxies are supported", proxy)};
  }
  auto way = parse_server(proxy);
  if (!way) throw Unusable{fmt::format("proxy-url: {}", way.error().message)};
  access.proxy_host = std::move(way->host);
  access.proxy_port = way->port;
}

// kubectl writes some members empty ("as-user-extra: {}"), which is the same as not at all.
bool is_given(const YAML::Node& node, const char* name) {
  const YAML::Node value = node[name];
  if (!value.IsDefined() || value.IsNull()) return false;
  return value.IsScalar() ? !value.Scalar().empty() : value.size() > 0;
}

void read_user(const YAML::Node& user, const fs::path& directory, ClusterAccess& access) {
  if (is_given(user, "exec")) {
    throw Unusable{
        "user.exec: credential plugins are not run; use a service account's token (token or tokenFile) or a client "
        "certificate"};
  }
  if (is_given(user, "auth-provider"))
    throw Unusable{"user.auth-provider: not supported; use token, tokenFile or a certificate"};
  for (const char* field : {"as", "as-uid", "as-groups", "as-user-extra"}) {
    if (is_given(user, field)) throw Unusable{fmt::format("user.{}: impersonation is not supported", field)};
  }
  access.client_certificate = pem_of(user, "client-certificate", directory);
  access.client_key = pem_of(user, "client-key", directory);
  if (access.client_certificate.empty() != access.client_key.empty()) {
    throw Unusable{"user: client-certificate and client-key go together"};
  }
  access.token = text_of(user, "token");
  access.token_file = absolute(text_of(user, "tokenFile"), directory);
  access.user = text_of(user, "username");
  access.password = text_of(user, "password");
}

}  // namespace

Result<ClusterAccess> read_kubeconfig(const std::string& file) {
  const auto text = read_text_file(file);
  if (!text) return std::unexpected(text.error());
  return parse_kubeconfig(*text, fs::absolute(file).parent_path().string());
}

Result<ClusterAccess> parse_kubeconfig(const std::string& text, const std::string& directory) {
  try {
    const YAML::Node config = YAML::Load(text);
    if (!config.IsMap()) throw Unusable{"no kubeconfig: expected a mapping"};
    const std::string current = text_of(config, "current-context");
    if (current.empty()) throw Unusable{"current-context: missing"};
    const YAML::Node context = entry(config, "contexts", "context", current);
    ClusterAccess access;
    read_cluster(entry(config, "clusters", "cluster", text_of(context, "cluster")), directory, access);
    const std::string user = text_of(context, "user");
    if (!user.empty()) read_user(entry(config, "users", "user", user), directory, access);
    return access;
  } catch (const Unusable& unusable) {
    return failure(ErrorCode::invalid_input, unusable.message);
  } catch (const YAML::Exception& error) {
    return failure(ErrorCode::invalid_input, fmt::format("line {}: {}", error.mark.line + 1, error.msg));
  }
}

}  // namespace vipkeeper::kube
