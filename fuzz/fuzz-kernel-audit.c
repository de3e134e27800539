/* Records of the kernel's audit log: what is accepted can be written again as the kernel would, all in
 * hexadecimal, and means the same; and no key is taken twice. The first byte says which type. */
#include "fuzz.h"

#include "base/buf.h"
#include "proto/kernel_audit.h"

static void check_written_again(const struct kernel_audit *r)
{
    static struct kernel_audit again;
    AUTO_BUF text = { 0 };
    struct err e;
    buf_addf(&text, "audit(%llu.%03u:%llu): domain=%llx blockers=%s path=",
             (unsigned long long)r->time_ms / 1000, (unsigned)(r->time_ms % 1000),
             (unsigned long long)r->serial, (unsigned long long)r->domain, r->blockers);
    for (const char *at = r->object; *at; at++)
        buf_addf(&text, "%02X", (unsigned char)*at);
    CHECK(kernel_audit_parse(r->type, buf_str(&text), &again, &e) == 0);
    CHECK(again.time_ms == r->time_ms && again.serial == r->serial && again.domain == r->domain);
    CHECK(strcmp(again.object, r->object) == 0 && strcmp(again.blockers, r->blockers) == 0);
    buf_add(&text, STR(" domain=1"));
    CHECK(kernel_audit_parse(r->type, buf_str(&text), &again, &e) < 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static const unsigned types[] = { KERNEL_AUDIT_SYSCALL, KERNEL_AUDIT_EVENT_END,
                                      KERNEL_AUDIT_ACCESS, KERNEL_AUDIT_DOMAIN };
    static struct kernel_audit r;
    struct err e;
    if (n == 0 || kernel_audit_parse(types[bytes[0] % 4],
                                     (struct str){ (const char *)bytes + 1, n - 1 }, &r, &e) < 0)
        return 0;
    CHECK(r.type == types[bytes[0] % 4] && r.pid >= 0 && r.os >= 0);
    CHECK(strlen(r.comm) < sizeof r.comm && strlen(r.exe) < sizeof r.exe);
    if (r.type == KERNEL_AUDIT_ACCESS)
        check_written_again(&r);
    return 0;
}
