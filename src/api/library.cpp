// library.cpp: the library's one translation unit: what runs when it is loaded, and every name it exports.
// One object, so that a static link that needs one of malloc's names gets all of them and libc's own stay out.
#include <cstdio>

#include <malloc.h>

#include "api/new_delete.hpp"
#if !HAKMEM_DEBUG
#include "api/profile_dump.hpp"
#endif

namespace {

// Before other constructors, as far as the loader's order allows. What happens earlier still is served: the first call opens the
// window by itself.
[[gnu::constructor(101)]] void load(int, char**, char** environment) {
    hak::read_options(environment);
    hak::tunables<hak::RealWorld>.set(hak::options.tunables);
#if HAKMEM_WITH_EVOLUTION || HAKMEM_WITH_ELO
    hak::start_learning<hak::RealWorld>();
#endif
#if !HAKMEM_DEBUG
    hak::start_profile<hak::RealWorld>();
#endif
    hak::ExitHook::install();
}

[[gnu::destructor]] void unload() {
    hak::Front::check_all("exit");
#if !HAKMEM_DEBUG
    hak::dump_profile_at_exit();
#endif
    if (!hak::options.verbose) return;
    hak::describe(hak::collect_stats()).print();
#if HAKMEM_WITH_ELO
    hak::print_leaderboard<hak::RealWorld>();
#endif
}

}  // namespace

#define HAK_EXPORT __attribute__((visibility("default")))

extern "C" {

HAK_EXPORT void* hak_malloc(size_t size) { return hak::api::malloc(size); }
HAK_EXPORT void hak_free(void* p) { hak::api::free(p); }
HAK_EXPORT void* hak_calloc(size_t count, size_t size) { return hak::api::calloc(count, size); }
HAK_EXPORT void* hak_realloc(void* p, size_t size) { return hak::api::realloc(p, size); }
HAK_EXPORT void* hak_reallocarray(void* p, size_t count, size_t size) { return hak::api::reallocarray(p, count, size); }
HAK_EXPORT int hak_posix_memalign(void** out, size_t alignment, size_t size) { return hak::api::posix_memalign(out, alignment, size); }
HAK_EXPORT void* hak_aligned_alloc(size_t alignment, size_t size) { return hak::api::memalign(alignment, size); }
HAK_EXPORT void* hak_memalign(size_t alignment, size_t size) { return hak::api::memalign(alignment, size); }
HAK_EXPORT void* hak_valloc(size_t size) { return hak::api::valloc(size); }
HAK_EXPORT void* hak_pvalloc(size_t size) { return hak::api::pvalloc(size); }
HAK_EXPORT size_t hak_malloc_usable_size(void* p) { return hak::api::malloc_usable_size(p); }
HAK_EXPORT void hak_free_sized(void* p, size_t size) { hak::api::free_sized(p, size); }
HAK_EXPORT void hak_free_aligned_sized(void* p, size_t alignment, size_t size) { hak::api::free_aligned_sized(p, alignment, size); }
HAK_EXPORT void* hak_alloc_at(size_t size, const void* site) { return hak::api::alloc_at(size, site); }
HAK_EXPORT void hak_free_at(void* p, const void*) { hak::api::free(p); }
HAK_EXPORT int hak_trim(size_t keep) { return hak::api::malloc_trim(keep); }
HAK_EXPORT int hak_check_all(void) { return hak::Front::check_all("hak_check_all") ? 1 : 0; }
HAK_EXPORT int hak_stats(struct hak_stats* out, size_t bytes) { return hak::api::stats(out, bytes); }
HAK_EXPORT const char* hak_version(void) {
#define HAK_TEXT_(x) #x
#define HAK_TEXT(x) HAK_TEXT_(x)
    return HAK_TEXT(HAKMEM_VERSION_MAJOR) "." HAK_TEXT(HAKMEM_VERSION_MINOR) "." HAK_TEXT(HAKMEM_VERSION_PATCH);
}

}  // extern "C"

#if HAKMEM_WITH_EVOLUTION || HAKMEM_WITH_ELO
#include "api/learning_calls.hpp"
#endif

#include "api/profile_calls.hpp"

#if HAKMEM_OVERRIDE
#include "api/override.hpp"
#endif
