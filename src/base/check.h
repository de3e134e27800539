/* check.h - assertions that stay on.
 *
 * The world may fail: that is struct err. Our own code may be wrong: that is CHECK. It prints the
 * place and stops the process; its supervisor starts a new one.
 */
#pragma once

/* Prints "file:line: function: broken: condition" to stderr and aborts. */
_Noreturn void check_failed(const char *file, int line, const char *function,
                            const char *condition);

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond))                                                                               \
            check_failed(__FILE__, __LINE__, __func__, #cond);                                     \
    } while (0)
