// Sizes that cannot be met, products that overflow, and errno: ENOMEM exactly on failure, untouched
// by success and by free.
#include <cerrno>
#include <cstdint>
#include <unistd.h>

#include "tests/check.hpp"
#include "tests/process/subject.hpp"
#include "tiers.hpp"

namespace {

constexpr int kMarker = 77;

// Null with ENOMEM is expected of every impossible request.
template <class F>
void expect_enomem(F&& request) {
    errno = kMarker;
    void* p = request();
    EXPECT_EQUAL(p, nullptr);
    EXPECT_EQUAL(errno, ENOMEM);
    subject::free(p);
}

template <class F>
void* expect_errno_kept(F&& request) {
    errno = kMarker;
    void* p = request();
    EXPECT(p != nullptr);
    EXPECT_EQUAL(errno, kMarker);
    return p;
}

}  // namespace

// Clause: POSIX.1-2017 malloc(), calloc(), realloc(): null and ENOMEM; glibc: above PTRDIFF_MAX
// nothing fits.
TEST(impossible_sizes) {
    for (size_t k = 0; k <= 70'000; k = k < 300 ? k + 1 : k * 2) {
        for (const size_t n : {SIZE_MAX - k, static_cast<size_t>(PTRDIFF_MAX) + 1 + k}) {
            expect_enomem([&] { return subject::malloc(n); });
            expect_enomem([&] { return subject::calloc(1, n); });
            expect_enomem([&] { return subject::calloc(n, 1); });
            expect_enomem([&] { return subject::realloc(nullptr, n); });
            expect_enomem([&] { return subject::reallocarray(nullptr, n, 1); });
            expect_enomem([&] { return subject::aligned_alloc(16, n); });
            expect_enomem([&] { return subject::aligned_alloc(4096, n); });
            expect_enomem([&] { return subject::memalign(64, n); });
            expect_enomem([&] { return subject::memalign(size_t{1} << 30, n); });
            expect_enomem([&] { return subject::valloc(n); });
            expect_enomem([&] { return subject::pvalloc(n); });
            void* p = nullptr;
            EXPECT_EQUAL(subject::posix_memalign(&p, 16, n), ENOMEM);
            EXPECT_EQUAL(p, nullptr);
        }
    }
    // Below PTRDIFF_MAX the address space itself is too small; 2^47 bytes are all of a user's.
    for (const size_t n :
         {static_cast<size_t>(PTRDIFF_MAX), static_cast<size_t>(PTRDIFF_MAX) - 1,
          static_cast<size_t>(PTRDIFF_MAX) - 4096, static_cast<size_t>(PTRDIFF_MAX) - (2u << 20),
          size_t{1} << 62, size_t{1} << 55, size_t{1} << 48, size_t{1} << 47}) {
        expect_enomem([&] { return subject::malloc(n); });
        expect_enomem([&] { return subject::calloc(1, n); });
        expect_enomem([&] { return subject::realloc(nullptr, n); });
        expect_enomem([&] { return subject::memalign(4096, n); });
        expect_enomem([&] { return subject::memalign(8u << 20, n); });
    }
}

// Clause: C23 7.24.3.2 and POSIX calloc(): null and ENOMEM; reallocarray(3): the block stays.
TEST(products_that_overflow) {
    const size_t half = size_t{1} << 32;
    const size_t pairs[][2] = {
        {SIZE_MAX, 2},           {2, SIZE_MAX},         {half, half},
        {half + 1, half},        {SIZE_MAX / 2 + 1, 2}, {SIZE_MAX / 3 + 1, 3},
        {SIZE_MAX / 16 + 1, 16}, {SIZE_MAX, SIZE_MAX},  {half * 4, half / 2}};
    for (const auto& [a, b] : pairs) {
        expect_enomem([&] { return subject::calloc(a, b); });
        expect_enomem([&] { return subject::reallocarray(nullptr, a, b); });
        auto* p = static_cast<unsigned char*>(subject::malloc(100));
        memset(p, 0x5a, 100);
        errno = kMarker;
        EXPECT_EQUAL(subject::reallocarray(p, a, b), nullptr);
        EXPECT_EQUAL(errno, ENOMEM);
        EXPECT(p[0] == 0x5a && p[99] == 0x5a);
        subject::free(p);
    }
}

// Clause: C23 7.24.3.7: the old object is not deallocated and its value is unchanged.
TEST(failed_realloc_keeps_the_block) {
    for (const size_t n : kTierSamples)
        for (const size_t impossible : {SIZE_MAX, SIZE_MAX - 15, SIZE_MAX - 4096,
                                        static_cast<size_t>(PTRDIFF_MAX) + 1, size_t{1} << 47}) {
            auto* p = static_cast<unsigned char*>(subject::malloc(n));
            memset(p, 0x3c, n);
            const size_t usable = subject::malloc_usable_size(p);
            errno = kMarker;
            EXPECT_EQUAL(subject::realloc(p, impossible), nullptr);
            EXPECT_EQUAL(errno, ENOMEM);
            EXPECT_EQUAL(subject::malloc_usable_size(p), usable);
            bool intact = true;
            for (size_t i = 0; i < n; ++i) intact &= p[i] == 0x3c;
            EXPECT(intact);
            subject::free(p);
        }
}

// Clause: POSIX.1-2024 free(): errno stays; glibc: success does not set it.
TEST(success_and_free_keep_errno) {
    for (const size_t n : kTierSamples) {
        void* blocks[] = {
            expect_errno_kept([&] { return subject::malloc(n); }),
            expect_errno_kept([&] { return subject::calloc(1, n); }),
            expect_errno_kept([&] { return subject::realloc(nullptr, n); }),
            expect_errno_kept([&] { return subject::reallocarray(nullptr, 1, n); }),
            expect_errno_kept([&] { return subject::aligned_alloc(256, n); }),
            expect_errno_kept([&] { return subject::memalign(8192, n); }),
            expect_errno_kept([&] { return subject::valloc(n); }),
            expect_errno_kept([&] { return subject::pvalloc(n); }),
        };
        void* p = nullptr;
        errno = kMarker;
        EXPECT_EQUAL(subject::posix_memalign(&p, 64, n), 0);
        EXPECT_EQUAL(errno, kMarker);
        p = expect_errno_kept([&] { return subject::realloc(p, n * 2); });
        p = expect_errno_kept([&] { return subject::realloc(p, n); });
        subject::free(p);
        EXPECT_EQUAL(errno, kMarker);
        for (void* q : blocks) {
            errno = kMarker;
            EXPECT(subject::malloc_usable_size(q) >= n);
            subject::free(q);
            EXPECT_EQUAL(errno, kMarker);
        }
    }
}
