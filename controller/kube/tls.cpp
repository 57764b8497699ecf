#include "controller/kube/tls.h"

#include <fmt/core.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <utility>
#include <vector>

#include "engine/base/ip_address.h"

namespace vipkeeper::kube {

namespace {

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
using Bio = std::unique_ptr<BIO, Deleter<BIO_free_all>>;
using Certificate = std::unique_ptr<X509, Deleter<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using Store = std::unique_ptr<X509_STORE, Deleter<X509_STORE_free>>;

Bio bio_of(const std::string& text) { return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

std::string openssl_error() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason == nullptr ? "unknown reason" : reason;
}

Result<std::vector<Certificate>> parse_certificates(const std::string& pem) {
  std::vector<Certificate> certificates;
  const Bio bio = bio_of(pem);
  while (X509* one = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) certificates.emplace_back(one);
  ERR_clear_error();  // the end of the text is one
  if (certificates.empty()) return failure(ErrorCode::invalid_input, "no certificate in PEM form");
  return certificates;
}

std::string name_of(const Pem& pem, std::string_view what) {
  return pem.file.empty() || !pem.text.empty() ? std::string(what) : fmt::format("{} {}", what, pem.file);
}

// Of the settings, in each SSL_CTX; a shared_ptr to them, so that a connection that ends late finds them.
int settings_index() {
  static const int index =
      SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, [](void*, void* held, CRYPTO_EX_DATA*, int, long, void*) {
        delete static_cast<std::shared_ptr<TlsSettings>*>(held);
      });
  return index;
}

}  // namespace

TlsSettings::TlsSettings(const ClusterAccess& access)
    : name_(access.tls_server_name.empty() ? access.host : access.tls_server_name),
      insecure_(access.insecure),
      ca_(access.ca),
      certificate_(access.client_certificate),
      key_(access.client_key) {}

Result<void> TlsSettings::apply(SSL_CTX* context) {
  ERR_clear_error();
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_ex_data(context, settings_index(), new std::shared_ptr<TlsSettings>(shared_from_this()));
  SSL_CTX_set_cert_verify_callback(context, &TlsSettings::verify, this);
  SSL_CTX_set_info_callback(context, &TlsSettings::set_server_name);
  auto trusted = trust(context);
  if (!trusted) return trusted;
  return show(context);
}

// A store of its own: the context's would hold the system's authorities as well.
Result<void> TlsSettings::trust(SSL_CTX* context) {
  Store store(X509_STORE_new());
  if (ca_.empty()) {
    X509_STORE_load_path(store.get(), X509_get_default_cert_dir());
    X509_STORE_load_file(store.get(), X509_get_default_cert_file());
    ERR_clear_error();
  } else if (!insecure_) {
    auto text = ca_.read();
    auto certificates = text ? parse_certificates(*text) : std::unexpected(text.error());
    if (certificates) {
      good_ca_ = *std::move(text);
    } else if (!good_ca_.empty()) {
      certificates = parse_certificates(good_ca_);
    } else {
      return std::unexpected(certificates.error().with_context(name_of(ca_, "certificate authority")));
    }
    for (const Certificate& one : *certificates) X509_STORE_add_cert(store.get(), one.get());
  }
  SSL_CTX_set_cert_store(context, store.release());
  return {};
}

Result<void> TlsSettings::show(SSL_CTX* context) {
  if (certificate_.empty()) return {};
  auto text = certificate_.read();
  auto key_text = key_.read();
  const auto use = [context](const std::string& certificate_pem, const std::string& key_pem) -> Result<void> {
    auto chain = parse_certificates(certificate_pem);
    if (!chain) return std::unexpected(chain.error().with_context("client certificate"));
    const Key key(PEM_read_bio_PrivateKey(bio_of(key_pem).get(), nullptr, nullptr, nullptr));
    if (!key) return failure(ErrorCode::invalid_input, "client key: no private key in PEM form: " + openssl_error());
    if (SSL_CTX_use_certificate(context, chain->front().get()) != 1 ||
        SSL_CTX_use_PrivateKey(context, key.get()) != 1 || SSL_CTX_check_private_key(context) != 1) {
      return failure(ErrorCode::invalid_input, "client certificate and key: " + openssl_error());
    }
    SSL_CTX_clear_chain_certs(context);
    for (std::size_t i = 1; i < chain->size(); ++i) SSL_CTX_add1_chain_cert(context, (*chain)[i].get());
    return {};
  };
  Result<void> used = !text       ? std::unexpected(text.error().with_context("client certificate"))
                      : !key_text ? std::unexpected(key_text.error().with_context("client key"))
                                  : use(*text, *key_text);
  if (used) {
    good_certificate_ = *std::move(text);
    good_key_ = *std::move(key_text);
    return {};
  }
  if (good_certificate_.empty()) return used;
  return use(good_certificate_, good_key_);
}

bool TlsSettings::replaced() const { return authority_replaced() || certificate_replaced(); }

bool TlsSettings::authority_replaced() const {
  if (good_ca_.empty() || !ca_.text.empty()) return false;
  const auto text = ca_.read();
  return text && *text != good_ca_ && parse_certificates(*text);
}

// Two files, which are seldom replaced at the same moment: only a pair that fits is news.
bool TlsSettings::certificate_replaced() const {
  if (good_certificate_.empty() || (!certificate_.text.empty() && !key_.text.empty())) return false;
  const auto text = certificate_.read();
  const auto key_text = key_.read();
  if (!text || !key_text || (*text == good_certificate_ && *key_text == good_key_)) return false;
  const auto chain = parse_certificates(*text);
  const Key key(PEM_read_bio_PrivateKey(bio_of(*key_text).get(), nullptr, nullptr, nullptr));
  const bool fits = chain && key && X509_check_private_key(chain->front().get(), key.get()) == 1;
  ERR_clear_error();
  return fits;
}

int TlsSettings::verify(X509_STORE_CTX* store, void* settings) {
  return static_cast<TlsSettings*>(settings)->verify(store);
}

int TlsSettings::verify(X509_STORE_CTX* store) {
  if (insecure_) return 1;
  X509_VERIFY_PARAM* parameters = X509_STORE_CTX_get0_param(store);
  X509_VERIFY_PARAM_set_hostflags(parameters,
                                  X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  const bool named = IpAddress::parse(name_) ? X509_VERIFY_PARAM_set1_ip_asc(parameters, name_.c_str()) == 1
                                             : X509_VERIFY_PARAM_set1_host(parameters, name_.c_str(), 0) == 1;
  // In place of cpprestsdk's callback, which would check the Host header's name.
  X509_STORE_CTX_set_verify_cb(store, [](int ok, X509_STORE_CTX*) { return ok; });
  if (named && X509_verify_cert(store) == 1) return 1;
  const int error = X509_STORE_CTX_get_error(store);
  refusal_ = fmt::format("the server's certificate is refused: {} (expected name: {})",
                         X509_verify_cert_error_string(error), name_);
  return 0;
}

// SNI, which cpprestsdk would fill with the Host header, port included. Addresses are never sent (RFC 6066, 3).
void TlsSettings::set_server_name(const SSL* ssl, int where, int) {
  if (where != SSL_CB_HANDSHAKE_START) return;
  const auto* settings =
      static_cast<const std::shared_ptr<TlsSettings>*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), settings_index()));
  if (settings == nullptr || IpAddress::parse((*settings)->name_)) return;
  // The callback's signature is const; the handshake has not begun.
  SSL_ctrl(const_cast<SSL*>(ssl), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, (*settings)->name_.data());
}

}  // namespace vipkeeper::kube
