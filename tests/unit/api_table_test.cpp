// api_table_test.cpp: every allocating function of hakmem.h and every operator new, with every
// edge size and every alignment, against what the manual pages and the standard promise: null or
// not, the error, where errno may change, alignment, usable size, zero bytes, blocks that do not
// overlap. The blocks go back through every freeing function in turn, and the audit finds none
// left. Lastly the table must refuse functions that are wrong.
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string_view>
#include <unistd.h>

#include "hakmem/hakmem.h"
#include "hakmem/hakmem_profile.h"
#include "props/kit/audit_real.hpp"
#include "props/kit/broken.hpp"
#include "props/kit/edges.hpp"
#include "tests/pages.h"
#include "tests/unit/examples.hpp"

namespace {

using kit::require;
using std::size_t;

// up to these there is memory
constexpr size_t kServed = 64 * kit::kMiB, kServedAlignment = 1024 * kit::kMiB;
// the address space of a process
constexpr size_t kNever = size_t{1} << 47;
constexpr int kUntouched = 12345;
const size_t page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
size_t window = 0;
bool is_profiled = false;  // what is sampled is not of the documented classes

struct Answer {
    void* p;
    int error;
};

struct Entry {
    const char* name;
    enum Kind : std::uint8_t {
        plain,
        zeroed,
        paged,
        whole_pages,
        aligned,
        posix,
        aligned_new
    } kind;
    Answer (*call)(size_t n, size_t alignment);
    // of the functions that may free the block
    enum Family : std::uint8_t { c, object, array } family = c;

    bool has_alignment() const { return kind == aligned || kind == posix || kind == aligned_new; }
};

// What errno says; `errno unchanged` is part of the answer.
template <class Call>
Answer by_errno(Call call) {
    errno = kUntouched;
    void* const p = call();
    return {p, errno == kUntouched ? 0 : errno};
}

Answer by_result(int (*call)(void**, size_t, size_t), size_t alignment, size_t n) {
    int mark = 0;
    void* out = &mark;
    errno = kUntouched;
    const int error = call(&out, alignment, n);
    require(errno == kUntouched, "posix_memalign(", alignment, ", ", n, ") changed errno");
    require(error == 0 || out == &mark, "posix_memalign(", alignment, ", ", n,
            ") failed and changed *out");
    return {error == 0 ? out : nullptr, error};
}

// bad_alloc counts as ENOMEM, and so does null from a form that does not throw.
template <bool kIsArray, bool kIsNothrow, bool kIsAligned>
Answer by_new(size_t n, size_t a) {
    int thrown = 0;
    errno = kUntouched;
    void* const p = hak_operator_new(n, kIsAligned ? a : 0, kIsArray, kIsNothrow, &thrown);
    require(errno == kUntouched, "operator new(", n, ") changed errno");
    require((thrown != 0) == (p == nullptr && !kIsNothrow), "operator new(", n,
            thrown != 0 ? ") threw" : ") did not throw");
    return {p, p == nullptr ? ENOMEM : 0};
}

constexpr std::array kEntries = {
    Entry{"malloc(n)", Entry::plain,
          [](size_t n, size_t) { return by_errno([&] { return hak_malloc(n); }); }},
    Entry{"alloc_at(n)", Entry::plain,
          [](size_t n, size_t) { return by_errno([&] { return hak_alloc_at(n, &errno); }); }},
    Entry{"realloc(null, n)", Entry::plain,
          [](size_t n, size_t) { return by_errno([&] { return hak_realloc(nullptr, n); }); }},
    Entry{
        "reallocarray(null, 1, n)", Entry::plain,
        [](size_t n, size_t) { return by_errno([&] { return hak_reallocarray(nullptr, 1, n); }); }},
    Entry{
        "reallocarray(null, n, 1)", Entry::plain,
        [](size_t n, size_t) { return by_errno([&] { return hak_reallocarray(nullptr, n, 1); }); }},
    Entry{"calloc(1, n)", Entry::zeroed,
          [](size_t n, size_t) { return by_errno([&] { return hak_calloc(1, n); }); }},
    Entry{"calloc(n, 1)", Entry::zeroed,
          [](size_t n, size_t) { return by_errno([&] { return hak_calloc(n, 1); }); }},
    Entry{"calloc(n / 3 + 1, 3)", Entry::zeroed,
          [](size_t n, size_t) { return by_errno([&] { return hak_calloc(n / 3 + 1, 3); }); }},
    Entry{"valloc(n)", Entry::paged,
          [](size_t n, size_t) { return by_errno([&] { return hak_valloc(n); }); }},
    Entry{"pvalloc(n)", Entry::whole_pages,
          [](size_t n, size_t) { return by_errno([&] { return hak_pvalloc(n); }); }},
    Entry{"aligned_alloc(a, n)", Entry::aligned,
          [](size_t n, size_t a) { return by_errno([&] { return hak_aligned_alloc(a, n); }); }},
    Entry{"memalign(a, n)", Entry::aligned,
          [](size_t n, size_t a) { return by_errno([&] { return hak_memalign(a, n); }); }},
    Entry{"posix_memalign(a, n)", Entry::posix,
          [](size_t n, size_t a) { return by_result(hak_posix_memalign, a, n); }},
    Entry{"operator new(n)", Entry::plain, by_new<false, false, false>, Entry::object},
    Entry{"operator new(n, nothrow)", Entry::plain, by_new<false, true, false>, Entry::object},
    Entry{"operator new[](n)", Entry::plain, by_new<true, false, false>, Entry::array},
    Entry{"operator new[](n, nothrow)", Entry::plain, by_new<true, true, false>, Entry::array},
    Entry{"operator new(n, a)", Entry::aligned_new, by_new<false, false, true>, Entry::object},
    Entry{"operator new(n, a, nothrow)", Entry::aligned_new, by_new<false, true, true>,
          Entry::object},
    Entry{"operator new[](n, a)", Entry::aligned_new, by_new<true, false, true>, Entry::array},
    Entry{"operator new[](n, a, nothrow)", Entry::aligned_new, by_new<true, true, true>,
          Entry::array},
};

// The promise: an error, a block, or either where it depends on the machine.
struct Promise {
    std::optional<int> error;
    size_t alignment = 16, bytes = 0;
};
Promise promise(const Entry& entry, size_t n, size_t a) {
    if (entry.kind == Entry::posix && (!std::has_single_bit(a) || a % sizeof(void*) != 0))
        return {EINVAL};
    if (entry.kind == Entry::aligned && a > SIZE_MAX / 2 + 1) return {EINVAL};
    size_t alignment = 16, bytes = n;
    if (entry.has_alignment()) alignment = std::max(alignment, std::bit_ceil(a));
    if (entry.kind == Entry::paged || entry.kind == Entry::whole_pages) alignment = page;
    if (n >= kNever || alignment >= kNever) return {ENOMEM};
    if (entry.kind == Entry::whole_pages) bytes = (n + page - 1) / page * page;
    if (n > window || alignment > window) return {ENOMEM};
    // The slabs take a superslab of the window or two, which lie at its beginning.
    const bool has_place = n + (alignment > kit::kSlot ? alignment : 0) <= window - 3 * kit::kSlot;
    const bool must = n <= kServed && alignment <= kServedAlignment && has_place;
    return {must ? std::optional<int>(0) : std::nullopt, alignment, bytes};
}

// Few live blocks at a time, each full of one byte at both ends, so that the next ones overlap none
// of them unseen.
class Live {
  public:
    Live() = default;
    Live(const Live&) = delete;
    Live& operator=(const Live&) = delete;
    ~Live() {
        for (const Block& b : blocks_) hak_free(b.p);
    }
    void add(const Entry& entry, void* p, size_t n, size_t alignment, size_t usable) {
        Block& b = blocks_[++count_ % blocks_.size()];
        release(b);
        b = {static_cast<unsigned char*>(p),
             n,
             alignment,
             usable,
             static_cast<unsigned char>(count_ % 255 + 1),
             entry.family,
             entry.has_alignment()};
        std::memset(b.p, b.mark, ends(b));
        std::memset(b.p + b.usable - ends(b), b.mark, ends(b));
    }
    void release_all() {
        for (Block& b : blocks_) release(b);
    }

  private:
    struct Block {
        unsigned char* p = nullptr;
        size_t n = 0, alignment = 16, usable = 0;
        unsigned char mark = 0;
        Entry::Family family = Entry::c;
        bool is_aligned = false;
    };
    static size_t ends(const Block& b) { return std::min<size_t>(b.usable, 2 * kit::kUnit); }
    void release(Block& b) {
        if (b.p == nullptr) return;
        const auto marked = [&](size_t i) { return b.p[i] == b.mark; };
        for (size_t i = 0; i < b.usable;
             i = i + 1 == 64 && b.usable > 128 ? b.usable - 64 : i + 1) {
            require(marked(i), "a live block of ", b.n, " bytes has changed at byte ", i);
        }
        unsigned char* const p = b.p;
        b.p = nullptr;
        errno = kUntouched;
        const size_t way = count_ / 3 % 4;
        if (b.family != Entry::c) {
            hak_operator_delete(p, way % 2 == 0 ? SIZE_MAX : b.n, b.is_aligned ? b.alignment : 0,
                                b.family == Entry::array);
        } else if (way == 0) {
            hak_free(p);
        } else if (way == 1) {
            hak_free_sized(p, b.n);
        } else if (way == 2) {
            hak_free_aligned_sized(p, b.alignment, b.n);
        } else {
            hak_free_at(p, &count_);
        }
        require(errno == kUntouched, "a free of ", b.n, " bytes changed errno");
    }

    std::array<Block, 4> blocks_{};
    size_t count_ = 0;
};

// All bytes of a small block, and of a larger one the ends and one byte of each page.
bool is_zero(const unsigned char* p, size_t n) {
    const size_t ends = std::min<size_t>(n, kit::kUnit);
    unsigned char any = 0;
    for (size_t i = 0; i < ends; ++i) any |= static_cast<unsigned char>(p[i] | p[n - 1 - i]);
    static const int pagemap = pages_open();
    for (size_t i = ends, end; (i = pages_next(p, n, i, &end, pagemap)) < n; i = end)
        for (; i < end; i += 4 * kit::kKiB) any |= p[i];
    return any == 0;
}

size_t documented_usable(size_t n) {
    static const std::vector<size_t> blocks = kit::documented_blocks();
    return *std::lower_bound(blocks.begin(), blocks.end(), n);
}

void check_row(const Entry& entry, size_t n, size_t a, Live& live) {
    const Promise want = promise(entry, n, a);
    const Answer got = entry.call(n, a);
    const auto fail_unless = [&](bool holds, const char* what, size_t value) {
        require(holds, entry.name, " with n = ", n, ", a = ", a, ": ", what, " ", value);
    };
    if (got.p == nullptr) {
        fail_unless(want.error.value_or(ENOMEM) == got.error, "null with the error",
                    static_cast<size_t>(got.error));
        return;
    }
    const size_t usable = hak_malloc_usable_size(got.p), address = reinterpret_cast<size_t>(got.p);
    const bool small = entry.kind == Entry::plain && n <= kit::kSmallMost && !is_profiled;
    fail_unless(want.error.value_or(0) == 0, "a block instead of the error",
                static_cast<size_t>(want.error.value_or(0)));
    fail_unless(got.error == 0, "success changed errno to", static_cast<size_t>(got.error));
    fail_unless(address % want.alignment == 0, "not aligned to", want.alignment);
    fail_unless(usable >= want.bytes, "the usable size is", usable);
    fail_unless(!small || usable == documented_usable(n),
                "the documented classes say that the usable size is not", usable);
    fail_unless(entry.kind != Entry::zeroed || is_zero(static_cast<const unsigned char*>(got.p), n),
                "not zero; bytes:", n);
    live.add(entry, got.p, n, want.alignment, usable);
}

std::vector<size_t> alignments() {
    std::vector<size_t> all = {0, 3, 7, 24, 48, 100, 3000, 5000, SIZE_MAX / 2 + 2, SIZE_MAX};
    for (unsigned bit = 0; bit < 64; ++bit) all.push_back(size_t{1} << bit);
    return all;
}

// Rows where a size or an alignment meets the window's. One block lives at a time, and nothing
// waits in a cache.
size_t check_window(const Entry& entry) {
    size_t rows = 0;
    std::vector<size_t> aligned = {16};
    if (entry.has_alignment())
        aligned.insert(aligned.end(),
                       {kit::kUnit, kit::kSlot, window / 4, window / 2, window, 2 * window});
    for (const size_t a : aligned) {
        for (const size_t edge :
             {window / 2, window - 4 * kit::kSlot, window - 3 * kit::kSlot, window - 2 * kit::kSlot,
              window - kit::kSlot, window, window + kit::kSlot, 2 * window}) {
            for (const size_t n : {edge - 1, edge, edge + 1}) {
                Live live;
                check_row(entry, n, a, live), ++rows;
                live.release_all();
                hak_trim(0);
            }
        }
    }
    return rows;
}

size_t check_table(const Entry& entry) {
    std::vector<size_t> sizes = kit::edge_sizes();
    for (const size_t n : kit::impossible_sizes()) sizes.push_back(n);
    for (unsigned bit = 47; bit < 64; ++bit) sizes.push_back(size_t{1} << bit);
    sizes.push_back(kServed);
    Live live;
    size_t rows = 0;
    for (const size_t a : entry.has_alignment() ? alignments() : std::vector<size_t>{16}) {
        if (entry.kind == Entry::aligned_new && !std::has_single_bit(a)) continue;  // undefined
        for (const size_t n : sizes) check_row(entry, n, a, live), ++rows;
    }
    live.release_all();
    return rows;
}

void require_none_left() {
    hak_trim(0);
    struct hak_audit_result r;
    require(hak_audit(&r) == 0, "INV ", r.invariant == nullptr ? "" : r.invariant, ": ",
            r.what == nullptr ? "" : r.what);
    require(r.client_blocks + r.large_blocks + r.big_blocks == 0,
            "all blocks are freed, and the allocator counts ", r.client_blocks, " small, ",
            r.large_blocks, " Large, ", r.big_blocks, " Big ones");
}

constexpr std::array kWrong = {
    Entry{"malloc that is one byte short above 1024", Entry::plain,
          [](size_t n, size_t) {
              return by_errno([&] { return hak_malloc(n > 1024 ? n - 1 : n); });
          }},
    Entry{"malloc that sets errno", Entry::plain,
          [](size_t n, size_t) { return Answer{hak_malloc(n), ENOMEM}; }},
    Entry{"malloc that fails without errno", Entry::plain,
          [](size_t n, size_t) { return Answer{hak_malloc(n), 0}; }},
    Entry{"malloc that wraps around", Entry::plain,
          [](size_t n, size_t) {
              return by_errno([&] { return hak_malloc(n > SIZE_MAX - 64 ? n + 64 : n); });
          }},
    Entry{"calloc that does not clear", Entry::zeroed,
          [](size_t n, size_t) { return by_errno([&] { return hak_malloc(n); }); }},
    Entry{"pvalloc that forgets the page", Entry::whole_pages,
          [](size_t n, size_t) { return by_errno([&] { return hak_malloc(n); }); }},
    Entry{"memalign that aligns to 4096 at most", Entry::aligned,
          [](size_t n, size_t a) {
              return by_errno([&] { return hak_memalign(a < 4096 ? a : 4096, n); });
          }},
    Entry{"posix_memalign that takes any alignment", Entry::posix,
          [](size_t n, size_t a) { return by_errno([&] { return hak_memalign(a, n); }); }},
};

void require_refused(const Entry& wrong) {
    try {
        check_table(wrong);
    } catch (const kit::Broken& e) {
        std::printf("refused: %s\n", e.what());
        return;
    }
    kit::broken("the table accepts a ", wrong.name);
}

void begin() {
    hak_free(hak_malloc(1));
    struct hak_stats stats;
    require(hak_stats(&stats, sizeof stats) == 0, "no statistics");
    window = stats.window_bytes;
}
void every_row() {
    for (const Entry& entry : kEntries)
        std::printf("%s, %zu rows\n", entry.name, check_table(entry));
    require_none_left();
}

void shipped() {
    begin();
    every_row();
    for (const Entry& wrong : kWrong) require_refused(wrong);
}
// With HAKMEM_OPTIONS=profile=4K.
void profiled() {
    is_profiled = true;
    begin();
    every_row();
    struct hak_profile_stats profile;
    require(hak_profile_get_stats(&profile, sizeof profile) == 0 && profile.samples > 1000,
            "the profile has ", profile.samples, " samples");
}
// With HAKMEM_OPTIONS=window=64M.
void small_window() {
    begin();
    require(window == 64 * kit::kMiB, "the window has ", window, " bytes");
    for (const Entry& entry : kEntries)
        std::printf("%s, %zu rows\n", entry.name, check_window(entry));
    require_none_left();
}

}  // namespace

// `profiled` wants HAKMEM_OPTIONS=profile=4K, `small_window` HAKMEM_OPTIONS=window=64M.
int main(int, char** argv) {
    check_test examples[] = {CHECK_TEST(shipped), CHECK_TEST(profiled), CHECK_TEST(small_window)};
    return check_main(argv, check_chain(examples, std::size(examples)), CHECK_ALONE, 300,
                      &unit::call);
}
