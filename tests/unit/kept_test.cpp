// kept_test.cpp: the Large runs that a heap keeps: which ones, who gets them, and when they go.
#include <algorithm>
#include <cstdio>

#include "props/kit/worlds.hpp"
#include "tests/unit/examples.hpp"

namespace {

using W = kit::TinyWorld;
using kit::require;
constexpr std::size_t kUnit = kit::kTinyConfig.unit_bytes;

hak::Address run_of(const void* p) {
    return hak::align_down(hak::address_of(p), kUnit);
}
void* take(unsigned thread, std::size_t units) {
    kit::threads.current = thread;
    // a page is the color's
    void* const p =
        hak::allocate<W>(kit::heap_of<W>(thread), units * kUnit - kit::kTinyConfig.page_bytes);
    require(p != nullptr, "no memory");
    return p;
}
void give(unsigned thread, void* p) {
    kit::threads.current = thread;
    hak::deallocate<W>(kit::heap_of<W>(thread), p);
}
void expect_units(std::size_t want, const char* when) {
    const std::size_t have = hak::pool<W>.counters().used_units;
    require(have == want, have, " units are in use, not ", want, ", ", when);
    kit::Auditor<W> auditor;
    auditor.check(kit::Auditor<W>::Scope::everything, true);
}

// The run that was freed last, for a block of as many units, in the thread that freed it.
void serves_the_next() {
    void* const first = take(0, 1);
    void* const second = take(0, 2);
    const hak::Address one = run_of(first), two = run_of(second);
    give(0, first);
    expect_units(3, "with one unit kept");
    give(0, second);
    expect_units(2, "with two units kept and the one before released");
    void* const other = take(0, 1);
    require(run_of(other) == one, "the pool had the unit that was released");
    expect_units(3, "with two units kept and one out");
    require(run_of(take(0, 2)) == two, "the kept run was not handed out");
    expect_units(3, "with nothing kept");

    // Another thread frees, and keeps; the first one gets a fresh run.
    take(1, 1);
    give(1, other);
    require(run_of(take(0, 1)) != one, "a thread was given what another one keeps");
    require(run_of(take(1, 1)) == one, "the thread that freed the block was not given it");
}

void goes_at_the_end() {
    give(0, take(0, 2));
    expect_units(2, "before the thread's end");
    hak::give_up<W>();
    expect_units(0, "after the thread's end");
    kit::threads.all[0].heap = &hak::empty_heap<W>;
    give(0, take(0, 2));
    hak::trim<W>(false);
    expect_units(0, "after a trim");
}

// Each site has a place of its own, or shares one with few; what says no site has another one.
void by_site() {
    hak::Address a = 1, b = 2, same = 2;
    while (hak::place_of<W>(b) == hak::place_of<W>(a)) ++b;
    while (same == a || hak::place_of<W>(same) != hak::place_of<W>(a)) ++same;
    const auto take_at = [](hak::Address site, std::size_t units) {
        kit::threads.current = 0;
        void* const p = hak::allocate_missed_at<W>(
                            kit::heap_of<W>(0), units * kUnit - kit::kTinyConfig.page_bytes, site)
                            .block;
        require(p != nullptr, "no memory");
        require(hak::site_of<W>(p) == site,
                "a block says another site than that which asked for it");
        return p;
    };
    give(0, take(0, 1));  // a heap is born
    hak::trim<W>(false);
    hak::Address runs[3];
    for (unsigned round = 0; round < 3; ++round) {
        void *const p = take_at(a, 1), *const q = take_at(b, 2), *const r = take(0, 1);
        const hak::Address now[] = {run_of(p), run_of(q), run_of(r)};
        if (round == 0) std::ranges::copy(now, runs);
        require(std::ranges::equal(now, runs), "a site was not given the run that it freed last");
        require(hak::site_of<W>(r) == 0 &&
                    hak::site_of<W>(hak::pointer_to<void>(hak::address_of(p) + 16)) == 0,
                "a site that nobody said");
        give(0, r), give(0, p), give(0, q);
        expect_units(4, "with three runs kept");
    }
    void* const p = take_at(same, 1);
    expect_units(4, "with one of the three out");
    give(0, p);
    give(0, take_at(a, 2));
    expect_units(5, "after a longer block of a site that has a run of one unit");
    hak::trim<W>(false);
    expect_units(0, "after a trim");
    give(0, take_at(0, 1));  // which is as if nobody had said a site
    int local = 0;
    require(hak::site_of<W>(&local) == 0, "what is no block says a site");
    // Realloc takes the site along, to a Large run, to a Big one and back; a small block has none.
    void* moved = take_at(a, 1);
    for (const std::size_t bytes : {3 * kUnit, 2 * kUnit * kit::kTinyConfig.units_per_superslab,
                                    kUnit - kit::kTinyConfig.page_bytes}) {
        void* const other = take(0, 1);
        moved = hak::reallocate<W>(kit::heap_of<W>(0), moved, bytes);
        require(moved != nullptr && hak::site_of<W>(moved) == a, "realloc to ", bytes,
                " bytes lost the site");
        give(0, other);
    }
    moved = hak::reallocate<W>(kit::heap_of<W>(0), moved, 16);
    require(moved != nullptr && hak::site_of<W>(moved) == 0, "a small block says a site");
    give(0, moved);
    void* const big = take_at(a, kit::kTinyConfig.units_per_superslab + 1);
    give(0, big);
    void* const unsaid = take(0, kit::kTinyConfig.units_per_superslab + 1);
    require(hak::site_of<W>(unsaid) == 0, "a Big block says who had its run before");
    give(0, unsaid);
}

// Longer runs go to the pool, and so does what a thread without a heap frees.
void is_not_kept() {
    give(0, take(0, kit::kTinyConfig.kept_units_max + 1));
    expect_units(0, "after a long run was freed");
    void* const p = take(0, 1);
    give(2, p);
    expect_units(0, "after a thread without a heap freed a run");
}

// What would go into the purge batch is not kept either.
void below_the_threshold() {
    kit::reset_world<W>();
    kit::options.batch_threshold = 2 * kUnit;
    give(0, take(0, 2));
    expect_units(0, "after a run at the threshold was freed");
    give(0, take(0, 1));
    expect_units(1, "after a run below the threshold was freed");
    kit::reset_world<W>();
    kit::options.batch_threshold = 0;
    give(0, take(0, 1));
    expect_units(0, "after a run was freed where all go into the batch");

    // Heaps may have been born before the options were read: they hear of the threshold.
    kit::reset_world<W>();
    give(0, take(0, 2)), give(1, take(1, 2));
    expect_units(4, "before there was a threshold");
    hak::trim<W>(false);
    kit::options.batch_threshold = 2 * kUnit;
    hak::tunables<W>.set(kit::options);
    hak::heaps<W>.renew_kept_units_max();
    give(0, take(0, 2)), give(1, take(1, 2));
    expect_units(0, "after runs at the threshold were freed by older heaps");
    give(0, take(0, 1));
    expect_units(1, "after a run below the threshold was freed by an older heap");
}

// A thread whose frees are all kept notices all the same that other garbage has been free for long
// enough.
void sees_the_time() {
    const auto purged = [](auto&& frees) {
        kit::reset_world<W>();
        void* blocks[16];
        for (void*& p : blocks) p = take(0, 1);
        give(0, take(0, kit::kTinyConfig.kept_units_max + 1));
        kit::os.advance(150);
        const std::uint64_t before = hak::pool<W>.counters().purges;
        frees(blocks);
        return hak::pool<W>.counters().purges != before;
    };
    require(purged([](void** blocks) {
                for (unsigned i = 0; i < 16; ++i) give(0, blocks[0]), blocks[0] = take(0, 1);
            }),
            "nothing was purged while one block came and went");
    require(purged([](void** blocks) {
                for (unsigned i = 0; i < 16; ++i) give(0, blocks[i]);
            }),
            "nothing was purged while each free drove out the run of the one before");
}

// What is kept is dirty, and free.
void is_free() {
    kit::threads.current = 0;
    auto* const p = static_cast<unsigned char*>(take(0, 1));
    for (std::size_t i = 0; i < kUnit / 2; ++i) p[i] = 0x5a;
    give(0, p);
    bool seen = false;
    try {
        give(0, p);
    } catch (const kit::ClientFault& fault) {
        seen = fault.fault == hak::Fault::double_free;
    }
    require(seen, "a second free of a kept run was not reported as one");
    const auto* const z =
        static_cast<unsigned char*>(hak::allocate_zeroed<W>(kit::heap_of<W>(0), kUnit / 2));
    require(run_of(z) == run_of(p), "the kept run was not handed out");
    for (std::size_t i = 0; i < kUnit / 2; ++i)
        require(z[i] == 0, "calloc gave dirty bytes of a kept run");
}

// A kept run begins its block where the last one began, so it serves only what fits behind that,
// and is aligned there.
void fits() {
    bool far = false, misaligned = false;
    for (unsigned i = 0; i < 12; ++i) {
        for (const std::size_t alignment : {std::size_t{128}, kUnit}) {
            for (const std::size_t bytes : {kUnit, kUnit / 2}) {
                hak::trim<W>(false);
                void* const p = take(0, 1);
                const std::size_t color = hak::address_of(p) - run_of(p);
                far |= color != 0 && color % alignment == 0;
                misaligned |= color % alignment != 0;
                give(0, p);
                void* const q = hak::allocate_aligned<W>(kit::heap_of<W>(0), alignment, bytes);
                require(q != nullptr && hak::address_of(q) % alignment == 0,
                        "a block is not aligned to ", alignment);
                require(hak::address_of(q) - run_of(q) + bytes <= kUnit, "a block of ", bytes,
                        " bytes begins too far behind its run's start");
                give(0, q);
            }
        }
        take(0, 1);  // so that the next round has another unit, and another color
    }
    require(far && misaligned, "no unit had the color that this is about");
}

}  // namespace

int main(int, char** argv) {
    check_test examples[] = {
        CHECK_TEST(serves_the_next),
        CHECK_TEST(by_site),
        CHECK_TEST(goes_at_the_end),
        CHECK_TEST(is_not_kept),
        CHECK_TEST(below_the_threshold),
        CHECK_TEST(sees_the_time),
        CHECK_TEST(is_free),
        CHECK_TEST(fits),
    };
    return check_main(argv, check_chain(examples, std::size(examples)), CHECK_TOGETHER, 300,
                      [](const check_test* example) {
                          kit::reset_world<W>();
                          unit::call(example);
                      });
}
