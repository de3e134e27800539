/* certificate.h - a key and a certificate that nobody but a test trusts. */
#pragma once

/* Writes an EC key and a self-signed certificate for localhost and 127.0.0.1 as PEM files. `name` is the
 * certificate's common name. */
void certificate_write(const char *certificate, const char *key, const char *name);
