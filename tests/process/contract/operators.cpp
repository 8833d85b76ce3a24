// Every operator new and delete: scalar and array, sized, aligned, nothrow; bad_alloc, the loop
// over the new_handler.
#include <cerrno>
#include <cstdint>
#include <new>
#include <utility>

#include "tests/check.hpp"
#include "tests/process/subject.hpp"
#include "tiers.hpp"

// Present when hakmem serves this process.
extern "C" [[gnu::weak]] const char* hak_version(void);
extern "C" [[gnu::weak]] int hak_check_all(void);

namespace {

bool aligned(const void* p, size_t align) {
    return (reinterpret_cast<uintptr_t>(p) & (align - 1)) == 0;
}

int handler_calls = 0;
void give_up_after_three() {
    if (++handler_calls == 3) std::set_new_handler(nullptr);
}
struct Surrender {};
[[noreturn]] void throw_surrender() {
    handler_calls += 1;
    throw Surrender{};
}
[[noreturn]] void throw_bad_alloc() {
    handler_calls += 1;
    throw std::bad_alloc();
}
void* reserve = nullptr;
void give_back_reserve() {
    handler_calls += 1;
    subject::free(std::exchange(reserve, nullptr));
    std::set_new_handler(nullptr);
}

constexpr std::align_val_t kWide{256};
const size_t impossible = subject::opaque(static_cast<size_t>(PTRDIFF_MAX) + 1);

// Calls each throwing form with an impossible size.
template <class F>
void with_each_throwing_form(F&& f) {
    f([] { return ::operator new(impossible); });
    f([] { return ::operator new[](impossible); });
    f([] { return ::operator new(impossible, kWide); });
    f([] { return ::operator new[](impossible, kWide); });
}
template <class F>
void with_each_nothrow_form(F&& f) {
    f([] { return ::operator new(impossible, std::nothrow); });
    f([] { return ::operator new[](impossible, std::nothrow); });
    f([] { return ::operator new(impossible, kWide, std::nothrow); });
    f([] { return ::operator new[](impossible, kWide, std::nothrow); });
}

}  // namespace

// Clause: C++20 17.6.3 [new.delete]: every replaceable form.
TEST(every_form_of_new_and_delete) {
    for (const size_t n : tier_sizes(2u << 20)) {
        errno = 77;
        ::operator delete(subject::opaque(::operator new(n)));
        ::operator delete[](subject::opaque(::operator new[](n)));
        ::operator delete(subject::opaque(::operator new(n)), n);
        ::operator delete[](subject::opaque(::operator new[](n)), n);
        ::operator delete(subject::opaque(::operator new(n, std::nothrow)), std::nothrow);
        ::operator delete[](subject::opaque(::operator new[](n, std::nothrow)), std::nothrow);
        EXPECT_EQUAL(errno, 77);
    }
    for (size_t width = 1; width <= (4u << 20); width *= 4)
        for (const size_t n : kTierSamples) {
            if (n > 4'000'000) continue;
            const auto align = static_cast<std::align_val_t>(width);
            void* blocks[] = {::operator new(n, align),
                              ::operator new[](n, align),
                              ::operator new(n, align, std::nothrow),
                              ::operator new[](n, align, std::nothrow),
                              ::operator new(n, align),
                              ::operator new[](n, align)};
            for (void* p : blocks) {
                EXPECT(p != nullptr && aligned(p, width));
                memset(subject::opaque(p), 1, n);
            }
            ::operator delete(blocks[0], align);
            ::operator delete[](blocks[1], align);
            ::operator delete(blocks[2], align, std::nothrow);
            ::operator delete[](blocks[3], align, std::nothrow);
            ::operator delete(blocks[4], n, align);
            ::operator delete[](blocks[5], n, align);
        }
}

// Clause: C++20 6.7.5.5.2 [basic.stc.dynamic.allocation]; 17.6.3 [new.delete]: delete takes null.
TEST(new_of_zero_is_unique_and_delete_takes_null) {
    void* p = subject::opaque(::operator new(0));
    void* q = subject::opaque(::operator new(0));
    EXPECT(p != nullptr && q != nullptr && p != q);
    ::operator delete(p, size_t{0});
    ::operator delete(q);
    p = ::operator new[](0);
    EXPECT(p != nullptr);
    ::operator delete[](p);
    const auto null = [] { return subject::opaque(static_cast<void*>(nullptr)); };
    ::operator delete(null());
    ::operator delete[](null());
    ::operator delete(null(), size_t{8});
    ::operator delete[](null(), size_t{8});
    ::operator delete(null(), kWide);
    ::operator delete[](null(), kWide);
    ::operator delete(null(), size_t{8}, kWide);
    ::operator delete[](null(), size_t{8}, kWide);
    ::operator delete(null(), std::nothrow);
    ::operator delete[](null(), kWide, std::nothrow);
}

// Clause: C++20 17.6.3 [new.delete]: __STDCPP_DEFAULT_NEW_ALIGNMENT__, or as asked.
TEST(new_is_aligned_for_every_type) {
    for (const size_t n : tier_sizes(100'000)) {
        void* p = subject::opaque(::operator new(n));
        EXPECT(aligned(p, __STDCPP_DEFAULT_NEW_ALIGNMENT__));
        EXPECT(subject::malloc_usable_size(p) >= n);
        ::operator delete(p);
    }
}

// Clause: C++20 17.6.3 [new.delete]: bad_alloc, or null for nothrow.
TEST(new_throws_bad_alloc) {
    with_each_throwing_form([](auto&& form) {
        bool thrown = false;
        try {
            void* p = form();
            EXPECT(p == nullptr && "returned");
        } catch (const std::bad_alloc&) {
            thrown = true;
        }
        EXPECT(thrown);
    });
    // libstdc++ 12's own aligned operator new rounds these up beyond SIZE_MAX and returns a small
    // block.
    const bool served_by_hakmem = hak_version != nullptr;
    for (const size_t n : {SIZE_MAX, SIZE_MAX - 7, SIZE_MAX - 255, size_t{1} << 47}) {
        if (!served_by_hakmem && n > SIZE_MAX - 256) continue;
        bool thrown = false;
        try {
            (void)subject::opaque(::operator new(subject::opaque(n), kWide));
        } catch (const std::bad_alloc&) {
            thrown = true;
        }
        EXPECT(thrown);
    }
    with_each_nothrow_form([](auto&& form) { EXPECT_EQUAL(form(), nullptr); });
}

// Clause: C++20 17.6.3.1 [new.delete.single] and 17.6.4.3 [new.handler]: the loop over the
// new_handler.
TEST(new_loops_over_the_handler) {
    with_each_throwing_form([](auto&& form) {
        handler_calls = 0;
        std::set_new_handler(give_up_after_three);
        bool thrown = false;
        try {
            (void)form();
        } catch (const std::bad_alloc&) {
            thrown = true;
        }
        EXPECT(thrown);
        EXPECT_EQUAL(handler_calls, 3);
    });
    with_each_nothrow_form([](auto&& form) {
        handler_calls = 0;
        std::set_new_handler(give_up_after_three);
        EXPECT_EQUAL(form(), nullptr);
        EXPECT_EQUAL(handler_calls, 3);
    });
}

// Clause: C++20 17.6.4.3 [new.handler]: a handler may throw bad_alloc.
TEST(an_exception_of_the_handler_passes_through) {
    std::set_new_handler(throw_surrender);
    with_each_throwing_form([](auto&& form) {
        handler_calls = 0;
        bool passed = false;
        try {
            (void)form();
        } catch (const Surrender&) {
            passed = true;
        }
        EXPECT(passed);
        EXPECT_EQUAL(handler_calls, 1);
    });
    // The nothrow forms turn a bad_alloc of the handler into null.
    std::set_new_handler(throw_bad_alloc);
    with_each_nothrow_form([](auto&& form) {
        handler_calls = 0;
        EXPECT_EQUAL(form(), nullptr);
        EXPECT_EQUAL(handler_calls, 1);
    });
    // Whatever else it throws does not leave a function that is noexcept.
    std::set_new_handler(throw_surrender);
    with_each_nothrow_form([](auto&& form) {
        handler_calls = 0;
        EXPECT_EQUAL(form(), nullptr);
        EXPECT_EQUAL(handler_calls, 1);
    });
    std::set_new_handler(nullptr);
}

// Clause: C++20 17.6.3.1 [new.delete.single].
TEST(the_handler_is_not_called_on_success) {
    handler_calls = 0;
    reserve = subject::malloc(100);
    std::set_new_handler(give_back_reserve);
    ::operator delete(subject::opaque(::operator new(1000)));
    EXPECT_EQUAL(handler_calls, 0);
    bool thrown = false;
    try {
        (void)::operator new(impossible);
    } catch (const std::bad_alloc&) {
        thrown = true;
    }
    EXPECT(thrown);
    EXPECT_EQUAL(handler_calls, 1);
    EXPECT_EQUAL(reserve, nullptr);
}

// Clause: glibc and libstdc++: operator new takes its memory from malloc.
TEST(blocks_of_malloc_and_new_mix_where_glibc_allows_it) {
    // Programs do this, wrongly, and it works with libstdc++ over malloc. The debug build is there
    // to find them.
    if (hak_check_all != nullptr && hak_check_all() == 1) return;
    for (const size_t n : kTierSamples) {
        subject::free(::operator new(n));
        ::operator delete(subject::malloc(n));
        ::operator delete[](subject::opaque(::operator new(n)));
        void* p = subject::realloc(::operator new(n), 2 * n);
        EXPECT(p != nullptr);
        ::operator delete(p);
    }
}
