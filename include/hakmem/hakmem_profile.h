/* hakmem_profile.h: the heap profile: which call sites allocate how much, what of it lives, and
 * for how long it lived.
 *
 * With profile=512K in HAKMEM_OPTIONS one allocation in 512 KiB of allocated bytes is sampled,
 * with its call stack, whatever function of the malloc family made it. Numbers of blocks and
 * bytes below are estimates from the samples, without bias; profile=1 samples nearly all.
 * Without the option nothing is recorded and no allocation costs more. While it is on, every
 * allocation takes a slow path, and each live sample takes 64 KiB of address space and one page
 * of memory at least. The debug build has no profile. Every function is thread-safe; none is
 * async-signal-safe. */
#ifndef HAKMEM_HAKMEM_PROFILE_H
#define HAKMEM_HAKMEM_PROFILE_H

#include <stddef.h>
#include <stdint.h>

#if defined(__cplusplus)
extern "C" {
#endif

/* The place in the source where this stands, for hak_alloc_at: the address of the string
 * "file:line". Nothing is hashed while the program runs. Where no site is given, that of an
 * allocation is the address to which the allocating function returns; linked with libhakmem.a,
 * which cannot tell its own code from the program's, an address of its own, the same for many
 * callers. */
#define HAKMEM_SITE_TEXT_(line) #line
#define HAKMEM_SITE_LINE_(line) HAKMEM_SITE_TEXT_(line)
#define HAK_CALLSITE ((const void*)(__FILE__ ":" HAKMEM_SITE_LINE_(__LINE__)))

/* Writes the profile to a file, for pprof: "google-pprof --text PROGRAM FILE". Of an executable
 * or library linked with libhakmem.a the allocator's own functions stand first in each stack. 0,
 * ENODATA if there is no profile, else the error of the file, which may be incomplete then, or
 * EINVAL if path is null. profile_path=FILE does the same at exit, with the process id for %p;
 * without %p a forked child adds ".PID" to the name, and a program that the process starts
 * overwrites the file. A line on stderr tells at exit how many samples found no room: the
 * numbers of the file are too small then. */
int hak_profile_dump(const char* path);

struct hak_profile_stats {
    uint64_t interval;     /* bytes between samples in the mean; 0: there is no profile */
    uint64_t samples;      /* taken */
    uint64_t live_samples; /* of blocks that live */
    /* not taken, because too many sampled blocks were live (24576), or for lack of memory */
    uint64_t overflowed_blocks;
    uint64_t overflowed_stacks; /* samples whose stack found no room (4095) */
    /* and whose site found none (1023); they are counted as one site, null */
    uint64_t overflowed_sites;
};
/* Fills the first `bytes` bytes of *out. 0, or EINVAL if out is null. */
int hak_profile_get_stats(struct hak_profile_stats* out, size_t bytes);

#define HAK_SITE_BUCKETS 48
struct hak_site {
    const void* site; /* as given to hak_alloc_at, or a return address */
    uint64_t samples;
    uint64_t allocations, bytes; /* since the start */
    uint64_t live_blocks, live_bytes;
    double mean_lifetime_ms;          /* of the freed ones; 0 if there are none */
    uint64_t sizes[HAK_SITE_BUCKETS]; /* allocations: [b] of 2^(b-1) to 2^b - 1 bytes */
    /* freed blocks: [0] below a millisecond, [b] of 2^(b-1) to 2^b - 1 */
    uint64_t lifetimes_ms[HAK_SITE_BUCKETS];
};
/* Sites so far, in the order of their first samples. */
size_t hak_site_count(void);
/* Site `index`, from 0. 0, or EINVAL if there is no such site or out is null. Fills the first
 * `bytes` bytes. */
int hak_site_get(size_t index, struct hak_site* out, size_t bytes);
/* One line per site on stderr. */
void hak_site_print(void);

/* The site of a live block: of one above the largest size class (32 KiB) what hak_alloc_at was
 * given, with or without a profile, and after realloc too as long as the block is so large; of
 * one that the profile sampled, its site there. Null for all others, and in the debug build. */
const void* hak_site_of(const void* block);

#if defined(__cplusplus)
}
#endif

#endif
