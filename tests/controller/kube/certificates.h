#pragma once

#include <openssl/types.h>

#include <memory>
#include <string>

namespace vipkeeper::test {

struct FreeKey {
  void operator()(EVP_PKEY* key) const;
};
struct FreeCertificate {
  void operator()(X509* certificate) const;
};
struct FreeContext {
  void operator()(SSL_CTX* context) const;
};

// A key and a certificate over it, made for the test.
struct Identity {
  std::unique_ptr<EVP_PKEY, FreeKey> key;
  std::unique_ptr<X509, FreeCertificate> certificate;
  [[nodiscard]] std::string certificate_pem() const;
  [[nodiscard]] std::string key_pem() const;
};

Identity make_authority(const std::string& name);
// `names`: the subjectAltName ("IP:127.0.0.1,DNS:localhost"), none if empty. `days`: of validity from now; negative:
// expired.
Identity issue(const Identity& authority, const std::string& common_name, const std::string& names, int days = 1);

// For a server; with `clients` it asks for a certificate of that authority and takes no other.
std::unique_ptr<SSL_CTX, FreeContext> server_context(const Identity& server, const Identity* clients = nullptr);

}  // namespace vipkeeper::test
