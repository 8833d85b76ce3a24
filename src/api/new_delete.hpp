// new_delete.hpp: what operators new do when there is no memory. The library must load without libstdc++, so what it needs of it is
// referred to weakly; where a program uses the throwing operators, its own C++ runtime provides both.
#pragma once

#include <new>

#include "api/malloc.hpp"

namespace std {
[[gnu::weak]] new_handler get_new_handler() noexcept;
[[gnu::weak]] void __throw_bad_alloc();
}  // namespace std

namespace hak::api {

// [new.delete.single]: call the new-handler and try again, until there is none.
HAK_COLD inline void* new_again(std::size_t size, std::size_t alignment, bool may_throw) {
    while (true) {
        const std::new_handler handler = std::get_new_handler != nullptr ? std::get_new_handler() : nullptr;
        if (handler == nullptr) {
            if (!may_throw) return nullptr;
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
