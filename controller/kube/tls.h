#pragma once

#include <openssl/types.h>

#include <memory>
#include <mutex>
#include <string>

#include "controller/kube/access.h"
#include "engine/base/result.h"

namespace vipkeeper::kube {

// What TLS connections to one API server trust and show. It does OpenSSL's verification itself, because cpprestsdk
// would trust the system's authorities too, accept a match of the subject's common name, take the name from the Host
// header, and forget the reason of a refusal. Used on the pool thread.
class TlsSettings : public std::enable_shared_from_this<TlsSettings> {
 public:
  explicit TlsSettings(const ClusterAccess& access);

  // Prepares the context of one new connection. Files are read each time, since they are rotated; one that cannot be
  // read or parsed is taken as it was last. The context keeps these settings alive.
  Result<void> apply(SSL_CTX* context);

  // Whether a file has come to hold something else, and usable, since the last connection was prepared.
  [[nodiscard]] bool replaced() const;

  // Why the last handshake was refused by us, "" if it was not.
  [[nodiscard]] const std::string& refusal() const { return refusal_; }
  void clear_refusal() { refusal_.clear(); }

 private:
  static int verify(X509_STORE_CTX* store, void* settings);
  static void set_server_name(const SSL* ssl, int where, int);
  int verify(X509_STORE_CTX* store);
  Result<void> trust(SSL_CTX* context);
  Result<void> show(SSL_CTX* context);
  [[nodiscard]] bool authority_replaced() const;
  [[nodiscard]] bool certificate_replaced() const;

  std::string name_;  // of the server's certificate
  bool insecure_;
  Pem ca_;
  Pem certificate_;
  Pem key_;
  std::string good_ca_;
  std::string good_certificate_;
  std::string good_key_;
  std::string refusal_;
};

}  // namespace vipkeeper::kube
