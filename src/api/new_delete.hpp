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

template <class Front>
struct OperatorNew {
    // [new.delete.single]: call the new-handler and try again, until there is none. The handler may throw. Alignment 0: the forms without one.
    static HAK_COLD void* new_or_throw(std::size_t size, std::size_t alignment, Origin origin) {
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
            void* p = alignment == 0 ? Front::allocate_hit(size) : Front::allocate_aligned(alignment, size, origin);
            if (p == nullptr && alignment == 0) p = Front::allocate_missed(size, origin);
            if (p != nullptr) return p;
        }
    }

    // The same for the nothrow forms: null where the throwing form throws bad_alloc.
    static HAK_COLD void* new_or_null(std::size_t size, std::size_t alignment, Origin origin) {
        // Without a handler nothing is thrown, so that a program without a C++ runtime never gets to the catch.
        if (std::get_new_handler == nullptr || std::get_new_handler() == nullptr) return nullptr;
        try {
            return new_or_throw(size, alignment, origin);
        } catch (const std::bad_alloc&) {
            return nullptr;
        }
    }

    static HAK_COLD void* new_again(std::size_t size, std::size_t alignment, Origin origin, bool may_throw) {
        return may_throw ? new_or_throw(size, alignment, origin) : new_or_null(size, alignment, origin);
    }

    static HAK_NOINLINE void* new_missed(std::size_t size, Origin origin, bool may_throw) {
        void* const p = Front::allocate_missed(size, origin);
        if (p == nullptr) [[unlikely]] return new_again(size, 0, origin, may_throw);
        return p;
    }
    static HAK_INLINE void* allocate(std::size_t size, Origin origin, bool may_throw) {
        const typename Front::template Timed<Activity::allocate> timed;
        void* const p = Front::allocate_hit(size);
        if (p != nullptr) [[likely]] return p;
        return new_missed(size, origin, may_throw);
    }
    static HAK_INLINE void* allocate(std::size_t size, std::align_val_t alignment, Origin origin, bool may_throw) {
        const auto align = static_cast<std::size_t>(alignment);
        void* const p = Front::allocate_aligned(align, size, origin);
        if (p == nullptr) [[unlikely]] return new_again(size, align, origin, may_throw);
        return p;
    }
};

// The six forms of operator delete and of operator delete[].
template <class Front>
struct OperatorDelete {
    const char* function;
    Origin origin;

    HAK_INLINE void operator()(void* p) const { Front::deallocate(p, {function, origin, Claim::kUnsaid, 0}); }
    HAK_INLINE void operator()(void* p, std::size_t size) const { Front::deallocate(p, {function, origin, size, 0}); }
    HAK_INLINE void operator()(void* p, std::align_val_t alignment) const {
        Front::deallocate(p, {function, origin, Claim::kUnsaid, static_cast<std::size_t>(alignment)});
    }
    HAK_INLINE void operator()(void* p, std::size_t size, std::align_val_t alignment) const {
        Front::deallocate(p, {function, origin, size, static_cast<std::size_t>(alignment)});
    }
};

}  // namespace hak::api
