#include "tests/controller/kube/certificates.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <stdexcept>

namespace vipkeeper::test {

void FreeKey::operator()(EVP_PKEY* key) const { ::EVP_PKEY_free(key); }
void FreeCertificate::operator()(X509* certificate) const { ::X509_free(certificate); }
void FreeContext::operator()(SSL_CTX* context) const { ::SSL_CTX_free(context); }

namespace {

std::string text_of(BIO* bio) {
  char* bytes = nullptr;
  const long size = ::BIO_ctrl(bio, BIO_CTRL_INFO, 0, &bytes);
  std::string text(bytes, static_cast<std::size_t>(size));
  ::BIO_free(bio);
  return text;
}

void extend(X509* certificate, int id, const std::string& value) {
  X509_EXTENSION* extension = ::X509V3_EXT_nconf_nid(nullptr, nullptr, id, value.c_str());
  if (extension == nullptr) throw std::runtime_error("extension " + value);
  ::X509_add_ext(certificate, extension, -1);
  ::X509_EXTENSION_free(extension);
}

Identity make(const Identity* authority, const std::string& common_name, const std::string& names, int days) {
  Identity identity;
  identity.key.reset(::EVP_EC_gen("P-256"));
  identity.certificate.reset(::X509_new());
  X509* certificate = identity.certificate.get();
  static long serial = 1;
  ::X509_set_version(certificate, 2);
  ::ASN1_INTEGER_set(::X509_get_serialNumber(certificate), serial++);
  constexpr long day = 24L * 60 * 60;
  ::X509_gmtime_adj(::X509_getm_notBefore(certificate), -10 * day);
  ::X509_gmtime_adj(::X509_getm_notAfter(certificate), days * day);
  ::X509_set_pubkey(certificate, identity.key.get());
  // Text is unsigned char to OpenSSL.
  ::X509_NAME_add_entry_by_txt(::X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1, 0);
  const X509* issuer = authority == nullptr ? certificate : authority->certificate.get();
  ::X509_set_issuer_name(certificate, ::X509_get_subject_name(issuer));
  extend(certificate, NID_basic_constraints, authority == nullptr ? "critical,CA:TRUE" : "CA:FALSE");
  if (!names.empty()) extend(certificate, NID_subject_alt_name, names);
  ::X509_sign(certificate, authority == nullptr ? identity.key.get() : authority->key.get(), ::EVP_sha256());
  return identity;
}

}  // namespace

std::string Identity::certificate_pem() const {
  BIO* bio = ::BIO_new(::BIO_s_mem());
  ::PEM_write_bio_X509(bio, certificate.get());
  return text_of(bio);
}

std::string Identity::key_pem() const {
  BIO* bio = ::BIO_new(::BIO_s_mem());
  ::PEM_write_bio_PrivateKey(bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  return text_of(bio);
}

Identity make_authority(const std::string& name) { return make(nullptr, name, "", 10); }

Identity issue(const Identity& authority, const std::string& common_name, const std::string& names, int days) {
  return make(&authority, common_name, names, days);
}

std::unique_ptr<SSL_CTX, FreeContext> server_context(const Identity& server, const Identity* clients) {
  std::unique_ptr<SSL_CTX, FreeContext> context(::SSL_CTX_new(::TLS_server_method()));
  ::SSL_CTX_use_certificate(context.get(), server.certificate.get());
  ::SSL_CTX_use_PrivateKey(context.get(), server.key.get());
  if (clients != nullptr) {
    ::X509_STORE_add_cert(::SSL_CTX_get_cert_store(context.get()), clients->certificate.get());
    ::SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  return context;
}

}  // namespace vipkeeper::test
