// fault_test.cpp: what a client can do wrong, each way at each place, and the report that each
// must bring: the reason, the function that was called and the pointer, before anything has
// changed.
#include <cstdio>
#include <initializer_list>

#include "props/kit/shadow_heap.hpp"
#include "tests/unit/examples.hpp"

namespace {

using W = kit::TinyWorld;
using hak::Entry;
using hak::Fault;
using kit::require;

hak::Heap<W>* be(unsigned t) {
    kit::threads.current = t;
    return kit::heap_of<W>(t);
}
void* take(unsigned t, std::size_t n) {
    void* const p = hak::allocate<W>(be(t), n);
    require(p != nullptr, "no memory");
    kit::Pattern::write(hak::address_of(p), n, 7);
    return p;
}
void give(unsigned t, void* p) {
    hak::deallocate<W>(be(t), p);
}
void* inside(void* p, std::size_t offset) {
    return static_cast<char*>(p) + offset;
}

void audit() {
    kit::Auditor<W> auditor;
    auditor.check(kit::Auditor<W>::Scope::everything, true);
}

// The call must be reported so; `changes` says that memory was broken before, so that the heap need
// not be sound afterwards.
template <class Call>
void expect(const char* what, std::initializer_list<Fault> right, Entry entry, const void* p,
            Call call, bool changes = false) {
    try {
        call();
    } catch (const kit::ClientFault& f) {
        bool is_right = false;
        for (const Fault fault : right) is_right |= f.fault == fault;
        require(is_right, what, ": reported as ", hak::text_of(f.fault));
        require(f.entry == entry, what, ": reported for another function");
        require(p == nullptr || f.p == p, what, ": reported with another pointer");
        if (!changes) audit();
        return;
    }
    kit::broken(what, ": not noticed");
}
// Through all three functions that take a block.
void expect_all(const char* what, std::initializer_list<Fault> right, unsigned t, void* p) {
    expect(what, right, Entry::free, p, [&] { give(t, p); });
    expect(what, right, Entry::realloc, p, [&] { hak::reallocate<W>(be(t), p, 40); });
    expect(what, right, Entry::usable_size, p, [&] { hak::usable_size<W>(p); });
}

constexpr std::size_t kSizes[] = {16, 48, 200, 256, 1000, 4000, 9000, 20000};

void foreign() {
    kit::reset_world<W>();
    int on_stack[4] = {};
    expect("free before the first malloc", {Fault::foreign}, Entry::free, on_stack,
           [&] { give(0, on_stack); });
    void* const p = take(0, 24);
    const hak::Address base = hak::window<W>.base(), end = base + hak::window<W>.bytes();
    for (const hak::Address a :
         {hak::Address{1}, hak::Address{16}, base - 16, base - 1, end, end + 4096,
          ~hak::Address{15}, ~hak::Address{0}, hak::address_of(on_stack)}) {
        expect_all("a foreign address", {Fault::foreign}, 0, hak::pointer_to<void>(a));
    }
    give(0, nullptr);
    give(0, p);
}

// Every address of the block but its first, and every address of the window where no block is.
void interior() {
    for (const std::size_t n : kSizes) {
        kit::reset_world<W>();
        void* const p = take(0, n);
        const std::size_t usable = hak::usable_size<W>(p);
        for (std::size_t offset = 1; offset < usable; offset += usable < 2000 ? 1 : 61) {
            const Fault right = hak::address_of(inside(p, offset)) % hak::kMinAlignment != 0
                                    ? Fault::misaligned
                                    : Fault::interior;
            for (unsigned t = 0; t < 2; ++t)
                expect_all("an address inside a block", {right}, t, inside(p, offset));
        }
        give(0, p);
    }
    // In the run that the heap keeps.
    kit::reset_world<W>();
    void* const kept = take(0, 1000);
    give(0, kept);
    require(kit::heap_of<W>(0)->kept[0].get() != nullptr, "nothing is kept");
    for (unsigned t = 0; t < 2; ++t)
        expect_all("an address inside a kept run", {Fault::interior}, t, inside(kept, 16));
    kit::reset_world<W>();
    take(0, 24);
    take(0, 9000);
    unsigned found = 0;
    for (hak::Address a = hak::window<W>.base(); a < hak::window<W>.base() + hak::window<W>.bytes();
         a += kit::kTinyConfig.unit_bytes) {
        if (hak::window<W>.record_of(a)->state.load(hak::order::relaxed) != hak::UnitState::free)
            continue;
        ++found;
        expect_all("an address where nothing is", {Fault::not_allocated, Fault::interior}, 0,
                   hak::pointer_to<void>(a + 16));
    }
    require(found > 100, "the window was too full to show anything");
}

// Blocks that the slab has and nobody was given yet.
void never_handed_out() {
    for (const std::size_t n : {std::size_t{16}, std::size_t{48}, std::size_t{128}}) {
        kit::reset_world<W>();
        void* const p = take(0, n);
        const auto& bin = kit::heap_of<W>(0)->bins[hak::Classes<W>::class_of(n)];
        require(bin.bump_bytes.get() != 0, "no untouched block");
        void* const next = hak::pointer_to<void>(bin.bump.get());
        expect("free of a block that nobody has", {Fault::not_allocated}, Entry::free, next,
               [&] { give(0, next); });
        expect("realloc of a block that nobody has", {Fault::not_allocated}, Entry::realloc, next,
               [&] { hak::reallocate<W>(be(0), next, n); });
        expect("usable size of a block that nobody has", {Fault::not_allocated}, Entry::usable_size,
               next, [&] { be(0), hak::usable_size<W>(next); });
        hak::flush_all(*kit::heap_of<W>(0));
        for (unsigned t = 0; t < 2; ++t)
            expect_all("a block behind the slab's limit", {Fault::not_allocated}, t, next);
        give(0, p);
    }
}

// The same by another thread, which cannot see how far the owner has handed out: the block is
// posted, and whoever drains it says so, whatever became of it in between.
void never_handed_out_and_posted() {
    struct Way {
        const char* name;
        void (*between)(std::size_t n);
        std::initializer_list<Fault> right;
        void (*drain)();
    };
    const auto collect = [] { hak::collect_pending(*be(0)); };
    const Way ways[] = {
        {"drained", [](std::size_t) {}, {Fault::not_allocated}, collect},
        {"drained by the next refill",
         [](std::size_t) {},
         {Fault::not_allocated},
         [] { take(0, 200); }},
        {"drained by a trim",
         [](std::size_t) {},
         {Fault::not_allocated},
         [] { be(0), hak::trim<W>(true); }},
        {"drained at the owner's end",
         [](std::size_t) {},
         {Fault::not_allocated},
         [] { be(0), hak::give_up<W>(); }},
        {"drained after the range went back",
         [](std::size_t) { hak::flush_all(*be(0)); },
         {Fault::not_allocated},
         collect},
        {"drained by a visitor after that",
         [](std::size_t) { hak::flush_all(*be(0)); },
         {Fault::not_allocated},
         [] { be(1), hak::trim<W>(true); }},
        {"handed out, then drained",
         [](std::size_t n) { take(0, n); },
         {Fault::overwritten},
         collect},
    };
    for (const Way& way : ways) {
        for (const std::size_t n : {std::size_t{16}, std::size_t{48}, std::size_t{128}}) {
            kit::reset_world<W>();
            take(0, n);
            void* const next = hak::pointer_to<void>(
                kit::heap_of<W>(0)->bins[hak::Classes<W>::class_of(n)].bump.get());
            give(1, next);
            way.between(n);
            expect((std::string("free by another thread of a block that nobody has, ") + way.name)
                       .c_str(),
                   way.right, Entry::free, next, way.drain, true);
            // A handler of the report may fork, which waits for all visitors: the fake system
            // breaks a wait.
            hak::heaps<W>.bar_visiting();
        }
    }
}

// Two threads free one block, and each looks at it before the other posts it: the chain is a
// circle, and its walk must end.
void posted_twice_at_once() {
    for (const unsigned others : {0u, 1u, 5u}) {
        kit::reset_world<W>();
        void* const p = take(0, 16);
        for (unsigned i = 0; i < others; ++i) take(0, 16);
        hak::UnitRecord<W>* const slab =
            hak::window<W>.head_record(hak::window<W>.record_of(hak::address_of(p)));
        be(1);
        auto* const b = static_cast<hak::Block<W>*>(p);
        require(hak::post<W>(*slab, b, hak::window<W>.secret()), "the first to post owes no push");
        require(!hak::post<W>(*slab, b, hak::window<W>.secret()),
                "the second to post owes a push too");
        hak::push_pending(slab->owner.load(hak::order::relaxed)->pending, slab);
        expect(
            "two frees of one block at once", {Fault::overwritten}, Entry::free, p,
            [] { hak::collect_pending(*be(0)); }, true);
    }
}

// The second free at each place that the first may have brought the block to.
void double_free() {
    struct Way {
        const char* name;
        unsigned first, second;
        void (*between)();
        bool released;  // the block's memory may have left the slab
    };
    const Way ways[] = {
        {"at once", 0, 0, [] {}, false},
        {"by another thread", 0, 1, [] {}, false},
        {"posted, then by its owner", 1, 0, [] {}, false},
        {"posted twice", 1, 1, [] {}, false},
        {"posted by two threads", 1, 2, [] {}, false},
        {"posted and drained", 1, 1, [] { hak::collect_pending(*be(0)); }, true},
        {"flushed to the slab", 0, 0, [] { hak::flush_all(*be(0)); }, true},
        {"after the owner's end", 0, 1, [] { be(0), hak::give_up<W>(); }, true},
        {"posted after the owner's end", 1, 2, [] { be(0), hak::give_up<W>(); }, true},
        {"by the owner after its end", 0, 0, [] { be(0), hak::give_up<W>(); }, true},
        {"after a trim", 0, 0, [] { be(0), hak::trim<W>(true); }, true},
        {"with another block freed in between", 0, 0, [] { give(0, take(0, 48)); }, false},
    };
    for (const Way& way : ways) {
        for (const std::size_t n : kSizes) {
            for (const bool has_neighbour : {false, true}) {
                kit::reset_world<W>();
                void* const p = take(0, n);
                void* const neighbour = has_neighbour ? take(0, n) : nullptr;
                give(way.first, p);
                way.between();
                const bool small = n <= kit::kTinyConfig.small_bytes_max;
                const bool stays = small && (has_neighbour || !way.released);
                const std::string what =
                    std::string("free of ") + std::to_string(n) + " bytes, " + way.name;
                if (stays) {
                    expect_all(what.c_str(), {Fault::double_free}, way.second, p);
                } else {  // the memory may be another slab's by then
                    expect_all(what.c_str(),
                               {Fault::double_free, Fault::not_allocated, Fault::interior},
                               way.second, p);
                }
                if (neighbour != nullptr) give(way.second, neighbour);
                audit();
            }
        }
    }
}

// One bit of a free block's two words changes; whoever meets the block next must say so.
void overwritten() {
    const auto flip = [](void* p, unsigned bit) {
        static_cast<unsigned char*>(p)[bit / 8] ^= static_cast<unsigned char>(1u << bit % 8);
    };
    constexpr std::size_t kBytes = 64;  // a class whose bin takes all three
    for (unsigned bit = 0; bit < 128; ++bit) {
        for (unsigned which = 0; which < 3; ++which) {
            const auto three = [&](unsigned freer, void** blocks) {
                kit::reset_world<W>();
                for (int i = 0; i < 3; ++i) blocks[i] = take(0, kBytes);
                take(0, kBytes);
                for (int i = 0; i < 3; ++i) give(freer, blocks[i]);
            };
            void* b[3];
            three(0, b);
            flip(b[which], bit);
            expect(
                "pop of an overwritten block", {Fault::overwritten}, Entry::allocate, b[which],
                [&] {
                    for (int i = 0; i < 3; ++i) hak::allocate<W>(be(0), kBytes);
                },
                true);
            three(0, b);
            flip(b[which], bit);
            expect(
                "flush of an overwritten block", {Fault::overwritten}, Entry::allocate, b[which],
                [&] { hak::flush_all(*be(0)); }, true);
            three(1, b);
            flip(b[which], bit);
            expect(
                "drain of an overwritten block", {Fault::overwritten}, Entry::free, b[which],
                [&] { hak::collect_pending(*be(0)); }, true);
            three(0, b);
            hak::flush_all(*be(0));
            flip(b[which], bit);
            expect(
                "an overwritten block on a slab's list", {Fault::overwritten}, Entry::allocate,
                b[which],
                [&] {
                    for (int i = 0; i < 3; ++i) hak::allocate<W>(be(0), kBytes);
                },
                true);
        }
    }
}

// A block that a client filled with anything is never taken for a free one: two words that hold a
// seal by accident would need the secret.
void contents_are_free() {
    for (const unsigned char byte : {0x00, 0x01, 0x55, 0xaa, 0xdd, 0xff}) {
        for (const std::size_t n : {std::size_t{16}, std::size_t{64}, std::size_t{256}}) {
            kit::reset_world<W>();
            void* p[20];
            for (void*& q : p) q = take(0, n);
            for (void* const q : p) std::memset(q, byte, n);
            for (unsigned i = 0; i < 20; ++i) give(i % 3, p[i]);
            // Freed, handed out again and not written: the first two words say nothing of the
            // earlier life.
            for (void*& q : p) q = hak::allocate<W>(be(0), n);
            for (unsigned i = 0; i < 20; ++i) give(i % 2, p[i]);
            audit();
        }
    }
}

}  // namespace

int main(int, char** argv) {
    check_test examples[] = {
        CHECK_TEST(foreign),
        CHECK_TEST(interior),
        CHECK_TEST(never_handed_out),
        CHECK_TEST(never_handed_out_and_posted),
        CHECK_TEST(posted_twice_at_once),
        CHECK_TEST(double_free),
        CHECK_TEST(overwritten),
        CHECK_TEST(contents_are_free),
    };
    return unit::run(argv, examples);
}
