/* hakmem_learn.h: the learning layer: which size of freed blocks stays cached, and how that is
 * found out.
 *
 * A strategy is a threshold: a freed Large or Big block at least as large goes into the purge
 * batch, a smaller one stays cached until it decays. With HAKMEM_MODE=learning in the
 * environment the allocator tries twelve of them, measures what each costs, rates them by ELO,
 * freezes the best and watches for a change. In the modes minimal, fast and balanced (the
 * default) the strategy is that of 2 MiB, frozen, and nothing is measured. No allocation or free
 * that the thread's own lists serve reads or writes anything of this.
 *
 * Functions of a feature exist in a library that was built with it (CMake options
 * HAKMEM_FEATURE_EVOLUTION and HAKMEM_FEATURE_ELO); the others of this header, in one that was
 * built with either. Times are nanoseconds of CLOCK_MONOTONIC. Every function is thread-safe;
 * none is async-signal-safe. */
#ifndef HAKMEM_HAKMEM_LEARN_H
#define HAKMEM_HAKMEM_LEARN_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#if defined(__cplusplus)
extern "C" {
#endif

/* Features, for HAK_ENABLED_LEARNING. */
#define HAKMEM_FEATURE_EVOLUTION 1u
#define HAKMEM_FEATURE_ELO 2u
/* Whether the feature is built in and acts in the mode in which the process runs. */
#define HAK_ENABLED_LEARNING(feature) ((hak_learning_features() & (feature)) != 0)
unsigned hak_learning_features(void);

/* Starts the allocator, which the first allocation does otherwise. 0, or ENOMEM if there is no
 * address space. */
int hak_init(void);

/* A program whose own function has this name, or that is compiled without POSIX's names
 * (-std=c11), defines HAKMEM_NO_GET_TIME_NS. */
#if !defined(HAKMEM_NO_GET_TIME_NS) && defined(CLOCK_MONOTONIC)
static inline uint64_t get_time_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
#endif

/* Evolution. Windows close on the allocator's slow paths; a program in which nothing misses for
 * long, and which wants the clock to close them, calls hak_evo_tick(get_time_ns()) now and then.
 * A time that has not come yet is taken for the present. 1 if the phase changed, else 0. */
int hak_evo_tick(uint64_t now_ns);
int hak_evo_is_frozen(void);
int hak_evo_is_canary(void);
/* 1 in one call of twenty while a candidate is on trial, else 0. */
int hak_evo_should_use_candidate(void);
int hak_evo_get_confirmed_strategy(void);
int hak_evo_get_candidate_strategy(void); /* the confirmed one unless there is a candidate */

struct hak_evo_stats {
    uint64_t windows; /* closed */
    uint64_t freezes;
    uint64_t relearns;
    uint64_t promotions; /* of a candidate */
    uint64_t rollbacks;
    /* calls for Large and Big blocks that were measured: all but what a site takes from its own
     * kept run; once frozen, one in 16 of what any kept run serves */
    uint64_t noted;
    uint64_t missed; /* such calls that found the learner busy */
    /* decisions so far: one for each trial, and for each call of hak_elo_* that changed what is
     * in force */
    uint64_t generation;
};
/* 0, or EINVAL if out is null. Fills the first `bytes` bytes. */
int hak_evo_get_stats(struct hak_evo_stats* out, size_t bytes);

/* ELO. Strategies are numbered from 0; before anything is learned, hak_elo_is_initialized() is
 * 0, the selected and the cached strategy is that of 2 MiB, and recording does nothing. */
int hak_elo_is_initialized(void);
/* A strategy to try: one time in ten not the leader. */
int hak_elo_select_strategy(void);
/* Of a number that is no strategy's: 2 MiB. */
size_t hak_elo_get_threshold(int strategy);
/* One operation under the strategy took so long. `size`, in bytes, is not looked at: a
 * strategy's cost is the mean over all sizes. */
void hak_elo_record_alloc(int strategy, size_t size, uint64_t nanoseconds);
/* Compares all strategies by their samples and returns the leader. It comes into force at once
 * if all samples are the caller's, and with the next trial if calls of the process are measured;
 * in FROZEN and CANARY what was confirmed stays. */
int hak_elo_async_recompute(void);
/* The strategy in force, by one load. Where nothing learns, that of 2 MiB, whatever
 * HAKMEM_OPTIONS=threshold=SIZE says. */
int hak_elo_get_cached_strategy(void);

struct hak_elo_entry {
    int strategy;
    int active; /* 0: dropped for its rating */
    size_t threshold;
    double rating;
    uint64_t wins, losses, draws;
    uint64_t samples;
};
/* The strategy on place `rank`, from 0. 0, or EINVAL if there is no such place or out is null. */
int hak_elo_get_entry(unsigned rank, struct hak_elo_entry* out, size_t bytes);

#if defined(__cplusplus)
}
#endif

#endif
