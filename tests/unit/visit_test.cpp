// visit_test.cpp: what a visitor does in one visit is bounded, because the heap's thread may wait
// for it; what a trim does is not.
#include <cstdio>
#include <vector>

#include "props/kit/worlds.hpp"
#include "tests/unit/examples.hpp"

namespace {

using W = kit::TinyWorld;
using kit::require;

constexpr std::size_t kBytes = 16;  // posted at once, whoever frees it
constexpr unsigned kMost = W::kConfig.visit_slabs_max;

hak::Heap<W>& be(unsigned thread) {
    kit::threads.current = thread;
    return *kit::heap_of<W>(thread);
}
void* take(unsigned thread, std::size_t bytes) {
    void* const p = hak::allocate<W>(&be(thread), bytes);
    require(p != nullptr, "no memory");
    return p;
}

// Thread 0 has many slabs, of which thread 1 frees every block.
void many_slabs_posted() {
    kit::reset_world<W>();
    std::vector<void*> blocks;
    while (!hak::has_heap(kit::heap_of<W>(0)) || be(0).slabs.load(hak::order::relaxed) < 5 * kMost)
        blocks.push_back(take(0, kBytes));
    take(1, 256);
    for (void* p : blocks) hak::deallocate<W>(&be(1), p);
}

std::uint64_t drained() {
    return be(0).remote_drained.load(hak::order::relaxed);
}

void a_visit_is_bounded() {
    many_slabs_posted();
    std::uint64_t before = drained(), visits = 0;
    for (unsigned n = 0; n < 2000 && visits < 3; ++n) {
        take(1, kBytes);
        const std::uint64_t now = drained() - before;
        require(now <= kMost, "one call drained ", now, " slabs of another heap");
        visits += now != 0 ? 1 : 0;
        before += now;
    }
    require(visits >= 2, "an idle heap was visited ", visits, " times in 2000 calls");
}

void a_trim_is_complete() {
    many_slabs_posted();
    be(1);
    hak::trim<W>(true);
    kit::Auditor<W> auditor;
    auditor.check(kit::Auditor<W>::Scope::everything, true);
    const auto& totals = auditor.audit().totals();
    // The slab that thread 0 may still hand out of stays.
    const std::uint64_t untaken = hak::Classes<W>::capacity(hak::Classes<W>::class_of(kBytes), 0);
    require(totals.remote_blocks <= untaken, "a trim left ", totals.remote_blocks,
            " posted blocks");
}

// What others posted is used before a slab is opened.
void a_refill_collects() {
    many_slabs_posted();
    const std::uint64_t before = be(0).slabs.load(hak::order::relaxed);
    for (std::uint64_t n =
             before / 2 * hak::Classes<W>::capacity(hak::Classes<W>::class_of(kBytes), 0);
         n != 0; --n)
        take(0, kBytes);
    const std::uint64_t after = be(0).slabs.load(hak::order::relaxed);
    require(after <= before, "half as many blocks as came back need ", after,
            " slabs, all of them ", before);
}

}  // namespace

int main(int, char** argv) {
    check_test examples[] = {
        CHECK_TEST(a_visit_is_bounded),
        CHECK_TEST(a_trim_is_complete),
        CHECK_TEST(a_refill_collects),
    };
    return unit::run(argv, examples);
}
