// library.cpp: the library's one translation unit: what runs when it is loaded, and every name it
// exports. One object, so that a static link that needs one of malloc's names gets all of them and
// libc's own stay out.
#include <cerrno>
#include <cstdint>
#include <cstdio>

#include "base/give.hpp"
#include "base/types.hpp"

#include "sys/world.hpp"

#include "heap/heaps.hpp"
#include "heap/lifecycle.hpp"

#include "api/export.hpp"
#include "api/front_end.hpp"
#include "options/options.hpp"
#include "profile/profile_calls.hpp"
#include "statistics/report.hpp"
#if HAKMEM_WITH_EVOLUTION || HAKMEM_WITH_ELO
#    include "learning/learning_calls.hpp"
#endif

// The symbols behind try and catch, and behind the tables of functions with destructors, stay weak
// as well.
asm(".weak __gxx_personality_v0, __cxa_begin_catch, __cxa_end_catch, _ZTISt9bad_alloc, "
    "_ZSt9terminatev, _Unwind_Resume");
#if defined(__clang__)
asm(".weak __cxa_call_terminate");
#endif

namespace {
using ProfileCalls = hak::profile::Calls<hak::RealWorld>;
#if HAKMEM_WITH_EVOLUTION || HAKMEM_WITH_ELO
using LearningCalls = hak::policy::Calls<hak::RealWorld>;
#endif
}  // namespace

#if HAKMEM_OVERRIDE
#    include "api/operators.hpp"
#    include "api/override.hpp"  // IWYU pragma: keep
#endif

namespace {

#define HAK_TEXT_(x) #x
#define HAK_TEXT(x) HAK_TEXT_(x)
constexpr const char* kVersion = HAK_TEXT(HAKMEM_VERSION_MAJOR) "." HAK_TEXT(
    HAKMEM_VERSION_MINOR) "." HAK_TEXT(HAKMEM_VERSION_PATCH);

// Before other constructors, as far as the loader's order allows. What happens earlier still is
// served: the first call opens the window by itself.
[[gnu::constructor(101)]] void load(int, char**, char** environment) {
    hak::read_options(environment);
    hak::tunables<hak::RealWorld>.set(hak::options.tunables);
    hak::start_timing();
#if HAKMEM_WITH_EVOLUTION || HAKMEM_WITH_ELO
    hak::start_learning<hak::RealWorld>();
#endif
    hak::heaps<hak::RealWorld>.renew_kept_units_max();
#if !HAKMEM_DEBUG
    hak::start_profile<hak::RealWorld>();
#endif
#if HAKMEM_OVERRIDE
    find_replaced_operators();
#endif
    hak::ExitHook::install();
}

[[gnu::destructor]] void unload() {
    hak::FrontEnd::check_all("exit");
#if !HAKMEM_DEBUG
    hak::dump_profile_at_exit<hak::RealWorld>();
#endif
#if HAKMEM_DEBUG_TIMING
    if (hak::options.timing) hak::print_timing();
#endif
    if (!hak::options.verbose) return;
    hak::describe(hak::collect_stats<hak::RealWorld>()).print();
#if HAKMEM_WITH_ELO
    hak::print_leaderboard<hak::RealWorld>();
#endif
}

}  // namespace

extern "C" {

HAK_EXPORT void* hak_malloc(size_t size) {
    return C::malloc(size);
}
HAK_EXPORT void hak_free(void* p) {
    C::free(p);
}
HAK_EXPORT void* hak_calloc(size_t count, size_t size) {
    return C::calloc(count, size);
}
HAK_EXPORT void* hak_realloc(void* p, size_t size) {
    return C::realloc(p, size);
}
HAK_EXPORT void* hak_reallocarray(void* p, size_t count, size_t size) {
    return C::reallocarray(p, count, size);
}
HAK_EXPORT int hak_posix_memalign(void** out, size_t alignment, size_t size) {
    return C::posix_memalign(out, alignment, size);
}
HAK_EXPORT void* hak_aligned_alloc(size_t alignment, size_t size) {
    return C::memalign(alignment, size);
}
HAK_EXPORT void* hak_memalign(size_t alignment, size_t size) {
    return C::memalign(alignment, size);
}
HAK_EXPORT void* hak_valloc(size_t size) {
    return C::valloc(size);
}
HAK_EXPORT void* hak_pvalloc(size_t size) {
    return C::pvalloc(size);
}
HAK_EXPORT size_t hak_malloc_usable_size(void* p) {
    return C::malloc_usable_size(p);
}
HAK_EXPORT void hak_free_sized(void* p, size_t size) {
    C::free_sized(p, size);
}
HAK_EXPORT void hak_free_aligned_sized(void* p, size_t alignment, size_t size) {
    C::free_aligned_sized(p, alignment, size);
}
HAK_EXPORT void* hak_alloc_at(size_t size, const void* site) {
    return C::alloc_at(size, site);
}
HAK_EXPORT void hak_free_at(void* p, const void*) {
    C::free(p);
}
HAK_EXPORT int hak_trim(size_t keep) {
    return C::malloc_trim(keep);
}
HAK_EXPORT int hak_check_all(void) {
    return hak::FrontEnd::check_all("hak_check_all") ? 1 : 0;
}
HAK_EXPORT int hak_stats(struct hak_stats* out, size_t bytes) {
    return C::stats(out, bytes);
}
HAK_EXPORT size_t hak_stats_json(char* out, size_t bytes) {
    return hak::write_json<hak::RealWorld>(out, bytes, kVersion);
}
HAK_EXPORT const char* hak_version(void) {
    return kVersion;
}

// hakmem_profile.h
HAK_EXPORT int hak_profile_dump(const char* path) {
    return ProfileCalls::dump(path);
}
HAK_EXPORT int hak_profile_get_stats(struct hak_profile_stats* out, size_t bytes) {
    return ProfileCalls::profile_stats(out, bytes);
}
HAK_EXPORT size_t hak_site_count(void) {
    return ProfileCalls::site_count();
}
HAK_EXPORT int hak_site_get(size_t index, struct hak_site* out, size_t bytes) {
    return ProfileCalls::get_site(index, out, bytes);
}
HAK_EXPORT void hak_site_print(void) {
    ProfileCalls::print_sites();
}
HAK_EXPORT const void* hak_site_of(const void* block) {
    return hak::pointer_to<const void>(ProfileCalls::site_of_block(block));
}

// hakmem_learn.h, as far as its features are built in
#if HAKMEM_WITH_EVOLUTION || HAKMEM_WITH_ELO
HAK_EXPORT unsigned hak_learning_features(void) {
    hak::start<hak::RealWorld>();
    return LearningCalls::decision().observes ? HAKMEM_WITH_EVOLUTION * HAKMEM_FEATURE_EVOLUTION +
                                                    HAKMEM_WITH_ELO * HAKMEM_FEATURE_ELO
                                              : 0;
}
HAK_EXPORT int hak_init(void) {
    return hak::start<hak::RealWorld>() ? 0 : ENOMEM;
}
#endif

#if HAKMEM_WITH_EVOLUTION
HAK_EXPORT int hak_evo_tick(uint64_t now_ns) {
    return LearningCalls::tick(now_ns);
}
HAK_EXPORT int hak_evo_is_frozen(void) {
    return LearningCalls::decision().phase == hak::policy::Phase::frozen;
}
HAK_EXPORT int hak_evo_is_canary(void) {
    return LearningCalls::is_canary();
}
HAK_EXPORT int hak_evo_should_use_candidate(void) {
    return LearningCalls::should_use_candidate();
}
HAK_EXPORT int hak_evo_get_confirmed_strategy(void) {
    return LearningCalls::number_of(LearningCalls::decision().confirmed);
}
HAK_EXPORT int hak_evo_get_candidate_strategy(void) {
    return LearningCalls::candidate();
}
HAK_EXPORT int hak_evo_get_stats(struct hak_evo_stats* out, size_t bytes) {
    return hak::give(LearningCalls::stats(), out, bytes);
}
#endif

#if HAKMEM_WITH_ELO
HAK_EXPORT int hak_elo_is_initialized(void) {
    return LearningCalls::decision().observes;
}
HAK_EXPORT int hak_elo_select_strategy(void) {
    return LearningCalls::select();
}
HAK_EXPORT size_t hak_elo_get_threshold(int strategy) {
    return LearningCalls::threshold(strategy);
}
HAK_EXPORT void hak_elo_record_alloc(int strategy, size_t /*size*/, uint64_t nanoseconds) {
    LearningCalls::record(strategy, nanoseconds);
}
HAK_EXPORT int hak_elo_async_recompute(void) {
    return LearningCalls::recompute();
}
HAK_EXPORT int hak_elo_get_cached_strategy(void) {
    return LearningCalls::number_of(LearningCalls::decision().strategy);
}
HAK_EXPORT int hak_elo_get_entry(unsigned rank, struct hak_elo_entry* out, size_t bytes) {
    if (rank >= hak::policy::kStrategies) return EINVAL;
    return hak::give(LearningCalls::entry(rank), out, bytes);
}
#endif

}  // extern "C"
