// Which library's malloc serves this process: asked of the dynamic linker and of /proc/self/maps,
// both at run time.
#pragma once

#include <cstddef>
#include <cstdio>
#include <cstring>
#include <dlfcn.h>

namespace hak::bench {

// The path of the object that defines the symbol which the whole process resolves by that name.
inline const char* defining_library(const char* symbol) {
    void* address = dlsym(RTLD_DEFAULT, symbol);
    Dl_info info{};
    if (address == nullptr || dladdr(address, &info) == 0 || info.dli_fname == nullptr) return "?";
    return info.dli_fname;
}

// Calls see(name) for each known allocator that is mapped into the process.
template <class See>
void for_each_mapped_allocator(See&& see) {
    std::FILE* maps = std::fopen("/proc/self/maps", "re");
    if (maps == nullptr) return;
    static const char* const kKnown[] = {"libhakmem", "libmimalloc", "libjemalloc", "libtcmalloc"};
    bool seen[sizeof kKnown / sizeof kKnown[0]] = {};
    char line[4352];
    while (std::fgets(line, sizeof line, maps) != nullptr) {
        const char* slash = std::strrchr(line, '/');
        if (slash == nullptr) continue;
        for (std::size_t i = 0; i < sizeof kKnown / sizeof kKnown[0]; ++i) {
            if (!seen[i] && std::strncmp(slash + 1, kKnown[i], std::strlen(kKnown[i])) == 0) {
                seen[i] = true;
                see(kKnown[i]);
            }
        }
    }
    std::fclose(maps);
}

}  // namespace hak::bench
