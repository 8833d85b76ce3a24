// new_delete.hpp: what operators new do when there is no memory. The library must load without libstdc++, so what it needs of it is
// referred to weakly; where a program uses the throwing operators, its own C++ runtime provides both.
#pragma once

#include <new>

#include "api/malloc.hpp"

// The symbols behind try and catch, and behind the tables of functions with destructors, stay weak as well.
asm(".weak __gxx_personality_v0, __cxa_begin_catch, __cxa_end_catch, _ZTISt9bad_alloc, _ZSt9terminatev, _Unwind_Resume");
#if defined(__clang__)
asm(".weak __cxa_call_terminate");
#endif

namespace std {
[[gnu::weak]] new_handler get_new_handler() noexcept;
[[gnu::weak]] void __throw_bad_alloc();
}  // namespace std

namespace hak::api {

// [new.delete.single]: call the new-handler and try again, until there is none. The handler may throw.
HAK_COLD inline void* new_or_throw(std::size_t size, std::size_t alignment) {
    while (true) {
        const std::new_handler handler = std::get_new_handler != nullptr ? std::get_new_handler() : nullptr;
        if (handler == nullptr) {
            if (std::__throw_bad_alloc != nullptr) std::__throw_bad_alloc();
            Text text;
            text << "hakmem: operator new(" << static_cast<std::uint64_t>(size) << "): out of memory, and no C++ runtime to throw\n";
            text.print();
            std::abort();
        }
        handler();
        if (void* const p = hak::allocate_aligned<RealWorld>(tls_heap, alignment, size)) return p;
    }
}

// The same for the nothrow forms: null where the throwing form throws bad_alloc.
HAK_COLD inline void* new_or_null(std::size_t size, std::size_t alignment) {
    // Without a handler nothing is thrown, so that a program without a C++ runtime never gets to the catch.
    if (std::get_new_handler == nullptr || std::get_new_handler() == nullptr) return nullptr;
    try {
        return new_or_throw(size, alignment);
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}

HAK_COLD inline void* new_again(std::size_t size, std::size_t alignment, bool may_throw) {
    return may_throw ? new_or_throw(size, alignment) : new_or_null(size, alignment);
}

HAK_NOINLINE inline void* operator_new_missed(std::size_t size, bool may_throw) {
    void* const p = hak::allocate_missed<RealWorld>(tls_heap, size).block;
    if (p == nullptr) [[unlikely]] return new_again(size, kMinAlignment, may_throw);
    return p;
}
HAK_INLINE void* operator_new(std::size_t size, bool may_throw) {
    void* const p = hak::allocate_hit<RealWorld>(tls_heap, size);
    if (p != nullptr) [[likely]] return p;
    return operator_new_missed(size, may_throw);
}
HAK_INLINE void* operator_new(std::size_t size, std::align_val_t alignment, bool may_throw) {
    const auto align = static_cast<std::size_t>(alignment);
    void* const p = hak::allocate_aligned<RealWorld>(tls_heap, align, size);
    if (p == nullptr) [[unlikely]] return new_again(size, align, may_throw);
    return p;
}

}  // namespace hak::api
