// oom_test.cpp: no window, a full window, sizes that no address space has. What single refused
// calls do is in kth_failure_test.cpp.
#include <cstdio>

#include "props/kit/machine.hpp"
#include "tests/unit/examples.hpp"

namespace {

using W = kit::TinyWorld;
using kit::require;

// A window of half the size where the wanted one cannot be reserved; none, and the next call tries
// again, where not even the least fits.
void reserve_failures() {
    for (unsigned failures = 0; failures <= 3; ++failures) {
        kit::Machine<W> machine;
        if (failures == 3) {
            kit::os.fail(kit::Call::reserve, 1, true);
        } else if (failures != 0) {
            kit::os.fail_any(1, true);
        }
        void* p = hak::allocate<W>(kit::heap_of<W>(0), 24);
        if (failures == 0) {
            require(p != nullptr && hak::window<W>.bytes() == kit::kTinyConfig.window_bytes,
                    "the window is not the wanted one");
            continue;
        }
        require(p == nullptr && !hak::window<W>.is_open(), "a block without a window");
        kit::os.heal();
        p = hak::allocate<W>(kit::heap_of<W>(0), 24);
        require(p != nullptr, "null after the system gave again");
        hak::deallocate<W>(kit::heap_of<W>(0), p);
        machine.note_other_clients();
        machine.finish();
    }
    for (const kit::Call call : {kit::Call::reserve, kit::Call::expose}) {
        kit::Machine<W> machine;
        kit::os.fail(call, 1, false);
        void* const p = hak::allocate<W>(kit::heap_of<W>(0), 24);
        require(p != nullptr && hak::window<W>.bytes() == kit::kTinyConfig.window_bytes / 2,
                "one failure should halve the window");
        hak::deallocate<W>(kit::heap_of<W>(0), p);
    }
}

// The window is full: null, then every block back, then the same number again.
void full_window() {
    for (const std::size_t n : {std::size_t{16}, std::size_t{200}, std::size_t{1000},
                                std::size_t{4000}, std::size_t{8192}, std::size_t{20000}}) {
        kit::Machine<W> machine;
        std::size_t counts[2] = {};
        for (std::size_t& count : counts) {
            std::vector<void*> blocks;
            while (void* const p = hak::allocate<W>(kit::heap_of<W>(0), n)) blocks.push_back(p);
            count = blocks.size();
            for (unsigned i = 0; i < 3; ++i)
                require(hak::allocate<W>(kit::heap_of<W>(0), n) == nullptr,
                        "a block after null, and none was freed");
            for (void* const p : blocks) hak::deallocate<W>(kit::heap_of<W>(0), p);
        }
        require(counts[0] == counts[1], "the window held ", counts[0], " blocks of ", n, ", then ",
                counts[1]);
        // A block takes at most its rounded size and a page for its color, and the rounding at most
        // doubles that.
        require(counts[0] * 2 * (n + kit::FakeOs::kPage) + 65536 >= kit::kTinyConfig.window_bytes,
                "the window held only ", counts[0], " blocks of ", n);
        machine.note_other_clients();
        machine.finish();
    }
}

// Each refill counts as what it was: a slab of a heap without a thread, a fresh slab, nothing, or
// room of the heap's own.
void refills_by_end() {
    kit::Machine<W> machine;
    constexpr std::size_t kBytes = 100;
    const auto count = [](const auto& counter) { return counter.load(hak::order::relaxed); };
    kit::threads.current = 0;
    // so that the thread has a heap, and adopts none
    std::vector<void*> blocks{hak::allocate<W>(kit::heap_of<W>(0), 16)};
    const hak::Heap<W>& heap = *kit::heap_of<W>(0);
    kit::threads.current = 1;
    void* const held = hak::allocate<W>(kit::heap_of<W>(1), kBytes);
    hak::give_up<W>();
    kit::threads.current = 0;

    blocks.push_back(hak::allocate<W>(kit::heap_of<W>(0), kBytes));
    require(count(heap.refills_others) == 1 && count(heap.refills_opened) == 1,
            "room in the orphan's slab counts as ", count(heap.refills_others),
            " refills from others, after ", count(heap.refills_opened), " fresh slabs, ",
            count(heap.refills_own), " own, ", count(heap.refills_failed), " failed, ",
            count(heap.refills_total), " in all");
    while (void* const p = hak::allocate<W>(kit::heap_of<W>(0), kBytes)) blocks.push_back(p);
    require(count(heap.refills_opened) == count(heap.slab_opens), count(heap.refills_opened),
            " refills from fresh slabs, ", count(heap.slab_opens), " slabs opened");
    require(count(heap.refills_failed) == 1, count(heap.refills_failed),
            " failed refills, and one allocation returned null");

    // Nothing more can be opened or taken over, so what comes back and is flushed serves the next
    // refill.
    const std::uint64_t own = count(heap.refills_own);
    hak::deallocate<W>(kit::heap_of<W>(0), blocks.back());
    hak::flush_all(*kit::heap_of<W>(0));
    blocks.back() = hak::allocate<W>(kit::heap_of<W>(0), kBytes);
    require(blocks.back() != nullptr && count(heap.refills_own) == own + 1,
            count(heap.refills_own) - own, " refills from the heap's own slabs, not one");
    require(count(heap.refills_total) == count(heap.refills_own) + count(heap.refills_others) +
                                             count(heap.refills_opened) +
                                             count(heap.refills_failed),
            "the refills are not the sum of their ends");
    for (void* const p : blocks) hak::deallocate<W>(kit::heap_of<W>(0), p);
    hak::deallocate<W>(kit::heap_of<W>(0), held);
    machine.finish();
}

// The window is full of blocks of one size; all come back, from the thread that had them or from
// another, and any other size finds as much room as if nothing had been there: no list, no kept
// slab and no posted block stands in its way.
void full_window_of_another_size() {
    // slabs of one unit, and whole superslabs: no other placement fits better
    const std::size_t sizes[] = {16, 48, 100, 8192};
    const auto fill = [](std::vector<void*>& blocks, std::size_t n) {
        while (void* const p = hak::allocate<W>(kit::heap_of<W>(0), n)) blocks.push_back(p);
        return blocks.size();
    };
    for (const std::size_t first : sizes) {
        for (const std::size_t second : sizes) {
            for (const unsigned freer : {0u, 1u}) {
                std::vector<void*> blocks;
                std::size_t fresh = 0;
                {
                    kit::Machine<W> machine;
                    kit::threads.current = 0;
                    fresh = fill(blocks, second);
                    blocks.clear();
                }
                kit::Machine<W> machine;
                kit::threads.current = 0;
                fill(blocks, first);
                kit::threads.current = freer;
                for (void* const p : blocks) hak::deallocate<W>(kit::heap_of<W>(freer), p);
                blocks.clear();
                kit::threads.current = 0;
                const std::size_t again = fill(blocks, second);
                require(again == fresh, "after ", first, " byte blocks, freed by thread ", freer,
                        ", the window holds ", again, " blocks of ", second, ", not ", fresh);
                for (void* const p : blocks) hak::deallocate<W>(kit::heap_of<W>(0), p);
                machine.note_other_clients();
                machine.finish();
            }
        }
    }
}

// Sizes that no address space has: null from every function, and what is there stays as it is.
void impossible_sizes() {
    const std::size_t sizes[] = {SIZE_MAX,
                                 SIZE_MAX - 15,
                                 SIZE_MAX - 4095,
                                 SIZE_MAX / 2,
                                 SIZE_MAX / 2 + 1,
                                 std::size_t{1} << 45,
                                 (std::size_t{1} << 32) * 8192,
                                 (std::size_t{1} << 32) * 8192 + 1,
                                 (std::size_t{1} << 32) * 1024 + 24,
                                 kit::kTinyConfig.window_bytes + 1};
    kit::Machine<W> machine;
    const auto heap = [] { return kit::heap_of<W>(0); };
    for (const std::size_t held : {std::size_t{24}, std::size_t{2000}, std::size_t{9000}}) {
        void* const p = hak::allocate<W>(heap(), held);
        kit::Pattern::write(hak::address_of(p), held, 5);
        for (const std::size_t n : sizes) {
            require(hak::allocate<W>(heap(), n) == nullptr, "malloc(", n, ") gave a block");
            require(hak::allocate_zeroed<W>(heap(), n) == nullptr, "calloc(", n, ") gave a block");
            require(hak::reallocate<W>(heap(), p, n) == nullptr, "realloc to ", n, " gave a block");
            for (unsigned a = 4; a < 64; ++a)
                require(hak::allocate_aligned<W>(heap(), std::size_t{1} << a, n) == nullptr, n,
                        " bytes aligned to 2^", a, " gave a block");
        }
        for (unsigned a = 20; a < 64; ++a)
            require(hak::allocate_aligned<W>(heap(), std::size_t{1} << a, 24) == nullptr,
                    "24 bytes aligned to 2^", a, " gave a block");
        require(kit::Pattern::holds(hak::address_of(p), held, 5) && hak::usable_size<W>(p) >= held,
                "a refused realloc changed the block");
        hak::deallocate<W>(heap(), p);
    }
    machine.note_other_clients();
    machine.finish();
}

}  // namespace

int main(int, char** argv) {
    check_test examples[] = {
        CHECK_TEST(reserve_failures),
        CHECK_TEST(full_window),
        CHECK_TEST(full_window_of_another_size),
        CHECK_TEST(refills_by_end),
        CHECK_TEST(impossible_sizes),
    };
    return unit::run(argv, examples);
}
