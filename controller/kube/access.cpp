#include "controller/kube/access.h"

#include <fmt/core.h>
#include <openssl/evp.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <sstream>
#include <utility>

#include "engine/base/ip_address.h"

namespace vipkeeper::kube {

namespace {

constexpr Duration token_lifetime = std::chrono::seconds(50);  // client-go: a minute less ten seconds

std::string trimmed(std::string_view text) {
  constexpr std::string_view space = " \t\r\n";
  const std::size_t first = text.find_first_not_of(space);
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(space) - first + 1));
}

bool is_ipv6(const std::string& host) {
  const auto address = IpAddress::parse(host);
  return address && !address->is_v4();
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

Result<ClusterAccess> in_cluster(const AccessOptions& options) {
  if (options.service_host.empty() || options.service_port.empty()) {
    return failure(
        ErrorCode::invalid_input,
        "no API server is known: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set, so this is no "
        "pod; give --kubeconfig, --apiserver-host or --manifests");
  }
  ClusterAccess access;
  access.host = options.service_host;
  const auto port = parse_port(options.service_port);
  if (!port) {
    return failure(ErrorCode::invalid_input,
                   fmt::format("KUBERNETES_SERVICE_PORT: \"{}\" is no port", options.service_port));
  }
  access.port = *port;
  access.token_file = options.service_account_directory + "/token";
  access.ca.file = options.service_account_directory + "/ca.crt";
  auto token = TokenSource(access).token(Clock::now());
  if (!token) return std::unexpected(token.error().with_context("service account"));
  return access;
}

}  // namespace

Result<std::string> read_text_file(const std::string& file) {
  errno = 0;
  const std::ifstream stream(file);
  std::ostringstream text;
  if (stream) text << stream.rdbuf();
  if (!stream || !text) {
    const int error = errno;
    return failure(ErrorCode::io, fmt::format("{}: {}", file, error != 0 ? std::strerror(error) : "cannot be read"));
  }
  return std::move(text).str();
}

Result<std::string> Pem::read() const {
  if (!text.empty()) return text;
  return read_text_file(file);
}

std::string ClusterAccess::url() const {
  return fmt::format("{}://{}:{}{}", https ? "https" : "http", is_ipv6(host) ? "[" + host + "]" : host, port, prefix);
}

Result<ClusterAccess> parse_server(std::string_view url) {
  const auto bad = [&](std::string_view why) {
    return failure(ErrorCode::invalid_input,
                   fmt::format("server \"{}\": {}; expected https://HOST[:PORT][/PREFIX]", url, why));
  };
  ClusterAccess access;
  std::string_view rest = url;
  access.https = rest.starts_with("https://");
  if (access.https || rest.starts_with("http://")) {
    rest.remove_prefix(rest.find("//") + 2);
  } else if (rest.find("://") != std::string_view::npos) {
    return bad("the protocol is neither http nor https");
  }
  access.port = access.https ? 443 : 80;
  const std::size_t slash = rest.find('/');
  if (slash != std::string_view::npos) access.prefix = rest.substr(slash);
  while (access.prefix.ends_with('/')) access.prefix.pop_back();
  if (access.prefix.find_first_of("?# ") != std::string::npos) return bad("a path prefix has no query");
  std::string_view authority = rest.substr(0, slash);
  if (authority.find('@') != std::string_view::npos) return bad("user and password belong into a kubeconfig");
  std::string_view port;
  if (authority.starts_with('[')) {
    const std::size_t close = authority.find(']');
    if (close == std::string_view::npos) return bad("the bracket is not closed");
    access.host = authority.substr(1, close - 1);
    if (!is_ipv6(access.host)) return bad("no IPv6 address in the brackets");
    port = authority.substr(close + 1);
  } else {
    const std::size_t colon = authority.find(':');
    access.host = authority.substr(0, colon);
    if (colon != std::string_view::npos) port = authority.substr(colon);
    const auto is_host_char = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
             c == '_';
    };
    if (access.host.empty() || !std::ranges::all_of(access.host, is_host_char)) return bad("no host");
  }
  if (!port.empty()) {
    const auto number = port.starts_with(':') ? parse_port(port.substr(1)) : std::nullopt;
    if (!number) return bad("no port of 1 to 65535 after the host");
    access.port = *number;
  }
  return access;
}

Result<ClusterAccess> cluster_access(const AccessOptions& options) {
  if (options.apiserver_host.empty() && options.kubeconfig.empty()) return in_cluster(options);
  ClusterAccess access;
  if (!options.kubeconfig.empty()) {
    auto read = read_kubeconfig(options.kubeconfig);
    if (!read) return std::unexpected(read.error().with_context("--kubeconfig " + options.kubeconfig));
    access = *std::move(read);
  }
  if (!options.apiserver_host.empty()) {
    auto server = parse_server(options.apiserver_host);
    if (!server) return std::unexpected(server.error().with_context("--apiserver-host"));
    access.https = server->https;
    access.host = server->host;
    access.port = server->port;
    access.prefix = server->prefix;
  }
  return access;
}

Result<std::string> TokenSource::token(TimePoint now) {
  if (file_.empty() || (read_at_ && now - *read_at_ < token_lifetime)) return token_;
  auto text = read_text_file(file_);
  const std::string token = text ? trimmed(*text) : std::string();
  if (!token.empty()) {
    token_ = token;
    read_at_ = now;
    return token_;
  }
  if (!token_.empty()) return token_;
  return text ? failure(ErrorCode::io, file_ + ": holds no token") : std::unexpected(text.error());
}

std::string encode_base64(std::string_view bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  // OpenSSL's base64 takes and gives unsigned char, the same bytes.
  const int size =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                      reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(size));
  return text;
}

Result<std::string> decode_base64(std::string_view text) {
  std::string packed;
  for (const char c : text) {
    if (c != '\n' && c != '\r' && c != ' ' && c != '\t') packed += c;
  }
  std::string bytes(packed.size() / 4 * 3 + 3, '\0');
  const int size =
      EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                      reinterpret_cast<const unsigned char*>(packed.data()), static_cast<int>(packed.size()));
  if (size < 0 || packed.size() % 4 != 0) return failure(ErrorCode::invalid_input, "is no base64");
  // EVP_DecodeBlock counts the padding as bytes.
  const auto padding = static_cast<std::size_t>(packed.ends_with("==") ? 2 : packed.ends_with("=") ? 1 : 0);
  bytes.resize(static_cast<std::size_t>(size) - padding);
  return bytes;
}

}  // namespace vipkeeper::kube
