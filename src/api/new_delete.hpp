// new_delete.hpp: what operators new do when there is no memory. The library must load without
// libstdc++, so what it needs of it is referred to weakly, and looked for once more when it is
// needed: a C program may have loaded a C++ library since.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <dlfcn.h>
#include <new>

#include "base/attrs.hpp"
#include "base/claim.hpp"

#include "sys/errno_keeper.hpp"
#include "sys/probe.hpp"
#include "sys/text.hpp"

namespace std {
[[gnu::weak]] new_handler get_new_handler() noexcept;
[[gnu::weak]] void __throw_bad_alloc();
}  // namespace std

// Weak as well: a program that is linked with -static need not have it, and could not use it.
extern "C" [[gnu::weak]] void* dlopen(const char*, int) noexcept;
extern "C" [[gnu::weak]] void* dlsym(void*, const char*) noexcept;
extern "C" [[gnu::weak]] int dlclose(void*) noexcept;

namespace hak::api {

struct CxxRuntime {
    std::new_handler (*get_new_handler)();
    void (*throw_bad_alloc)();
};
// Null where there is none.
HAK_COLD inline CxxRuntime cxx_runtime() {
    CxxRuntime runtime{std::get_new_handler, std::__throw_bad_alloc};
    if ((runtime.get_new_handler != nullptr && runtime.throw_bad_alloc != nullptr) ||
        dlopen == nullptr || dlsym == nullptr)
        return runtime;
    const ErrnoKeeper keep;
    // Only if it is loaded already. What is found stays: somebody who throws has it loaded too.
    if (void* const library = dlopen("libstdc++.so.6", RTLD_LAZY | RTLD_NOLOAD)) {
        runtime.get_new_handler = std::bit_cast<decltype(runtime.get_new_handler)>(
            dlsym(library, "_ZSt15get_new_handlerv"));
        runtime.throw_bad_alloc = std::bit_cast<decltype(runtime.throw_bad_alloc)>(
            dlsym(library, "_ZSt17__throw_bad_allocv"));
        if (dlclose != nullptr) dlclose(library);
    }
    return runtime;
}

template <class FrontEnd>
struct OperatorNew {
    // [new.delete.single]: call the new-handler and try again, until there is none. The handler may
    // throw. Alignment 0: the forms without one.
    static HAK_COLD void* new_or_throw(std::size_t size, std::size_t alignment, Origin origin) {
        const CxxRuntime runtime = cxx_runtime();
        while (true) {
            const std::new_handler handler =
                runtime.get_new_handler != nullptr ? runtime.get_new_handler() : nullptr;
            if (handler == nullptr) {
                if (runtime.throw_bad_alloc != nullptr) runtime.throw_bad_alloc();
                Text text;
                text << "hakmem: operator new(" << static_cast<std::uint64_t>(size)
                     << "): out of memory, and no C++ runtime to throw\n";
                text.print();
                std::abort();
            }
            handler();
            void* p = alignment == 0 ? FrontEnd::allocate_hit(size)
                                     : FrontEnd::allocate_aligned(alignment, size, origin);
            if (p == nullptr && alignment == 0) p = FrontEnd::allocate_missed(size, origin);
            if (p != nullptr) return p;
        }
    }

    // The same for the nothrow forms: null where the throwing form throws bad_alloc.
    static HAK_COLD void* new_or_null(std::size_t size, std::size_t alignment, Origin origin) {
        // Without a handler nothing is thrown, so that a program without a C++ runtime never gets
        // to the catch.
        const CxxRuntime runtime = cxx_runtime();
        if (runtime.get_new_handler == nullptr || runtime.get_new_handler() == nullptr)
            return nullptr;
        try {
            return new_or_throw(size, alignment, origin);
        } catch (...) {
            // the standard lets a handler throw bad_alloc alone; libstdc++ catches what else it
            // throws, and so must we
            return nullptr;
        }
    }

    static HAK_COLD void* new_again(std::size_t size, std::size_t alignment, Origin origin,
                                    bool may_throw) {
        return may_throw ? new_or_throw(size, alignment, origin)
                         : new_or_null(size, alignment, origin);
    }

    static HAK_NOINLINE void* new_missed(std::size_t size, Origin origin, bool may_throw) {
        void* const p = FrontEnd::allocate_missed(size, origin);
        if (p == nullptr) [[unlikely]]
            return new_again(size, 0, origin, may_throw);
        return p;
    }
    static HAK_INLINE void* allocate(std::size_t size, Origin origin, bool may_throw) {
        const typename FrontEnd::template Timed<Activity::allocate> timed;
        void* const p = FrontEnd::allocate_hit(size);
        if (p != nullptr) [[likely]]
            return p;
        return new_missed(size, origin, may_throw);
    }
    static HAK_INLINE void* allocate(std::size_t size, std::align_val_t alignment, Origin origin,
                                     bool may_throw) {
        const auto align = static_cast<std::size_t>(alignment);
        void* const p = FrontEnd::allocate_aligned(align, size, origin);
        if (p == nullptr) [[unlikely]]
            return new_again(size, align, origin, may_throw);
        return p;
    }
};

// The six forms of operator delete and of operator delete[].
template <class FrontEnd>
struct OperatorDelete {
    const char* function;
    Origin origin;

    HAK_INLINE void operator()(void* p) const {
        FrontEnd::deallocate(p, {function, origin, Claim::kUnsaid, 0});
    }
    HAK_INLINE void operator()(void* p, std::size_t size) const {
        FrontEnd::deallocate(p, {function, origin, size, 0});
    }
    HAK_INLINE void operator()(void* p, std::align_val_t alignment) const {
        FrontEnd::deallocate(
            p, {function, origin, Claim::kUnsaid, static_cast<std::size_t>(alignment)});
    }
    HAK_INLINE void operator()(void* p, std::size_t size, std::align_val_t alignment) const {
        FrontEnd::deallocate(p, {function, origin, size, static_cast<std::size_t>(alignment)});
    }
};

}  // namespace hak::api
