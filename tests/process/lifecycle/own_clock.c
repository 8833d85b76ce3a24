/* A clock_gettime that stands in for libc's, as that of a program that fakes the time does. It
 * allocates in every call, without any guard against being called by the allocator, and its time
 * stands still. Preloaded, or linked into the program. With OWN_CLOCK_WITHOUT_VDSO the kernel seems
 * to have mapped no vDSO, as under valgrind: the allocator then gets its time by a system call. */
#include <elf.h>
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

#if OWN_CLOCK_WITHOUT_VDSO
unsigned long __getauxval(unsigned long type); /* libc's own name for the function below */
unsigned long getauxval(unsigned long type);
unsigned long getauxval(unsigned long type) {
    return type == AT_SYSINFO_EHDR ? 0 : __getauxval(type);
}
#endif
