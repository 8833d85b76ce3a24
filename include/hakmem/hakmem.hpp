// hakmem.hpp: hakmem for C++ containers. Stateless: every allocator and every resource here reaches
// the one allocator of the process.
#pragma once

#include <cstddef>
#include <limits>
#include <memory_resource>
#include <new>
#include <type_traits>

#include "hakmem/hakmem.h"

namespace hak {

namespace detail {

// Throws std::bad_alloc where there is no memory; never returns null.
inline void* allocate_or_throw(std::size_t bytes, std::size_t alignment) {
    void* const block = alignment <= 16 ? hak_malloc(bytes) : hak_aligned_alloc(alignment, bytes);
    if (block == nullptr) throw std::bad_alloc();
    return block;
}

// By the function that belongs to the one that allocate_or_throw() called.
inline void give_back(void* block, std::size_t bytes, std::size_t alignment) noexcept {
    if (alignment <= 16) {
        hak_free_sized(block, bytes);
    } else {
        hak_free_aligned_sized(block, alignment, bytes);
    }
}

}  // namespace detail

// An allocator as of [allocator.requirements]. All instances are equal.
template <class T>
class allocator {
  public:
    using value_type = T;
    using is_always_equal = std::true_type;
    using propagate_on_container_move_assignment = std::true_type;

    constexpr allocator() noexcept = default;
    template <class U>
    constexpr allocator(const allocator<U>&) noexcept {}

    // Room for `count` objects; throws std::bad_array_new_length if their size overflows,
    // std::bad_alloc if there is no memory.
    [[nodiscard]] T* allocate(std::size_t count) {
        if (count > std::numeric_limits<std::size_t>::max() / sizeof(T))
            throw std::bad_array_new_length();
        return static_cast<T*>(detail::allocate_or_throw(count * sizeof(T), alignof(T)));
    }
    void deallocate(T* block, std::size_t count) noexcept {
        detail::give_back(block, count * sizeof(T), alignof(T));
    }

    template <class U>
    constexpr bool operator==(const allocator<U>&) const noexcept {
        return true;
    }
    template <class U>
    constexpr bool operator!=(const allocator<U>&) const noexcept {  // C++20 would derive it
        return false;
    }
};

// A polymorphic memory resource over hakmem. All instances are equal.
class memory_resource : public std::pmr::memory_resource {
  private:
    void* do_allocate(std::size_t bytes, std::size_t alignment) override {
        return detail::allocate_or_throw(bytes, alignment);
    }
    void do_deallocate(void* block, std::size_t bytes, std::size_t alignment) override {
        detail::give_back(block, bytes, alignment);
    }
    bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override {
        return dynamic_cast<const memory_resource*>(&other) != nullptr;
    }
};

}  // namespace hak
