#include "core/retry.h"

#define LONGEST (60 * (int64_t)RETRY_SECOND)
#define LONGEST_WANTED (600 * (int64_t)RETRY_SECOND)

int64_t retry_delay(unsigned failures)
{
    if (failures == 0)
        return 0;
    int64_t delay = failures > 6 ? LONGEST : (int64_t)RETRY_SECOND << (failures - 1);
    return delay < LONGEST ? delay : LONGEST;
}

int64_t retry_model_delay(unsigned failures, int64_t wanted, const struct random_source *random)
{
    int64_t delay = retry_delay(failures);
    uint32_t chance;
    random_fill(random, &chance, sizeof chance);
    /* Never below the second that the contract begins with. */
    delay -= delay / 4 * (int64_t)(chance % 1024) / 1024;
    if (delay < RETRY_SECOND)
        delay = RETRY_SECOND;
    if (wanted > LONGEST_WANTED)
        wanted = LONGEST_WANTED;
    return wanted > delay ? wanted : delay;
}
