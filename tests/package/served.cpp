// served.cpp: a C++ program that proves which allocator serves it, and that operator new fails as
// the standard says.
#include <cstdint>
#include <cstdio>
#include <hakmem/hakmem.h>
#include <hakmem/hakmem.hpp>
#include <memory_resource>
#include <new>
#include <vector>

// Too large for any machine; not a constant for the compiler, which would refuse it.
static volatile std::size_t impossible = SIZE_MAX / 2;

int main() {
    int wrong = 0;
    const auto expect = [&](const char* what, bool holds) {
        if (!holds) {
            std::printf("wrong: %s\n", what);
            wrong = 1;
        }
    };

    int* const one = new int[250];
    expect("operator new", hak_malloc_usable_size(one) >= 1000);
    delete[] one;

    bool thrown = false;
    try {
        // Kept in a volatile pointer, because the compiler may leave out an allocation that nobody
        // can see.
        char* volatile block = new char[impossible];
        delete[] block;
    } catch (const std::bad_alloc&) {
        thrown = true;
    }
    expect("bad_alloc", thrown);

    struct alignas(256) Wide {
        char bytes[256];
    };
    Wide* const wide = new Wide;
    expect("aligned new", hak_malloc_usable_size(wide) >= 256 &&
                              reinterpret_cast<std::uintptr_t>(wide) % 256 == 0);
    delete wide;

#ifndef HAKMEM_PLAIN_NEW_ONLY
    std::vector<int, hak::allocator<int>> numbers(1000, 7);
    expect("hak::allocator", hak_malloc_usable_size(numbers.data()) >= 4000 && numbers[999] == 7);
    hak::memory_resource resource;
    std::pmr::vector<int> more({1, 2, 3}, &resource);
    expect("hak::memory_resource", hak_malloc_usable_size(more.data()) >= 12 && more[2] == 3);
#endif
    if (wrong == 0) std::puts("served by hakmem");
    return wrong;
}
