// realloc_table_test.cpp: realloc from every size, alignment and tier to every other: the content
// up to the smaller usable size, the alignment, the usable size, errno; and nothing of the two
// blocks' neighbours changes. Lastly the table must refuse functions that are wrong.
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "hakmem/hakmem.h"
#include "props/kit/audit_real.hpp"
#include "props/kit/broken.hpp"
#include "props/kit/edges.hpp"
#include "tests/unit/examples.hpp"

namespace {

using kit::require;
using std::size_t;

constexpr int kUntouched = 12345;

// What the bytes of a block are depends on their place and on the block, so that content moved by a
// distance does not pass.
class Content {
  public:
    Content() : bytes_(16 * kit::kMiB) {
        std::uint32_t x = 0x243f6a88;
        for (unsigned char& byte : bytes_)
            byte = static_cast<unsigned char>((x = x * 1664525 + 1013904223) >> 24);
    }
    // All of a small block; of a larger one both ends, where tiers and classes cut, and what lies
    // around each page's start.
    template <class Visit>
    void each_piece(size_t n, unsigned salt, Visit visit) const {
        const size_t ends = std::min(n, kit::kSmallMost);
        visit(0, at(salt, 0), ends);
        for (size_t i = ends; i + 8 * kit::kKiB < n; i += 4 * kit::kKiB) visit(i, at(salt, i), 8);
        visit(n - ends, at(salt, n - ends), ends);
    }
    void write(void* p, size_t n, unsigned salt) const {
        each_piece(n, salt, [&](size_t i, const unsigned char* bytes, size_t count) {
            std::memcpy(static_cast<char*>(p) + i, bytes, count);
        });
    }

  private:
    const unsigned char* at(unsigned salt, size_t i) const {
        return bytes_.data() + (salt * 2654435761u % kit::kMiB) + i;
    }
    std::vector<unsigned char> bytes_;
};

struct From {
    size_t n, alignment;
};
using Realloc = void* (*)(void* p, size_t n);

class Table {
  public:
    explicit Table(Realloc call) : call_(call) {}

    void check_row(const From& from, size_t to) {
        const unsigned salt = ++rows_;
        void* const p = hak_memalign(from.alignment, from.n);
        require(p != nullptr, "no memory for ", from.n);
        const size_t old = hak_malloc_usable_size(p);
        content_.write(p, old, salt);
        void* const neighbour = hak_malloc(from.n);
        const size_t beside = hak_malloc_usable_size(neighbour);
        content_.write(neighbour, beside, ~salt);
        errno = kUntouched;
        void* const q = call_(p, to);
        const int error = errno;
        const auto fail_unless = [&](bool holds, const char* what) {
            require(holds, "realloc from ", from.n, " aligned to ", from.alignment, " to ", to,
                    ": ", what);
        };
        fail_unless(error == kUntouched, "errno has changed");
        fail_unless((q == nullptr) == (to == 0), "null, or no null for 0 bytes");
        if (q != nullptr) {
            const size_t now = hak_malloc_usable_size(q);
            fail_unless(reinterpret_cast<size_t>(q) % 16 == 0, "not aligned to 16");
            fail_unless(now >= to, "the usable size is too small");
            fail_unless(holds(q, std::min(old, to), old, salt), "content is lost");
            content_.write(q, now, salt + 1);
        }
        fail_unless(holds(neighbour, beside, beside, ~salt), "the neighbour has changed");
        hak_free(q);
        hak_free(neighbour);
    }
    unsigned rows() const { return rows_; }

  private:
    // Whether the first n bytes are those that were written to a block of `written` bytes.
    bool holds(const void* p, size_t n, size_t written, unsigned salt) const {
        bool same = true;
        content_.each_piece(written, salt, [&](size_t i, const unsigned char* bytes, size_t count) {
            if (i < n)
                same &= std::memcmp(static_cast<const char*>(p) + i, bytes,
                                    std::min(count, n - i)) == 0;
        });
        return same;
    }

    static inline const Content content_;
    Realloc call_;
    unsigned rows_ = 0;
};

unsigned check_table(Realloc call) {
    constexpr std::array kAlignments = {size_t{16}, size_t{64}, size_t{4096}, kit::kUnit,
                                        kit::kSlot};
    Table table(call);
    std::vector<size_t> sizes;
    for (const size_t n : kit::edge_sizes()) {
        if (n <= 4 * kit::kMiB + 1) sizes.push_back(n);
    }
    for (const size_t alignment : kAlignments) {
        for (const size_t from : sizes) {
            for (const size_t to : sizes) table.check_row({from, alignment}, to);
        }
    }
    return table.rows();
}

void* realloc_that_copies_a_byte_less(void* p, size_t n) {
    if (n < 5000 || hak_malloc_usable_size(p) < 5000) return hak_realloc(p, n);
    void* const q = hak_malloc(n);
    std::memset(q, 0, n);
    std::memcpy(q, p, std::min(n, hak_malloc_usable_size(p)) - 1);
    hak_free(p);
    return q;
}
void* realloc_that_never_grows(void* p, size_t n) {
    return n <= 2 * hak_malloc_usable_size(p) && n != 0 ? p : hak_realloc(p, n);
}
void* realloc_that_keeps_the_block_at_zero(void* p, size_t n) {
    return hak_realloc(p, n == 0 ? 1 : n);
}

void require_refused(const char* what, Realloc wrong) {
    try {
        check_table(wrong);
    } catch (const kit::Broken& e) {
        std::printf("refused, a realloc that %s: %s\n", what, e.what());
        return;
    }
    kit::broken("the table accepts a realloc that ", what);
}

void every_row() {
    std::printf("realloc, %u rows\n", check_table(hak_realloc));
    std::printf("reallocarray, %u rows\n",
                check_table([](void* p, size_t n) { return hak_reallocarray(p, n, 1); }));
    hak_trim(0);
    struct hak_audit_result r;
    require(hak_audit(&r) == 0, "INV ", r.invariant == nullptr ? "" : r.invariant, ": ",
            r.what == nullptr ? "" : r.what);
    require(r.client_blocks + r.large_blocks + r.big_blocks == 0,
            "blocks are left: ", r.client_blocks, " small, ", r.large_blocks, " Large, ",
            r.big_blocks, " Big");
}
void wrong_functions_are_refused() {
    require_refused("copies a byte less", realloc_that_copies_a_byte_less);
    require_refused("never grows", realloc_that_never_grows);
    require_refused("keeps the block at zero", realloc_that_keeps_the_block_at_zero);
}

}  // namespace

int main(int, char** argv) {
    check_test examples[] = {CHECK_TEST(every_row), CHECK_TEST(wrong_functions_are_refused)};
    return unit::run(argv, examples);
}
