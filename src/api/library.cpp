// library.cpp: the library's one translation unit: what runs when it is loaded, and every name it
// exports. One object, so that a static link that needs one of malloc's names gets all of them and
// libc's own stay out.
#include <cstdio>
#include <malloc.h>

#include "api/front.hpp"
#include "api/new_delete.hpp"
#include "statistics/report.hpp"
#if !HAKMEM_DEBUG
#    include "profile/profile_dump.hpp"
#endif

// The symbols behind try and catch, and behind the tables of functions with destructors, stay weak
// as well.
asm(".weak __gxx_personality_v0, __cxa_begin_catch, __cxa_end_catch, _ZTISt9bad_alloc, "
    "_ZSt9terminatev, _Unwind_Resume");
#if defined(__clang__)
asm(".weak __cxa_call_terminate");
#endif

#define HAK_EXPORT __attribute__((visibility("default")))

namespace {
using C = hak::api::CFamily<hak::Front>;
}

#if HAKMEM_OVERRIDE
#    include "api/operators.hpp"
#    include "api/override.hpp"
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
    hak::Front::check_all("exit");
#if !HAKMEM_DEBUG
    hak::dump_profile_at_exit();
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
    return hak::Front::check_all("hak_check_all") ? 1 : 0;
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

}  // extern "C"

#if HAKMEM_WITH_EVOLUTION || HAKMEM_WITH_ELO
#    include "learning/learning_calls.hpp"
#endif

#include "profile/profile_calls.hpp"
