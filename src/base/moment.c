#include "base/moment.h"
#include "base/check.h"

#include <stdio.h>
#include <sys/random.h>
#include <time.h>

static const int64_t SECOND = 1000000;

/* Days since 1970 of a date of the Gregorian calendar, and back (years count from March). */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void date_of(int64_t days, int64_t *year, int64_t *month, int64_t *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t in_era = days - era * 146097;
    int64_t of_era = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    int64_t of_year = in_era - (365 * of_era + of_era / 4 - of_era / 100);
    int64_t from_march = (5 * of_year + 2) / 153;
    *day = of_year - (153 * from_march + 2) / 5 + 1;
    *month = from_march < 10 ? from_march + 3 : from_march - 9;
    *year = of_era + era * 400 + (*month <= 2);
}

void moment_write(char out[MOMENT_SIZE], int64_t moment)
{
    const int64_t first = days_of(0, 1, 1) * 86400 * SECOND;
    const int64_t last = days_of(10000, 1, 1) * 86400 * SECOND - 1;
    moment = moment < first ? first : moment > last ? last : moment;
    int64_t micro = (moment % SECOND + SECOND) % SECOND;
    int64_t seconds = (moment - micro) / SECOND;
    int64_t of_day = (seconds % 86400 + 86400) % 86400;
    int64_t year, month, day;
    date_of((seconds - of_day) / 86400, &year, &month, &day);
    snprintf(out, MOMENT_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u.%06uZ", (unsigned)(year % 10000),
             (unsigned)(month % 100), (unsigned)(day % 100), (unsigned)(of_day / 3600 % 100),
             (unsigned)(of_day / 60 % 60), (unsigned)(of_day % 60), (unsigned)(micro % 1000000));
}

/* Exactly `n` digits at the start of *s. */
static bool take_digits(struct str *s, size_t n, int64_t *out)
{
    if (s->n < n)
        return false;
    *out = 0;
    for (size_t i = 0; i < n; i++) {
        if (s->p[i] < '0' || s->p[i] > '9')
            return false;
        *out = *out * 10 + (s->p[i] - '0');
    }
    *s = str_skip(*s, n);
    return true;
}

static bool take_byte(struct str *s, char a, char b)
{
    if (s->n == 0 || (s->p[0] != a && s->p[0] != b))
        return false;
    *s = str_skip(*s, 1);
    return true;
}

static void take_fraction(struct str *s, int64_t *micro)
{
    int64_t scale = SECOND / 10;
    for (; s->n && s->p[0] >= '0' && s->p[0] <= '9'; scale /= 10) {
        *micro += (s->p[0] - '0') * scale;
        *s = str_skip(*s, 1);
    }
}

static bool take_offset(struct str *s, int64_t *minutes)
{
    *minutes = 0;
    if (take_byte(s, 'Z', 'z'))
        return s->n == 0;
    int64_t hour, minute, sign = s->n && s->p[0] == '-' ? -1 : 1;
    if (!take_byte(s, '+', '-') || !take_digits(s, 2, &hour) || !take_byte(s, ':', ':') ||
        !take_digits(s, 2, &minute) || hour > 23 || minute > 59)
        return false;
    *minutes = sign * (hour * 60 + minute);
    return s->n == 0;
}

static int64_t days_in(int64_t year, int64_t month)
{
    return month == 12 ? 31 : days_of(year, month + 1, 1) - days_of(year, month, 1);
}

bool moment_read(struct str text, int64_t *out)
{
    int64_t year, month, day, hour, minute, second, micro = 0, offset;
    if (!take_digits(&text, 4, &year) || !take_byte(&text, '-', '-') ||
        !take_digits(&text, 2, &month) || !take_byte(&text, '-', '-') ||
        !take_digits(&text, 2, &day) || !take_byte(&text, 'T', 't') ||
        !take_digits(&text, 2, &hour) || !take_byte(&text, ':', ':') ||
        !take_digits(&text, 2, &minute) || !take_byte(&text, ':', ':') ||
        !take_digits(&text, 2, &second))
        return false;
    if (take_byte(&text, '.', '.')) {
        if (text.n == 0 || text.p[0] < '0' || text.p[0] > '9')
            return false;
        take_fraction(&text, &micro);
    }
    if (!take_offset(&text, &offset) || month < 1 || month > 12 || day < 1 ||
        day > days_in(year, month) || hour > 23 || minute > 59 || second > 60)
        return false;
    *out = (days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset * 60) *
               SECOND +
           micro;
    return true;
}

static int64_t machine_now(void *ctx)
{
    (void)ctx;
    struct timespec t;
    CHECK(clock_gettime(CLOCK_REALTIME, &t) == 0);
    return (int64_t)t.tv_sec * SECOND + t.tv_nsec / 1000;
}

struct clock clock_of_machine(void)
{
    return (struct clock){ .now = machine_now };
}

int64_t steady_step(struct steady *s, int64_t machine, int64_t counted)
{
    const int64_t passed = counted - s->counted, most = passed / 10;
    if (s->now == 0) {
        s->now = machine;
    } else {
        int64_t apart = machine - (s->now + passed);
        apart = apart > most ? most : apart < -most ? -most : apart;
        s->now += passed + apart;
    }
    s->counted = counted;
    return s->now;
}

static int64_t steady_now(void *ctx)
{
    struct timespec t;
    CHECK(clock_gettime(CLOCK_BOOTTIME, &t) == 0);
    return steady_step(ctx, machine_now(NULL), (int64_t)t.tv_sec * SECOND + t.tv_nsec / 1000);
}

struct clock clock_steady(struct steady *s)
{
    return (struct clock){ .now = steady_now, .ctx = s };
}

static void kernel_fill(void *ctx, void *bytes, size_t n)
{
    (void)ctx;
    for (char *at = bytes; n > 0;) {
        ssize_t got = getrandom(at, n < 256 ? n : 256, 0); /* up to 256 are never interrupted */
        CHECK(got > 0);
        at += got;
        n -= (size_t)got;
    }
}

struct random_source random_of_kernel(void)
{
    return (struct random_source){ .fill = kernel_fill };
}
