// What each entry point returns at the corners of its arguments, as glibc 2.36 does; glibc itself
// passes these tests.
#include <cerrno>
#include <cstdint>
#include <set>
#include <unistd.h>

#include "tests/check.hpp"
#include "tests/process/subject.hpp"
#include "tiers.hpp"

namespace {
bool aligned(const void* p, size_t align) {
    return (reinterpret_cast<uintptr_t>(p) & (align - 1)) == 0;
}
const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
}  // namespace

// Clause: C23 7.24.3: a size of zero may give a pointer that is not used; glibc manual, Basic
// Memory Allocation: malloc(0) is a fresh block.
TEST(malloc_of_zero_is_unique) {
    std::set<void*> seen;
    void* blocks[1000];
    for (void*& p : blocks) {
        p = subject::malloc(0);
        EXPECT(p != nullptr);
        EXPECT(aligned(p, 16));
        EXPECT(seen.insert(p).second);
    }
    for (void* p : blocks) subject::free(p);
}

// Clause: C23 7.24.3 and glibc manual, Allocating Aligned Memory Blocks: as malloc(0), by every
// other function.
TEST(other_requests_of_zero) {
    void* p = subject::calloc(0, 0);
    void* q = subject::calloc(0, 8);
    void* r = subject::calloc(8, 0);
    EXPECT(p != nullptr && q != nullptr && r != nullptr && p != q && q != r && p != r);
    subject::free(p);
    subject::free(q);
    subject::free(r);
    for (const size_t align : {size_t{8}, size_t{64}, page}) {
        p = subject::memalign(align, 0);
        q = subject::aligned_alloc(align, 0);
        r = nullptr;
        EXPECT_EQUAL(subject::posix_memalign(&r, align, 0), 0);
        EXPECT(p != nullptr && q != nullptr && r != nullptr && p != q && q != r);
        EXPECT(aligned(p, align) && aligned(q, align) && aligned(r, align));
        subject::free(p);
        subject::free(q);
        subject::free(r);
    }
    p = subject::valloc(0);
    q = subject::pvalloc(0);
    EXPECT(p != nullptr && q != nullptr && p != q && aligned(p, page) && aligned(q, page));
    subject::free(p);
    subject::free(q);
}

// Clause: POSIX.1-2017 realloc(): of null it is malloc; glibc manual, Changing the Size of a
// Block: to 0 bytes it frees, and returns null.
TEST(realloc_corners) {
    void* p = subject::realloc(nullptr, 100);
    EXPECT(p != nullptr && subject::malloc_usable_size(p) >= 100);
    errno = 77;
    EXPECT_EQUAL(subject::realloc(p, 0), nullptr);
    EXPECT_EQUAL(errno, 77);
    p = subject::realloc(nullptr, 0);
    EXPECT(p != nullptr);
    p = subject::realloc(p, 50);
    EXPECT(p != nullptr);
    subject::free(p);
    for (const size_t n : kTierSamples) {
        p = subject::malloc(n);
        EXPECT_EQUAL(subject::realloc(p, 0), nullptr);
    }
    p = subject::reallocarray(nullptr, 10, 10);
    EXPECT(p != nullptr && subject::malloc_usable_size(p) >= 100);
    EXPECT_EQUAL(subject::reallocarray(p, 10, 0), nullptr);
    p = subject::reallocarray(nullptr, 0, 10);
    EXPECT(p != nullptr);
    EXPECT_EQUAL(subject::reallocarray(p, 0, 10), nullptr);
}

// Clause: C23 7.24.3.3: no action; POSIX.1-2024 free(): errno stays.
TEST(free_of_null) {
    errno = 77;
    subject::free(nullptr);
    EXPECT_EQUAL(errno, 77);
    EXPECT_EQUAL(subject::malloc_usable_size(nullptr), 0u);
    EXPECT_EQUAL(errno, 77);
}

// Clause: C23 7.24.3: aligned for any object of the size; malloc_usable_size(3): no less than
// asked for.
TEST(malloc_is_aligned_and_usable) {
    for (const size_t n : tier_sizes(8u << 20)) {
        auto* p = static_cast<unsigned char*>(subject::malloc(n));
        EXPECT(p != nullptr);
        EXPECT(aligned(p, 16));
        const size_t usable = subject::malloc_usable_size(p);
        EXPECT(usable >= n);
        // All of the usable size is the caller's to write.
        memset(p, 0xa5, usable);
        EXPECT_EQUAL(subject::malloc_usable_size(p), usable);
        subject::free(p);
    }
}

// Clause: C23 7.24.3: each object is disjoint from any other.
TEST(usable_bytes_of_neighbours_do_not_overlap) {
    for (const size_t n : kTierSamples) {
        if (n > 4'000'000) continue;
        unsigned char* blocks[32];
        for (int i = 0; i < 32; ++i) {
            blocks[i] = static_cast<unsigned char*>(subject::malloc(n));
            memset(blocks[i], i, subject::malloc_usable_size(blocks[i]));
        }
        for (int i = 0; i < 32; ++i) {
            const size_t usable = subject::malloc_usable_size(blocks[i]);
            bool intact = true;
            for (size_t k = 0; k < usable; ++k) intact &= blocks[i][k] == i;
            EXPECT(intact);
            subject::free(blocks[i]);
        }
    }
}

// Clause: POSIX.1-2017 posix_memalign(): EINVAL and ENOMEM; errno and *memptr stay (glibc manual,
// Allocating Aligned Memory Blocks).
TEST(posix_memalign_arguments) {
    int local = 0;
    for (const size_t align : {size_t{0}, size_t{1}, size_t{2}, size_t{4}, size_t{3}, size_t{12},
                               size_t{24}, size_t{48}, size_t{100}, size_t{4097}, SIZE_MAX}) {
        void* p = &local;
        errno = 77;
        EXPECT_EQUAL(subject::posix_memalign(&p, align, 100), EINVAL);
        EXPECT_EQUAL(p, static_cast<void*>(&local));
        EXPECT_EQUAL(errno, 77);
    }
    for (const size_t n : {SIZE_MAX, SIZE_MAX / 2 + 1, SIZE_MAX - 64, SIZE_MAX - 4096}) {
        void* p = &local;
        EXPECT_EQUAL(subject::posix_memalign(&p, 64, n), ENOMEM);
        EXPECT_EQUAL(p, static_cast<void*>(&local));
    }
    void* p = &local;
    EXPECT_EQUAL(subject::posix_memalign(&p, size_t{1} << 62, 100), ENOMEM);
    EXPECT_EQUAL(p, static_cast<void*>(&local));
}

// Clause: glibc 2.36, memalign and aligned_alloc: the alignment is rounded up to a power of two.
TEST(alignments_that_are_no_power_of_two) {
    // glibc 2.36 rounds the alignment of memalign and of aligned_alloc up to the next power of two.
    for (const size_t align :
         {size_t{0}, size_t{1}, size_t{2}, size_t{3}, size_t{7}, size_t{17}, size_t{24}, size_t{33},
          size_t{100}, size_t{3000}, size_t{5000}, size_t{70'000}}) {
        size_t rounded = 16;
        while (rounded < align) rounded *= 2;
        for (const size_t n : {size_t{1}, size_t{100}, size_t{5000}, size_t{300'000}}) {
            void* p = subject::memalign(align, n);
            void* q = subject::aligned_alloc(align, n);
            EXPECT(p != nullptr && aligned(p, rounded) && subject::malloc_usable_size(p) >= n);
            EXPECT(q != nullptr && aligned(q, rounded) && subject::malloc_usable_size(q) >= n);
            subject::free(p);
            subject::free(q);
        }
    }
    for (const size_t align : {SIZE_MAX, SIZE_MAX / 2 + 2}) {
        errno = 77;
        EXPECT_EQUAL(subject::memalign(align, 10), nullptr);
        EXPECT_EQUAL(errno, EINVAL);
        errno = 77;
        EXPECT_EQUAL(subject::aligned_alloc(align, 10), nullptr);
        EXPECT_EQUAL(errno, EINVAL);
    }
    errno = 77;
    EXPECT_EQUAL(subject::memalign(SIZE_MAX / 2 + 1, 10), nullptr);
    EXPECT_EQUAL(errno, ENOMEM);
}

// Clause: C23 7.24.3.1 aligned_alloc, POSIX posix_memalign, glibc manual, Allocating Aligned
// Memory Blocks memalign.
TEST(every_alignment_with_every_tier) {
    for (size_t align = 8; align <= size_t{1} << 30; align *= 2) {
        for (const size_t n : kTierSamples) {
            if (align > (4u << 20) && n != 1 && n != 300'000) continue;
            void* blocks[6];
            size_t used = 0;
            // Several at once: the first block of a slab may be aligned by chance.
            for (int i = 0; i < (align > (1u << 20) ? 1 : 2); ++i) {
                blocks[used++] = subject::memalign(align, n);
                blocks[used++] = subject::aligned_alloc(align, n);
                void* p = nullptr;
                EXPECT_EQUAL(subject::posix_memalign(&p, align, n), 0);
                blocks[used++] = p;
            }
            for (size_t i = 0; i < used; ++i) {
                EXPECT(blocks[i] != nullptr && aligned(blocks[i], align) &&
                       subject::malloc_usable_size(blocks[i]) >= n);
                if (blocks[i] != nullptr)
                    memset(blocks[i], 1,
                           n < 300'001 ? subject::malloc_usable_size(blocks[i]) % (4u << 20) : 1);
            }
            for (size_t i = 0; i < used; ++i) subject::free(blocks[i]);
        }
    }
}

// Clause: C23 7.24.3.1 aligned_alloc; POSIX posix_memalign().
TEST(size_equal_to_alignment) {
    for (size_t align = 8; align <= (1u << 22); align *= 2)
        for (int i = 0; i < 5; ++i) {
            void* p = nullptr;
            EXPECT_EQUAL(subject::posix_memalign(&p, align, align), 0);
            void* q = subject::aligned_alloc(align, 3 * align);
            EXPECT(aligned(p, align) && aligned(q, align));
            subject::free(p);
            subject::free(q);
        }
}

// Clause: glibc manual, Allocating Aligned Memory Blocks, and valloc(3): a page's alignment;
// pvalloc rounds the size up to pages.
TEST(valloc_and_pvalloc) {
    for (const size_t n : {size_t{1}, size_t{100}, page - 1, page, page + 1, size_t{300'000}}) {
        void* p = subject::valloc(n);
        EXPECT(p != nullptr && aligned(p, page) && subject::malloc_usable_size(p) >= n);
        void* q = subject::pvalloc(n);
        EXPECT(q != nullptr && aligned(q, page) &&
               subject::malloc_usable_size(q) >= (n + page - 1) / page * page);
        subject::free(p);
        subject::free(q);
    }
}
