/* refuse.c: stands in the program for those functions of libc through which the allocator
 * reaches the system, counts their calls, and makes the k-th of a kind fail as the system would:
 * REFUSE=KIND:K:once or REFUSE=KIND:K:lasting in the environment; KIND may be "any".
 *
 * The clock is one of them: it goes on a little with each look at it and when it is told to, so
 * that every run of a scenario makes the same calls. libc's own calls do not come by here, so
 * that only the allocator is refused. The environment is read from /proc, because the first
 * calls come before libc has set environ. */
#define _GNU_SOURCE
#include "refuse.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#include "../own_vdso.h"

const char* const refuse_names[kRefuseKinds] = {
#define REFUSE_NAME(name) #name,
    REFUSE_KINDS(REFUSE_NAME)
#undef REFUSE_NAME
};

enum { kUnread, kOff, kOn };
static atomic_int state = kUnread;
static int wanted_kind = -1; /* kRefuseKinds: any */
static unsigned long wanted_call;
static int is_lasting;
static atomic_ulong calls[kRefuseKinds + 1], refused;

unsigned long refuse_calls(int kind) {
    return atomic_load(&calls[kind]);
}
unsigned long refuse_count(void) {
    return atomic_load(&refused);
}
static atomic_ulong clock_us = 1000000000;
void refuse_advance(unsigned ms) {
    atomic_fetch_add(&clock_us, 1000ul * ms);
}
static int own_clock(clockid_t clock, struct timespec* time) {
    (void)clock;
    const unsigned long us = atomic_fetch_add(&clock_us, 10);
    time->tv_sec = (time_t)(us / 1000000);
    time->tv_nsec = (long)(us % 1000000 * 1000);
    return 0;
}
void refuse_no_more(void) {
    atomic_store(&state, kOff);
}

static long raw(long number, long a, long b, long c, long d, long e, long f) {
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}
static long answer(long result) {
    if (result >= 0 || result < -4095) return result;
    errno = (int)-result;
    return -1;
}

/* The first call of the process has one thread. */
static void read_wish(void) {
    static char text[65536];
    atomic_store(&state, kOff);
    const long file =
        raw(SYS_openat, AT_FDCWD, (long)"/proc/self/environ", O_RDONLY | O_CLOEXEC, 0, 0, 0);
    if (file < 0) return;
    long length = 0, got;
    while ((got = raw(SYS_read, file, (long)(text + length), (long)sizeof text - 1 - length, 0, 0,
                      0)) > 0)
        length += got;
    raw(SYS_close, file, 0, 0, 0, 0, 0);
    for (const char* s = text; s < text + length; s += strlen(s) + 1) {
        if (strncmp(s, "REFUSE=", 7) != 0) continue;
        const char* name = s + 7;
        const char* colon = strchr(name, ':');
        if (colon == NULL) _exit(2);
        const size_t n = (size_t)(colon - name);
        for (int kind = 0; kind <= kRefuseKinds; ++kind) {
            const char* candidate = kind == kRefuseKinds ? "any" : refuse_names[kind];
            if (strlen(candidate) == n && memcmp(candidate, name, n) == 0) wanted_kind = kind;
        }
        for (++colon; *colon >= '0' && *colon <= '9'; ++colon)
            wanted_call = wanted_call * 10 + (unsigned long)(*colon - '0');
        is_lasting = strcmp(colon, ":lasting") == 0;
        if (wanted_kind < 0 || wanted_call == 0 || (!is_lasting && strcmp(colon, ":once") != 0))
            _exit(2);
        atomic_store(&state, kOn);
    }
}

static int refuses(int kind) {
    if (atomic_load(&state) == kUnread) read_wish();
    const unsigned long own = atomic_fetch_add(&calls[kind], 1) + 1,
                        all = atomic_fetch_add(&calls[kRefuseKinds], 1) + 1;
    if (atomic_load(&state) != kOn || (wanted_kind != kRefuseKinds && wanted_kind != kind))
        return 0;
    const unsigned long n = wanted_kind == kRefuseKinds ? all : own;
    if (is_lasting ? n < wanted_call : n != wanted_call) return 0;
    atomic_fetch_add(&refused, 1);
    return 1;
}
static int refuse_with(int kind, int error) {
    if (!refuses(kind)) return 0;
    errno = error;
    return 1;
}

void* mmap(void* p, size_t n, int protection, int flags, int file, off_t offset) {
    if (refuse_with(kRefuse_mmap, ENOMEM)) return MAP_FAILED;
    return (void*)answer(raw(SYS_mmap, (long)p, (long)n, protection, flags, file, offset));
}
int munmap(void* p, size_t n) {
    if (refuse_with(kRefuse_munmap, ENOMEM)) return -1;
    return (int)answer(raw(SYS_munmap, (long)p, (long)n, 0, 0, 0, 0));
}
int mprotect(void* p, size_t n, int protection) {
    if (refuse_with(kRefuse_mprotect, ENOMEM)) return -1;
    return (int)answer(raw(SYS_mprotect, (long)p, (long)n, protection, 0, 0, 0));
}
int madvise(void* p, size_t n, int advice) {
    if (refuse_with(kRefuse_madvise, EAGAIN)) return -1;
    return (int)answer(raw(SYS_madvise, (long)p, (long)n, advice, 0, 0, 0));
}
/* C11's functions are those of POSIX inside libc. */
int pthread_key_create(pthread_key_t* key, void (*destructor)(void*)) {
    if (refuses(kRefuse_key_create)) return EAGAIN;
    return tss_create(key, destructor) == thrd_success ? 0 : EAGAIN;
}
int pthread_setspecific(pthread_key_t key, const void* value) {
    if (refuses(kRefuse_setspecific)) return ENOMEM;
    return tss_set(key, (void*)(uintptr_t)value) == thrd_success ? 0 : ENOMEM;
}
long syscall(long number, ...) {
    va_list list;
    long a[6];
    va_start(list, number);
    for (int i = 0; i < 6; ++i) a[i] = va_arg(list, long);
    va_end(list);
    /* A wait may always end early; a wake does not fail. */
    if (number == SYS_futex && (a[1] & FUTEX_CMD_MASK) == FUTEX_WAIT &&
        refuse_with(kRefuse_futex, EINTR))
        return -1;
    if (number == SYS_openat && refuse_with(kRefuse_open, EMFILE)) return -1;
    if (number == SYS_read && refuse_with(kRefuse_read, EIO)) return -1;
    if (number == SYS_getrandom && refuse_with(kRefuse_getrandom, EAGAIN)) return -1;
    return answer(raw(number, a[0], a[1], a[2], a[3], a[4], a[5]));
}
int sysinfo(struct sysinfo* info) {
    if (refuse_with(kRefuse_sysinfo, EFAULT)) return -1;
    return (int)answer(raw(SYS_sysinfo, (long)info, 0, 0, 0, 0, 0));
}
int getrlimit(__rlimit_resource_t resource, struct rlimit* limit) {
    if (refuse_with(kRefuse_getrlimit, EINVAL)) return -1;
    return (int)answer(raw(SYS_prlimit64, 0, resource, 0, (long)limit, 0, 0));
}
