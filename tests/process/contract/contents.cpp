// What blocks contain: kept by realloc across all tiers, zero from calloc over dirty memory, and
// never shared by two blocks.
#include <cerrno>
#include <cstdint>

#include "tests/check.hpp"
#include "tests/process/subject.hpp"
#include "tiers.hpp"

namespace {

// Byte i of a block with a salt. It repeats after 64 KiB, and is written and compared a word at a
// time: most of what these tests do, and slow under an emulator.
unsigned char pattern(size_t i, size_t salt) {
    return static_cast<unsigned char>((i * 31) ^ (i >> 8) ^ salt);
}
constexpr size_t kPeriod = 65'536;
uint64_t unsalted[kPeriod / 8];

// Calls what(byte of the block, word that belongs there, number of its bytes in the block).
template <class What>
void each_word(size_t n, size_t salt, What&& what) {
    if (unsalted[0] == 0)
        for (size_t i = 0; i < kPeriod; ++i)
            reinterpret_cast<unsigned char*>(unsalted)[i] = pattern(i, 0);
    const uint64_t salts = (salt & 0xff) * 0x0101'0101'0101'0101u;
    for (size_t i = 0; i < n; i += 8)
        what(i, unsalted[i % kPeriod / 8] ^ salts, n - i < 8 ? n - i : 8);
}
void fill(unsigned char* p, size_t n, size_t salt) {
    each_word(n, salt, [p](size_t i, uint64_t word, size_t bytes) {
        if (bytes == 8)
            __builtin_memcpy(p + i, &word, 8);
        else
            __builtin_memcpy(p + i, &word, bytes);
    });
}
bool holds(const unsigned char* p, size_t n, size_t salt) {
    uint64_t wrong = 0;
    each_word(n, salt, [p, &wrong](size_t i, uint64_t word, size_t bytes) {
        uint64_t found = word;
        if (bytes == 8)
            __builtin_memcpy(&found, p + i, 8);
        else
            __builtin_memcpy(&found, p + i, bytes);
        wrong |= found ^ word;
    });
    return wrong == 0;
}
bool zero(const unsigned char* p, size_t n) {
    uint64_t any = 0, word = 0;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __builtin_memcpy(&word, p + i, 8);
        any |= word;
    }
    for (; i < n; ++i) any |= p[i];
    return any == 0;
}

}  // namespace

// Clause: C23 7.24.3.7: the contents up to the lesser of the sizes stay.
TEST(realloc_between_all_tiers) {
    for (const size_t from : kTierSamples)
        for (const size_t to : kTierSamples) {
            auto* p = static_cast<unsigned char*>(subject::malloc(from));
            fill(p, from, from);
            p = static_cast<unsigned char*>(subject::realloc(p, to));
            EXPECT(p != nullptr && subject::malloc_usable_size(p) >= to);
            EXPECT(holds(p, from < to ? from : to, from));
            fill(p, to, to);
            EXPECT(holds(p, to, to));
            subject::free(p);
        }
}

// Clause: C23 7.24.3.7: a block of aligned_alloc may be given too; its contents stay.
TEST(realloc_of_aligned_blocks) {
    for (const size_t align :
         {size_t{64}, size_t{4096}, size_t{65'536}, size_t{2} << 20, size_t{8} << 20})
        for (const size_t from : kTierSamples)
            for (const size_t to :
                 {size_t{1}, from / 2 + 1, from + 1, from * 2, size_t{3'000'000}}) {
                auto* p = static_cast<unsigned char*>(subject::memalign(align, from));
                fill(p, from, align);
                p = static_cast<unsigned char*>(subject::realloc(p, to));
                EXPECT(p != nullptr && subject::malloc_usable_size(p) >= to);
                EXPECT(holds(p, from < to ? from : to, align));
                fill(p, to, to);
                subject::free(p);
            }
}

// Clause: C23 7.24.3.7: the contents up to the lesser of the sizes stay.
TEST(realloc_steps_up_and_down) {
    unsigned char* p = nullptr;
    size_t previous = 0;
    for (size_t n = 1; n < 40'000'000; n += n / 2 + 1) {
        p = static_cast<unsigned char*>(subject::realloc(p, n));
        EXPECT(p != nullptr && holds(p, previous, 1));
        fill(p, n, 1);
        previous = n;
    }
    while (previous > 1) {
        const size_t n = previous - previous / 3 - 1;
        if (n == 0) break;
        p = static_cast<unsigned char*>(subject::realloc(p, n));
        EXPECT(p != nullptr && holds(p, n, 1));
        previous = n;
    }
    subject::free(p);
}

// Clause: C23 7.24.3: no other object changes.
TEST(realloc_beside_a_neighbour) {
    // Growing in place must stop at a live neighbour, and may take a freed one.
    for (const size_t n : {size_t{70'000}, size_t{130'000}, size_t{300'000}, size_t{1'500'000},
                           size_t{3'000'000}, size_t{9'000'000}}) {
        unsigned char* blocks[6];
        for (size_t i = 0; i < 6; ++i) {
            blocks[i] = static_cast<unsigned char*>(subject::malloc(n));
            fill(blocks[i], n, i);
        }
        subject::free(blocks[3]);
        blocks[3] = nullptr;
        for (const size_t i : {2, 4, 0}) {
            blocks[i] = static_cast<unsigned char*>(subject::realloc(blocks[i], n * 2));
            EXPECT(holds(blocks[i], n, i));
            fill(blocks[i], n * 2, i);
        }
        for (const size_t i : {0, 1, 2, 4, 5})
            EXPECT(holds(blocks[i], i == 1 || i == 5 ? n : n * 2, i));
        for (const size_t i : {1, 5}) {
            blocks[i] = static_cast<unsigned char*>(subject::realloc(blocks[i], n / 3));
            EXPECT(holds(blocks[i], n / 3, i));
        }
        for (const size_t i : {0, 2, 4}) EXPECT(holds(blocks[i], n * 2, i));
        for (unsigned char* p : blocks) subject::free(p);
    }
}

// Clause: C23 7.24.3.2: all bits zero.
TEST(calloc_is_zero_over_dirty_memory) {
    for (const size_t n : tier_sizes(4u << 20)) {
        unsigned char* dirty[4];
        for (unsigned char*& p : dirty) {
            p = static_cast<unsigned char*>(subject::malloc(n));
            memset(p, 0xff, subject::malloc_usable_size(p));
        }
        for (unsigned char* p : dirty) subject::free(p);
        for (unsigned char*& p : dirty) {
            p = static_cast<unsigned char*>(subject::calloc(1, n));
            EXPECT(zero(p, n));
            memset(p, 0xff, n);
        }
        for (unsigned char* p : dirty) subject::free(p);
    }
}

// Clause: C23 7.24.3.2: all bits zero.
TEST(calloc_is_zero_where_sizes_alternate) {
    // A range comes back in another shape than it was given up: as part of a larger block, or
    // split.
    for (int round = 0; round < 3; ++round)
        for (const size_t a : kTierSamples)
            for (const size_t b : kTierSamples) {
                if (a > 4'000'000 || b > 4'000'000) continue;
                auto* p = static_cast<unsigned char*>(subject::malloc(a));
                auto* q = static_cast<unsigned char*>(subject::malloc(a));
                memset(p, 0xee, a);
                memset(q, 0xee, a);
                subject::free(p);
                subject::free(q);
                p = static_cast<unsigned char*>(subject::calloc(b, 1));
                EXPECT(zero(p, b));
                memset(p, 0xdd, b);
                subject::free(p);
            }
}

// Clause: C23 7.24.3.2: all bits zero.
TEST(calloc_after_shrinking_realloc) {
    for (const size_t n : kTierSamples) {
        auto* p = static_cast<unsigned char*>(subject::malloc(n));
        memset(p, 0xff, n);
        p = static_cast<unsigned char*>(subject::realloc(p, n / 4 + 1));
        auto* q = static_cast<unsigned char*>(subject::calloc(n, 1));
        EXPECT(zero(q, n));
        subject::free(p);
        subject::free(q);
    }
}
