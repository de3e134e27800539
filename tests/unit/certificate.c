#include "certificate.h"

#include "base/check.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>

static void add_extension(X509 *x, int which, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, x, x, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, which, value);
    CHECK(extension && X509_add_ext(x, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

void certificate_write(const char *certificate, const char *key, const char *name)
{
    EVP_PKEY *pair = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    CHECK(pair && x);
    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, pair);
    X509_NAME *subject = X509_get_subject_name(x);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(x, subject);
    add_extension(x, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(x, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
    CHECK(X509_sign(x, pair, EVP_sha256()) > 0);
    FILE *out = fopen(certificate, "w");
    CHECK(out && PEM_write_X509(out, x) == 1);
    fclose(out);
    out = fopen(key, "w");
    CHECK(out && PEM_write_PrivateKey(out, pair, NULL, NULL, 0, NULL, NULL) == 1);
    fclose(out);
    X509_free(x);
    EVP_PKEY_free(pair);
}
