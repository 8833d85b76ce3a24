/* hakmem.h: the C interface of hakmem.
 *
 * A program that preloads or links libhakmem needs none of this: malloc and its family, and
 * C++'s operators new and delete, are replaced. The names below reach the same allocator beside
 * another malloc, report on it, and tune it.
 *
 * Sizes are in bytes. Every function is thread-safe; none is async-signal-safe. Blocks are
 * aligned to 16 bytes at least. A block may be given back by any thread, through any of the
 * freeing functions. Giving back, resizing or measuring a pointer that is not the start of a
 * live block prints one line on stderr and calls abort(). */
#ifndef HAKMEM_HAKMEM_H
#define HAKMEM_HAKMEM_H

#include <stddef.h>
#include <stdint.h>

#if defined(__cplusplus)
extern "C" {
#endif

#define HAKMEM_VERSION_MAJOR 0
#define HAKMEM_VERSION_MINOR 1
#define HAKMEM_VERSION_PATCH 0

/* Allocation: null with errno == ENOMEM if there is no memory; a request of 0 bytes returns a
 * block of its own. errno is unchanged on success. Each behaves as the function of the same name
 * without the prefix does in glibc 2.36. */
void* hak_malloc(size_t size);
/* zeroed; ENOMEM also when count * size overflows */
void* hak_calloc(size_t count, size_t size);
/* (p, 0) frees p and returns null; on failure p is unchanged */
void* hak_realloc(void* block, size_t size);
void* hak_reallocarray(void* block, size_t count, size_t size);
/* 0, EINVAL or ENOMEM; errno and, on error, *out unchanged */
int hak_posix_memalign(void** out, size_t alignment, size_t size);
/* alignment is rounded up to a power of two; EINVAL above SIZE_MAX/2+1 */
void* hak_aligned_alloc(size_t alignment, size_t size);
void* hak_memalign(size_t alignment, size_t size); /* the same */
void* hak_valloc(size_t size);                     /* aligned to a page */
/* aligned to a page, size rounded up to pages */
void* hak_pvalloc(size_t size);

/* Bytes that the block can hold, at least what was asked for; 0 for null. */
size_t hak_malloc_usable_size(void* block);

/* Freeing never changes errno; null is ignored. The sized forms are hints: the debug build alone
 * checks size and alignment. */
void hak_free(void* block);
void hak_free_sized(void* block, size_t size);
void hak_free_aligned_sized(void* block, size_t alignment, size_t size);

/* As hak_malloc and hak_free, with the call site, any address that identifies it. It is for
 * profiles and hak_site_of, and for reuse: a block of more than 32 KiB and at most 508 KiB that
 * was allocated with a site is, when it is freed, kept by the freeing thread for its next
 * request from that site that needs as many units of 64 KiB, unless the purge threshold is no
 * longer than those. Three such blocks are kept for each thread, in places that sites share by a
 * hash, besides one without a site, which a site takes too if it has none of its own. */
void* hak_alloc_at(size_t size, const void* site);
void hak_free_at(void* block, const void* site);

/* Returns free memory to the operating system now instead of after its delay. 1 if any was
 * returned, else 0. `keep` is accepted for the likeness to malloc_trim(3); the lists of other
 * live threads keep what they hold. */
int hak_trim(size_t keep);

/* The debug build looks at the guards of all live blocks and at the freed ones in its
 * quarantine; at the first that was written to it prints a line and calls abort(). It does the
 * same at exit. Returns 1. Other builds have nothing to look at and return 0. */
int hak_check_all(void);

/* A snapshot. Fields are read one after the other while other threads run: each is right, sums
 * need not be. Sizes are bytes. */
struct hak_stats {
    size_t window_bytes;     /* reserved address space */
    size_t committed_bytes;  /* of it, readable and writable */
    size_t units_bytes;      /* of that, superslabs divided into slabs and Large blocks */
    size_t used_units_bytes; /* of that, in slabs and Large blocks */
    size_t big_bytes;        /* committed in Big blocks */
    size_t cached_bytes;     /* committed free superslabs */
    size_t heaps;            /* heaps ever made; each has been a thread's */
    size_t heaps_orphan;     /* of them, without a thread */
    size_t heaps_frozen;     /* of them, lost to fork in this child */
    size_t slabs;            /* slabs in use */
    uint64_t refills;        /* times a thread's list and bump range were empty */
    uint64_t slab_opens;
    uint64_t slab_releases;
    uint64_t remote_drains; /* slabs drained after other threads freed into them */
    /* slabs taken over from other heaps, whose threads are gone or idle */
    uint64_t slabs_taken_over;
    uint64_t above_small;     /* allocations above 32 KiB, Large and Big */
    uint64_t commits;         /* system calls that made memory accessible, */
    uint64_t commit_failures; /* of them refused, */
    uint64_t decommits;       /* gave memory back with its commit charge, */
    uint64_t purges;          /* gave pages back */
    uint64_t purged_bytes;
    /* How each refill ended: while no thread refills, the four add up to `refills`. In the child
     * of a fork they may be less by one for each of heaps_frozen. */
    /* room in a slab of the thread's heap, what others gave back included */
    uint64_t refills_own;
    uint64_t refills_others; /* in a slab taken over from another heap */
    uint64_t refills_opened; /* in a fresh slab */
    uint64_t refills_failed; /* no memory */
    /* Blocks that came back to slabs past the threads' lists: freed by the slab's own thread
     * with a full list, and collected after other threads freed them. */
    uint64_t frees_local;
    uint64_t frees_remote;
};

/* Fills the first `bytes` bytes of *out, so that a program built with an older, shorter struct
 * keeps working. 0, or EINVAL if out is null. */
int hak_stats(struct hak_stats* out, size_t bytes);

/* The same as one JSON object: {"version": ..., "stats": {field: value, ...}}; a library built
 * with HAKMEM_DEBUG_TIMING adds "timing". Writes at most `bytes` bytes, the ending zero
 * included, and returns the length of the whole text, as snprintf does. `out` may be null if
 * `bytes` is 0. */
size_t hak_stats_json(char* out, size_t bytes);

/* "major.minor.patch" of the library that runs. */
const char* hak_version(void);

#if defined(__cplusplus)
}
#endif

#endif
