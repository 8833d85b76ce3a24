// A clock for the traces: every look at it is a millisecond after the one before, whatever the
// machine's speed. Preloaded before the library under test, so that what decays with time decays at
// the same call in every run.
#include "../../tests/process/own_vdso.h"

static int own_clock(clockid_t clock, struct timespec* time) {
    static long looks;
    (void)clock;
    ++looks;
    time->tv_sec = 1000 + looks / 1000;
    time->tv_nsec = looks % 1000 * 1000000;
    return 0;
}

// For an allocator that asks libc.
int clock_gettime(clockid_t clock, struct timespec* time) {
    return own_clock(clock, time);
}
