/* A clock_gettime that stands in for libc's, as that of a program that fakes the time does. It
 * allocates in every call, without any guard against being called by the allocator, and its time
 * stands still. Preloaded, or linked into the program. */
#include <stdlib.h>
#include <time.h>

enum { kOwnSeconds = 1000 };

int clock_gettime(clockid_t clock, struct timespec* time) {
    static const size_t kSizes[] = {24, 500, 20000, 70000, 300000, 5000000};
    enum { kCount = sizeof kSizes / sizeof *kSizes };
    void* volatile blocks[kCount];
    (void)clock;
    for (int i = 0; i < kCount; ++i) blocks[i] = malloc(kSizes[i]);
    for (int i = 0; i < kCount; ++i) free(blocks[i]);
    time->tv_sec = kOwnSeconds;
    time->tv_nsec = 0;
    return 0;
}
