// detection_test.cpp: what judges the histories can see. Each thing that the shadow heap, the fake
// system and the invariant checker are there to find is brought about by hand, once, and must be
// reported; what is left alone must not be.
#include <cstdio>
#include <functional>

#include "props/kit/machine.hpp"
#include "tests/unit/examples.hpp"

namespace {

using kit::require;
using W = kit::TinyWorld;
using hak::order::relaxed;
using UnitRecord = hak::UnitRecord<W>;

hak::Heap<W>* heap() {
    return kit::heap_of<W>(0);
}

// A world in rest that holds something of each kind: a slab with blocks out, in the list and
// untouched, a slab of several units, a Large and a Big block, a free unit that is dirty, cached
// slots and an orphan.
struct Scene {
    kit::ShadowHeap<W> shadow;
    kit::Auditor<W> auditor;
    UnitRecord* slab = nullptr;
    UnitRecord* large = nullptr;
    hak::SizeClass c = 0;

    Scene() {
        kit::reset_world<W>();
        kit::threads.current = 1;
        hak::deallocate<W>(kit::heap_of<W>(1), hak::allocate<W>(kit::heap_of<W>(1), 64));
        hak::give_up<W>();
        kit::threads.current = 0;
        const std::size_t sizes[] = {48,
                                     48,
                                     48,
                                     48,
                                     W::kConfig.small_bytes_max,
                                     W::kConfig.small_bytes_max + 1,
                                     W::kConfig.large_bytes_max() + 1,
                                     8 * 1024};
        for (unsigned h = 0; h < std::size(sizes); ++h) add(h, sizes[h]);
        hak::deallocate<W>(heap(), shadow.remove(1));
        hak::deallocate<W>(heap(), shadow.remove(7));
        slab = hak::window<W>.record_of(shadow.at(0).p);
        slab = hak::window<W>.head_record(slab);
        large = hak::window<W>.record_of(shadow.at(5).p);
        c = slab->size_class.load(relaxed);
    }
    void add(unsigned h, std::size_t bytes) {
        void* const p = hak::allocate<W>(heap(), bytes);
        require(p != nullptr, "no memory");
        shadow.add(h, p, bytes, hak::kMinAlignment, false);
    }
    void judge() {
        auditor.check(kit::Auditor<W>::Scope::everything, true);
        shadow.reconcile(auditor.audit());
        shadow.verify_all();
    }
    hak::Heap<W>::Bin& bin() { return heap()->bins[c]; }
    unsigned char* bytes(unsigned h) { return hak::pointer_to<unsigned char>(shadow.at(h).p); }
};

template <class Word>
void add_one(Word& word) {
    word.set(static_cast<decltype(word.get())>(word.get() + 1));
}

// What is wrong, a part of what the judges must say, and how it comes about.
struct Detection {
    const char* what;
    const char* report;
    std::function<void(Scene&)> change;
};

const Detection kDetections[] = {
    // The client
    {"a success sets errno", "errno is 5",
     [](Scene& s) {
         kit::Client<W>::get(ENOMEM, [&]() -> void* { return errno = 5, s.bytes(0); });
     }},
    {"a refusal sets no errno", "gave null",
     [](Scene&) { kit::Client<W>::get(ENOMEM, []() -> void* { return nullptr; }); }},
    {"a free sets errno", "after a free", [](Scene&) { kit::Client<W>::run([] { errno = 5; }); }},
    {"a forked child goes wrong", "in the child: it saw something",
     [](Scene&) {
         kit::Machine<W>({}, nullptr, [] {
             return std::string("it saw something");
         }).step(kit::Split{{0}});
         kit::broken("the parent goes on");
     }},
    // The shadow heap
    {"a byte of a block changes", "has changed", [](Scene& s) { s.bytes(0)[20] ^= 1; }},
    {"the last byte of a block changes", "has changed",
     [](Scene& s) { s.bytes(5)[s.shadow.at(5).usable - 1] ^= 1; }},
    {"a block changes before it is freed", "has changed",
     [](Scene& s) { s.bytes(2)[0] ^= 1, s.shadow.remove(2); }},
    {"the usable size changes", "usable size of handle",
     [](Scene& s) {
         s.large->units.set(static_cast<std::uint8_t>(s.large->units.get() - 1)),
             s.shadow.verify_usable(5);
     }},
    {"a block is handed out twice", "overlaps",
     [](Scene& s) { s.shadow.add(9, s.bytes(0), 48, 16, false); }},
    {"a block begins inside another", "overlaps",
     [](Scene& s) {
         s.large->start.store(s.shadow.at(5).p + 64, relaxed);
         s.shadow.add(9, s.bytes(5) + 64, 1, 16, false);
     }},
    {"a block is not aligned", "is not aligned",
     [](Scene& s) { s.shadow.add(9, s.shadow.remove(2), 48, 4096, false); }},
    {"calloc gives what is not zero", "is not zero at byte",
     [](Scene& s) { s.shadow.add(9, s.shadow.remove(2), 48, 16, true); }},
    {"realloc loses the content", "lost content",
     [](Scene& s) { s.bytes(2)[1] ^= 1, s.shadow.replace(2, s.bytes(2), 40); }},
    {"the client forgets a block", "conservation", [](Scene& s) { s.shadow.remove(3); }},
    {"the client forgets a Large block", "conservation", [](Scene& s) { s.shadow.remove(5); }},
    // The fake operating system
    {"commit of what is not reserved", "commit: not in the reservation",
     [](Scene&) { kit::os.commit(hak::pointer_to<void>(hak::window<W>.base() - 4096), 4096); }},
    {"a purge of half a page", "not whole pages",
     [](Scene&) { kit::os.purge(hak::pointer_to<void>(hak::window<W>.base() + 8), 256); }},
    {"a purge of what is not committed", "is not committed",
     [](Scene&) {
         kit::os.purge(hak::pointer_to<void>(hak::window<W>.base() + hak::window<W>.bytes() - 256),
                       256);
     }},
    {"a lock held across a call", "a lock is held",
     [](Scene& s) {
         hak::pool<W>.lock().acquire(), kit::os.purge(s.bytes(6) - s.shadow.at(6).p % 4096, 256);
     }},
    {"too many calls", "budget of system calls",
     [](Scene&) { kit::os.begin_step(0), hak::trim<W>(true); }},
    // The invariants, by name
    {"a link is overwritten", "INV block.1",
     [](Scene& s) { hak::block_at<W>(s.bin().list.get())->seal.set(1); }},
    {"the count of a bin drifts", "INV heap.2", [](Scene& s) { add_one(s.bin().room); }},
    {"the count of a bin drifts down", "INV heap.2",
     [](Scene& s) { s.bin().room.set(s.bin().room.get() - 1); }},
    {"the bump range slips", "INV heap.3",
     [](Scene& s) { s.bin().bump_bytes.set(s.bin().bump_bytes.get() - 8); }},
    {"bump_slab is forgotten", "INV heap.3", [](Scene& s) { heap()->bump_slab[s.c].set(nullptr); }},
    {"used drifts", "INV slab.2", [](Scene& s) { add_one(s.slab->used); }},
    {"used drifts down", "INV slab.2",
     [](Scene& s) { s.slab->used.set(static_cast<std::uint16_t>(s.slab->used.get() - 1)); }},
    {"free_count drifts", "INV slab.2", [](Scene& s) { add_one(s.slab->free_count); }},
    {"untouched drifts", "INV slab.2",
     [](Scene& s) { hak::trim<W>(false), add_one(s.slab->untouched); }},
    {"untouched blocks beside a bump range", "INV heap.3",
     [](Scene& s) { add_one(s.slab->untouched); }},
    {"the bin holds what is no block", "INV heap.2",
     [](Scene& s) { s.slab->start.store(s.slab->start.load(relaxed) + 16, relaxed); }},
    {"the start slips", "INV slab.1",
     [](Scene& s) {
         hak::trim<W>(false), s.slab->start.store(s.slab->start.load(relaxed) + 16, relaxed);
     }},
    {"the inverse changes", "INV slab.1",
     [](Scene& s) { hak::trim<W>(false), s.slab->inverse.store(3, relaxed); }},
    {"the owner is nobody", "INV",
     [](Scene& s) { s.slab->owner.store(&hak::empty_heap<W>, relaxed); }},
    {"queued without a push", "INV remote.1",
     [](Scene& s) { s.slab->remote.store(hak::kQueued, relaxed); }},
    {"the hint says no room", "INV heap.partial",
     [](Scene&) {
         heap()->partial_classes.store(heap()->partial_classes.load(relaxed) ^ 2u, relaxed);
     }},
    {"the count of slabs drifts", "INV heap.slabs",
     [](Scene&) { hak::bump_counter<W>(heap()->slabs); }},
    {"a refill is counted and its end is not", "INV heap.6",
     [](Scene&) { hak::bump_counter<W>(heap()->refills_total); }},
    {"the end of a refill is counted twice", "INV heap.6",
     [](Scene&) { hak::bump_counter<W>(heap()->refills_own); }},
    {"the count of orphans drifts", "INV heap.orphans",
     [](Scene&) { hak::heaps<W>.note_orphan(1); }},
    {"a heap stays busy", "INV heap.1",
     [](Scene&) { heap()->token.store(hak::Token::busy, relaxed); }},
    {"nobody's heap gets a block", "INV heap.nobody",
     [](Scene&) { hak::empty_heap<W>.bins[0].list.set(16); }},
    {"a lock stays taken", "INV lock", [](Scene&) { hak::reclaim<W>.lock().acquire(); }},
    {"a Large block's record slips", "INV large.1",
     [](Scene& s) {
         s.large->start.store(s.large->start.load(relaxed) + W::kConfig.unit_bytes, relaxed);
     }},
    {"a unit is lost", "INV",
     [](Scene& s) {
         auto& slot = hak::window<W>.superslab(hak::window<W>.slot_of(s.shadow.at(0).p));
         slot.used_units.set(slot.used_units.get() | std::uint32_t{1}
                                                         << (W::kConfig.units_per_superslab - 1));
     }},
    {"a clean unit is written", "INV superslab.2",
     [](Scene&) {
         hak::trim<W>(false);
         for (std::size_t u = 0; u < hak::window<W>.slots_ready() * W::kConfig.units_per_superslab;
              ++u) {
             const auto& slot = hak::window<W>.superslab(u / W::kConfig.units_per_superslab);
             const std::uint32_t bit = 1u << u % W::kConfig.units_per_superslab;
             if (slot.kind.get() != hak::SlotKind::units ||
                 ((slot.used_units.get() | slot.dirty_units.get()) & bit) != 0)
                 continue;
             hak::pointer_to<unsigned char>(hak::window<W>.base() + u * W::kConfig.unit_bytes)[5] =
                 1;
             return;
         }
         kit::broken("no unit is clean");
     }},
};

std::string said(const Detection* detection) {
    Scene scene;
    scene.judge();
    if (detection == nullptr) return "";
    try {
        detection->change(scene);
        scene.judge();
    } catch (const kit::Broken& e) {
        return e.what();
    }
    return "nothing";
}

// The helpers of bit masks against loops that say what they mean.
void bit_masks() {
    std::uint32_t free = 0x9e3779b9;
    for (unsigned round = 0; round < 2000; ++round) {
        free = free * 1664525 + 1013904223;
        const std::uint32_t mask = round % 3 == 0   ? free
                                   : round % 3 == 1 ? free | free >> 7 | free << 9
                                                    : free & free >> 5;
        unsigned longest = 0;
        for (unsigned count = 1; count <= 32; ++count) {
            std::uint32_t starts = 0;
            for (unsigned i = 0; i + count <= 32; ++i) {
                bool all = true;
                for (unsigned k = i; k < i + count; ++k) all = all && (mask >> k & 1) != 0;
                starts |= static_cast<std::uint32_t>(all) << i;
            }
            if (starts != 0) longest = count;
            require(hak::run_starts(mask, count) == starts, "run_starts of ", mask, " and ", count);
        }
        require(hak::longest_run(mask) == longest, "longest_run of ", mask, " is ", longest);
    }
}

void an_unchanged_world() {
    said(nullptr);
}

void see() {
    const auto* const detection =
        std::find_if(std::begin(kDetections), std::end(kDetections),
                     [](const Detection& s) { return std::string_view(s.what) == check_running; });
    std::string text;
    try {
        text = said(detection);
    } catch (const kit::ClientFault&) {
        kit::broken("a client was reported");
    }
    require(text.find(detection->report) != std::string::npos, "expected ", detection->report,
            ", the judges say ", text);
}

}  // namespace

int main(int, char** argv) {
    check_test examples[2 + std::size(kDetections)] = {CHECK_TEST(bit_masks),
                                                       CHECK_TEST(an_unchanged_world)};
    for (std::size_t i = 0; i < std::size(kDetections); ++i)
        examples[2 + i] = {kDetections[i].what, see, nullptr, nullptr};
    return unit::run(argv, examples);
}
