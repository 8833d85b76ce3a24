// One broken contract per run: misuse CASE. The list says for each case which function must be
// named and which reason given, or that the case is a control, which must end in silence. Before
// its last call a case writes the pointer that the message must name.
//
//   misuse list          name <tab> function <tab> reason, alternatives joined by |
//
// reasons: foreign, start, never, double, overwritten; "silent" for a control; "unseen" where no
// check is promised, because the block's state lies with the block and the program's own bytes
// cannot be told from it: the run may end in any way but a hang.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <new>
#include <pthread.h>
#include <semaphore.h>
#include <string>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "scene.hpp"
#include "tests/check.hpp"
#include "tests/process/subject.hpp"

extern "C" [[gnu::weak]] void free_sized(void* p, size_t n);
extern "C" [[gnu::weak]] void free_aligned_sized(void* p, size_t align, size_t n);

namespace {

using scene::helper;
using scene::in_a_thread_that_ends;
using scene::in_another_thread;
using scene::name;
using subject::opaque;
using Bytes = unsigned char*;

Bytes make(size_t n) {
    return static_cast<Bytes>(subject::malloc(n));
}
void take(void* p) {
    subject::free(name(p));
}

// Allocates until the list of the class has been walked and slabs have been refilled; returns
// nothing, because it should not return.
void allocate_many(size_t n, size_t count = 20'000) {
    constexpr size_t kBytesMax = 256u << 20;  // the debug build writes to all of it
    for (size_t i = 0; i < count && i * n < kBytesMax; ++i) (void)opaque(make(n));
}

struct Case {
    std::string name;
    const char* function;
    const char* reason;
    std::function<void()> body;
    std::string more;
};
std::vector<Case> cases;
void add(std::string name, const char* function, const char* reason, std::function<void()> body) {
    cases.push_back({std::move(name), function, reason, std::move(body),
                     std::string(function) + "\t" + reason});
}

struct Tier {
    const char* name;
    size_t size;
};
constexpr Tier kTiers[] = {{"tiny", 16},       {"small", 100},     {"mid", 5000},
                           {"mid32k", 32'768}, {"large", 300'000}, {"big", 3'000'000}};

// A range above 32 KiB that was given back leaves no block behind; which of the two reasons applies
// depends on what the range is used for by then.
const char* double_reason(size_t n) {
    return n <= 32'768 ? "double" : "double|never|start";
}

int global_object = 5;

void add_double_frees() {
    for (const Tier& t : kTiers) {
        const size_t n = t.size;
        const char* reason = double_reason(n);
        auto name_of = [&](const char* shape) {
            return std::string("double_free_") + shape + "_" + t.name;
        };
        add(name_of("immediate"), "free", reason, [n] {
            Bytes p = make(n);
            subject::free(p);
            take(p);
        });
        add(name_of("after_other_frees"), "free", reason, [n] {
            Bytes p = make(n);
            Bytes others[10];
            for (Bytes& o : others) o = make(n);
            subject::free(p);
            for (Bytes o : others) subject::free(o);
            take(p);
        });
        add(name_of("after_reuse_of_list"), "free", reason, [n] {
            Bytes a = make(n), b = make(n);
            subject::free(a);
            subject::free(b);
            // Which of the two comes back is the allocator's choice; the other one is still free.
            Bytes c = make(n);
            take(c == a ? b : a);
        });
        add(name_of("from_another_thread"), "free", reason, [n] {
            Bytes p = make(n);
            subject::free(p);
            in_another_thread([p] { take(p); });
        });
        add(name_of("twice_by_another_thread"), "free", reason, [n] {
            Bytes p = make(n);
            in_another_thread([p] {
                subject::free(p);
                take(p);
            });
        });
        add(name_of("by_another_thread_then_owner"), "free", reason, [n] {
            Bytes p = make(n);
            in_another_thread([p] { subject::free(p); });
            take(p);
        });
        add(name_of("after_owner_ended"), "free", reason, [n] {
            Bytes p = nullptr;
            in_a_thread_that_ends([&] {
                p = make(n);
                (void)opaque(make(n));
            });
            subject::free(p);
            take(p);
        });
        add(name_of("long_after"), "free", reason, [n] {
            Bytes p = make(n);
            Bytes keep = make(n);
            subject::free(p);
            for (int i = 0; i < 5000; ++i) subject::free(make(n == 16 ? 64 : 24));
            (void)opaque(keep);
            take(p);
        });
        add(name_of("by_realloc"), "realloc", reason, [n] {
            Bytes p = make(n);
            subject::free(p);
            (void)subject::realloc(name(p), 2 * n);
        });
        add(name_of("by_realloc_to_zero"), "free", reason, [n] {
            Bytes p = make(n);
            (void)subject::realloc(p, 0);
            take(p);
        });
        add(name_of("after_realloc_moved"), "free", reason, [n] {
            Bytes p = make(n);
            Bytes wall = make(n);
            Bytes q = static_cast<Bytes>(subject::realloc(p, 20 * n));
            (void)opaque(wall);
            if (p == q) subject::free(q);
            take(p);
        });
        add(std::string("usable_size_after_free_") + t.name, "malloc_usable_size", reason, [n] {
            Bytes p = make(n);
            subject::free(p);
            (void)opaque(subject::malloc_usable_size(name(p)));
        });
    }
    add("double_delete", "free|operator delete", "double", [] {
        void* p = opaque(::operator new(100));
        ::operator delete(opaque(p));
        ::operator delete(opaque(name(p)));
    });
    add("double_sized_delete", "free|operator delete", "double", [] {
        void* p = opaque(::operator new(100));
        ::operator delete(opaque(p), size_t{100});
        ::operator delete(opaque(name(p)), size_t{100});
    });
}

// Free, realloc and malloc_usable_size of a pointer that is no live block's start.
void add_bad_pointer(const std::string& name_of, const char* reason,
                     std::function<void*()> pointer) {
    add("free_" + name_of, "free", reason, [pointer] { take(pointer()); });
    add("realloc_" + name_of, "realloc", reason,
        [pointer] { (void)subject::realloc(name(pointer()), 100); });
    add("usable_size_" + name_of, "malloc_usable_size", reason,
        [pointer] { (void)opaque(subject::malloc_usable_size(name(pointer()))); });
}

void add_foreign_pointers() {
    add_bad_pointer("stack", "foreign",
                    []() -> void* { return opaque(__builtin_frame_address(0)); });
    add_bad_pointer("global", "foreign", []() -> void* { return &global_object; });
    add_bad_pointer("code", "foreign",
                    []() -> void* { return reinterpret_cast<void*>(&add_foreign_pointers); });
    add_bad_pointer("mmap", "foreign", []() -> void* {
        return mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    });
    add_bad_pointer("mmap_protected", "foreign", []() -> void* {
        return mmap(nullptr, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    });
    for (const size_t value : {size_t{1}, size_t{8}, size_t{16}, size_t{4096}, size_t{0xdeadbeef},
                               size_t{1} << 47, size_t{1} << 63, SIZE_MAX, SIZE_MAX - 15})
        add_bad_pointer("wild_" + std::to_string(value), "foreign",
                        [value]() -> void* { return reinterpret_cast<void*>(value); });
    add_bad_pointer("flipped_high_bit", "foreign", []() -> void* {
        return reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(make(100)) ^
                                       (uintptr_t{1} << 60));
    });
    add("delete_stack", "free|operator delete", "foreign", [] {
        int local = 0;
        ::operator delete(opaque(name(&local)));
    });
}

void add_inner_pointers() {
    for (const Tier& t : kTiers) {
        const size_t n = t.size;
        for (const size_t offset :
             {size_t{1}, size_t{4}, size_t{8}, size_t{16}, size_t{64}, size_t{4096}, size_t{65'536},
              size_t{131'072}, size_t{2} << 20}) {
            if (offset >= n) continue;
            add_bad_pointer(std::string("interior_") + t.name + "_" + std::to_string(offset),
                            "start", [n, offset]() -> void* { return make(n) + offset; });
        }
        add("interior_of_freed_" + std::string(t.name), "free", "start|never", [n] {
            Bytes p = make(n);
            subject::free(p);
            take(p + 8);
        });
        add("interior_from_another_thread_" + std::string(t.name), "free", "start", [n] {
            Bytes p = make(n);
            in_another_thread([p] { take(p + 8); });
        });
    }
    add_bad_pointer("interior_aligned", "start", []() -> void* {
        return static_cast<Bytes>(subject::memalign(4u << 20, 100'000)) + 4096;
    });
}

void add_never_handed_out() {
    // In a unit that no slab or run uses, in a superslab that is in use, and in the window beyond
    // all superslabs.
    add_bad_pointer("unused_unit", "never|start", []() -> void* {
        return reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(make(100)) | ((2u << 20) - 1)) +
                                       1 - 65'536);
    });
    add_bad_pointer("far", "foreign|never",
                    []() -> void* { return make(100) + (size_t{1} << 30); });
    add_bad_pointer("far_below", "foreign|never",
                    []() -> void* { return make(100) - (size_t{1} << 42); });
    add_bad_pointer("after_the_slab_was_released", "never|double|start", []() -> void* {
        std::vector<void*> all;
        for (int i = 0; i < 20'000; ++i) all.push_back(make(1000));
        void* middle = all[10'000];
        for (void* p : all) subject::free(p);
        malloc_trim(0);
        return middle;
    });
    // Only the owner knows how far a slab was handed out. At the latest when the block would be
    // handed out, the fault is seen.
    add("free_untouched_block", "free|malloc", "never|double|overwritten", [] {
        take(make(1000) + 16 * 1024);
        allocate_many(1000, 500);
    });
    add("free_untouched_block_from_another_thread", "free|malloc", "never|double|overwritten", [] {
        Bytes p = make(1000) + 16 * 1024;
        in_another_thread([p] { take(p); });
        allocate_many(1000, 5000);
    });
    add("free_untouched_block_from_another_thread_then_trim", "free", "never", [] {
        Bytes p = make(1000) + 16 * 1024;
        in_another_thread([p] { take(p); });
        malloc_trim(0);
        allocate_many(1000, 5000);
    });
    // Another class's refill takes what was posted in, while the block still waits to be handed
    // out.
    add("free_untouched_block_from_another_thread_then_refill", "free", "never", [] {
        Bytes p = make(1000) + 16 * 1024;
        in_another_thread([p] { take(p); });
        allocate_many(2000, 200);
        malloc_trim(0);
        allocate_many(1000, 5000);
    });
}

void add_overwritten_blocks() {
    for (const size_t n : {size_t{16}, size_t{64}, size_t{1000}, size_t{8192}}) {
        const std::string suffix = "_" + std::to_string(n);
        // Enough blocks, so that neighbours exist; every second is freed, and one overflows into
        // its freed neighbour.
        add("overflow_into_free_block" + suffix, "malloc", "overwritten", [n] {
            std::vector<Bytes> all;
            for (int i = 0; i < 64; ++i) all.push_back(make(n));
            for (int i = 1; i < 64; i += 2) subject::free(all[static_cast<size_t>(i)]);
            for (int i = 0; i < 64; i += 2)
                memset(opaque(all[static_cast<size_t>(i)]), 0x41,
                       subject::malloc_usable_size(all[0]) + 16);
            allocate_many(n);
        });
        for (const size_t at : {size_t{0}, size_t{8}})
            add("write_after_free_at_" + std::to_string(at) + suffix, "malloc", "overwritten",
                [n, at] {
                    Bytes p = make(n);
                    (void)opaque(make(n));
                    subject::free(p);
                    *reinterpret_cast<uint64_t*>(opaque(p) + at) ^= 0x10;
                    allocate_many(n);
                });
        add("write_after_free_link_to_stack" + suffix, "malloc", "overwritten", [n] {
            Bytes p = make(n);
            subject::free(p);
            void* stack[8] = {};
            *reinterpret_cast<void**>(opaque(p)) = opaque(&stack[2]);
            allocate_many(n);
        });
        add("write_after_free_by_another_thread" + suffix, "malloc|free", "overwritten", [n] {
            std::vector<Bytes> all;
            for (int i = 0; i < 100; ++i) all.push_back(make(n));
            in_another_thread([&] {
                for (Bytes p : all) subject::free(p);
            });
            for (Bytes p : all) memset(opaque(p), 0x42, 16);
            allocate_many(n, 200'000);
        });
        add("write_after_free_then_thread_end" + suffix, "malloc|free", "overwritten", [n] {
            Bytes p = nullptr;
            Bytes keep = nullptr;
            in_a_thread_that_ends([&] {
                p = make(n);
                keep = make(n);
                subject::free(p);
                memset(opaque(p), 0x43, 16);
            });
            (void)opaque(keep);
            allocate_many(n, 200'000);
        });
    }
    add("overflow_of_zero_size_block", "malloc", "overwritten", [] {
        std::vector<Bytes> all;
        for (int i = 0; i < 64; ++i) all.push_back(make(0));
        for (int i = 1; i < 64; i += 2) subject::free(all[static_cast<size_t>(i)]);
        for (int i = 0; i < 64; i += 2) memset(opaque(all[static_cast<size_t>(i)]), 0x44, 48);
        allocate_many(0);
    });
    // Neighbours in use: nothing of the allocator lies between them, so it can see nothing and
    // suffers nothing.
    add("overflow_into_live_block", "free", "unseen", [] {
        Bytes a = make(24), b = make(24);
        memset(opaque(a), 0x45, 48);
        take(b);
        take(a);
    });
    add("underflow_into_live_block", "free", "unseen", [] {
        Bytes a = make(24), b = make(24);
        memset(opaque(b) - 16, 0x46, 16);
        take(b);
        take(a);
    });
}

void add_controls() {
    add("control_every_call", "-", "silent", [] {
        for (const size_t n : {size_t{0}, size_t{1}, size_t{100}, size_t{5000}, size_t{32'768},
                               size_t{300'000}, size_t{3'000'000}}) {
            void* p = nullptr;
            subject::free(subject::malloc(n));
            subject::free(subject::calloc(n, 1));
            subject::free(subject::realloc(subject::malloc(n), n + 1));
            subject::free(subject::memalign(4096, n));
            subject::free(subject::aligned_alloc(64, n));
            if (subject::posix_memalign(&p, 64, n) == 0) subject::free(p);
            subject::free(subject::valloc(n));
            subject::free(subject::pvalloc(n));
            ::operator delete(opaque(::operator new(n)), n);
            if (free_sized != nullptr) free_sized(make(n), n);
            if (free_aligned_sized != nullptr)
                free_aligned_sized(subject::aligned_alloc(64, n), 64, n);
            Bytes q = make(n);
            memset(q, 0xff, subject::malloc_usable_size(q));
            in_another_thread([q] { subject::free(q); });
        }
        if (subject::malloc(SIZE_MAX) != nullptr || subject::calloc(SIZE_MAX, 2) != nullptr)
            _exit(4);
        subject::free(nullptr);
    });
    // Bytes that look like a free block's: a program may store anything in its own block, such as
    // what it read from a freed one.
    add("control_block_holds_old_links", "-", "silent", [] {
        for (int round = 0; round < 100; ++round) {
            Bytes a = make(64), b = make(64);
            subject::free(a);
            subject::free(b);
            Bytes c = make(64);
            memset(c, round, 64);
            subject::free(c);
        }
    });
    // A block that comes back by malloc with its old contents is not a double free.
    add("control_free_of_untouched_content", "-", "silent", [] {
        for (int round = 0; round < 1000; ++round)
            for (const size_t n : {size_t{16}, size_t{64}, size_t{5000}, size_t{100'000}}) {
                void* p = make(n);
                void* q = make(n);
                subject::free(p);
                subject::free(q);
            }
    });
    add("control_shrunk_and_grown", "-", "silent", [] {
        void* p = make(3'000'000);
        for (const size_t n :
             {size_t{100'000}, size_t{4'000'000}, size_t{40'000}, size_t{50}, size_t{300'000}}) {
            void* wall = make(n);
            p = subject::realloc(p, n);
            subject::free(wall);
        }
        subject::free(p);
    });
}

}  // namespace

int main(int, char** argv) {
    add_double_frees();
    add_foreign_pointers();
    add_inner_pointers();
    add_never_handed_out();
    add_overwritten_blocks();
    add_controls();
    std::vector<check_test> tests;
    for (const Case& c : cases) tests.push_back({c.name.c_str(), nullptr, c.more.c_str(), nullptr});
    return check_main(argv, check_chain(tests.data(), tests.size()), CHECK_DIES, 20,
                      [](const check_test* test) {
                          helper.start();
                          for (const Case& c : cases) {
                              if (c.name == test->name) return c.body();
                          }
                      });
}
