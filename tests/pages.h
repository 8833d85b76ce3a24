/* pages.h: which pages of a block may hold something, so that a test that all is zero need not
 * touch the others. A private page that is neither in memory nor swapped out reads as zero; to look
 * at each would cost a page fault, which is most of what such a test takes.
 *
 *   for (size_t at = 0, end; (at = pages_next(p, n, at, &end, pagemap)) < n; at = end) ...
 *
 * Nothing here allocates; errno may change. */
#pragma once

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

/* This process's own table of pages, until it forks; -1 where there is none, and then every page
 * counts as one that may hold something. So it does under an emulator, where the table is that of
 * other addresses. */
static inline int pages_open(void) {
#if defined(__x86_64__)
    return open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
#else
    return -1;
#endif
}

/* The first byte from `at` on of a block of n bytes that lies in a page that may hold something; n
 * if there is none. So may the bytes behind it, up to *end. */
static inline size_t pages_next(const void* block, size_t n, size_t at, size_t* end, int pagemap) {
    const uint64_t in_use = (uint64_t)3 << 62; /* present, swapped */
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), p = (uintptr_t)block;
    uint64_t entries[256];
    *end = n;
    while (pagemap >= 0 && at < n) {
        const uintptr_t first = (p + at) / page, left = (p + n - 1) / page - first + 1,
                        count = left < 256 ? left : 256;
        const size_t bytes = count * sizeof entries[0];
        if (pread(pagemap, entries, bytes, (off_t)(first * sizeof entries[0])) != (ssize_t)bytes)
            return at;
        uintptr_t i = 0, behind;
        while (i < count && (entries[i] & in_use) == 0) ++i;
        for (behind = i; behind < count && (entries[behind] & in_use) != 0;) ++behind;
        if (i > 0) at = (first + i) * page - p;
        if (i == count) continue;
        if ((first + behind) * page < p + n) *end = (first + behind) * page - p;
        return at;
    }
    return at < n ? at : n;
}
