// What the debug build promises to find, one broken contract per run, with the whole line that it
// must print; and controls, which must end in silence. Before the call that the line is about, a
// case writes the pointer that the line names.
//
//   promises list          name <tab> HAKMEM_OPTIONS <tab> the line, with {p} for the pointer;
//                          empty for a control
//   promises NAME
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <new>
#include <string>
#include <sys/wait.h>
#include <vector>

#include "scene.hpp"
#include "tests/check.hpp"
#include "tests/process/subject.hpp"

extern "C" [[gnu::weak]] void free_sized(void* p, size_t n);
extern "C" [[gnu::weak]] void free_aligned_sized(void* p, size_t align, size_t n);
extern "C" [[gnu::weak]] int hak_check_all(void);

namespace {

using scene::in_another_thread;
using scene::name;
using subject::opaque;
using Bytes = unsigned char*;

struct Case {
    std::string name, options, line;
    std::function<void()> body;
    std::string more;
};
std::vector<Case> cases;
std::string options_of_next;
void add(std::string name, const std::string& line, std::function<void()> body) {
    const std::string said = line.empty() ? "" : "hakmem: " + line;
    cases.push_back(
        {std::move(name), options_of_next, said, std::move(body), options_of_next + "\t" + said});
}
void control(std::string name, std::function<void()> body) {
    add(std::move(name), "", std::move(body));
}

Bytes make(size_t n) {
    return static_cast<Bytes>(subject::malloc(n));
}
void give(void* p) {
    subject::free(p);
}
std::string from(size_t n, const char* origin = "malloc") {
    return std::to_string(n) + " bytes from " + origin;
}

struct Tier {
    const char* name;
    size_t size;
};
constexpr Tier kTiers[] = {
    {"tiny", 16}, {"small", 100}, {"mid", 5000}, {"large", 300'000}, {"big", 3'000'000}};

// Who allocates, who frees first and who frees again: each the main thread or another one.
void add_double_frees() {
    for (const Tier& t : kTiers)
        for (unsigned combination = 0; combination < 8; ++combination) {
            const auto by = [](bool other, const std::function<void()>& job) {
                other ? in_another_thread(job) : job();
            };
            std::string threads;
            for (unsigned step = 0; step < 3; ++step)
                threads += (combination >> step & 1) != 0 ? "b" : "a";
            const size_t n = t.size;
            add("double_free_" + threads + "_" + t.name,
                "free({p}): already free (double free); " + from(n), [=] {
                    Bytes p = nullptr;
                    by(combination & 1, [&] { p = make(n); });
                    by(combination & 2, [&] { give(p); });
                    by(combination & 4, [&] { give(name(p)); });
                });
        }
    // Long after: the block has left the quarantine, and lies in the heap's lists.
    for (const Tier& t : kTiers) {
        const size_t n = t.size;
        if (n > 100'000) continue;
        add(std::string("double_free_after_the_quarantine_") + t.name,
            "free({p}): already free (double free); " + from(n), [n] {
                Bytes p = make(n);
                give(p);
                for (int i = 0; i < 5000; ++i) give(make(40'000));
                give(name(p));
            });
    }
    add("double_delete",
        "operator delete({p}): already free (double free); 8 bytes from operator new", [] {
            void* p = opaque(::operator new(8));
            ::operator delete(opaque(p));
            ::operator delete(opaque(name(p)));
        });
    add("double_free_by_realloc", "realloc({p}): already free (double free); 8 bytes from malloc",
        [] {
            Bytes p = make(8);
            give(p);
            (void)subject::realloc(name(p), 100);
        });
    add("double_free_by_realloc_to_zero",
        "realloc({p}): already free (double free); 8 bytes from malloc", [] {
            Bytes p = make(8);
            give(p);
            (void)subject::realloc(name(p), 0);
        });
    add("usable_size_of_freed",
        "malloc_usable_size({p}): already free (double free); 8 bytes from malloc", [] {
            Bytes p = make(8);
            give(p);
            (void)opaque(subject::malloc_usable_size(name(p)));
        });
    add("free_of_what_realloc_moved", "free({p}): already free (double free); 8 bytes from malloc",
        [] {
            Bytes p = make(8);
            (void)subject::realloc(p, 8000);
            give(name(p));
        });
}

void add_bad_pointers() {
    add("interior", "free({p}): not the start of a block; 16 bytes into 100 bytes from malloc",
        [] { give(name(make(100) + 16)); });
    add("interior_of_new",
        "free({p}): not the start of a block; 16 bytes into 100 bytes from operator new",
        [] { give(name(static_cast<Bytes>(opaque(::operator new(100))) + 16)); });
    add("interior_by_realloc",
        "realloc({p}): not the start of a block; 16 bytes into 100 bytes from malloc",
        [] { (void)subject::realloc(name(make(100) + 16), 200); });
    add("interior_by_usable_size",
        "malloc_usable_size({p}): not the start of a block; 16 bytes into 100 bytes from malloc",
        [] { (void)opaque(subject::malloc_usable_size(name(make(100) + 16))); });
    add("interior_large",
        "free({p}): not the start of a block; 131072 bytes into 300000 bytes from malloc",
        [] { give(name(make(300'000) + 131'072)); });
    add("interior_big",
        "free({p}): not the start of a block; 2500000 bytes into 3000000 bytes from malloc",
        [] { give(name(make(3'000'000) + 2'500'000)); });
    add("interior_aligned",
        "free({p}): not the start of a block; 4096 bytes into 10000 bytes from malloc aligned to "
        "8192",
        [] { give(name(static_cast<Bytes>(subject::memalign(8192, 10'000)) + 4096)); });
    add("before_the_start",
        "free({p}): not the start of a block; 16 bytes before 100 bytes from malloc",
        [] { give(name(make(100) - 16)); });
    add("misaligned",
        "free({p}): not the start of a block (misaligned); 1 bytes into 100 bytes from malloc",
        [] { give(name(make(100) + 1)); });
    add("interior_of_freed",
        "free({p}): not allocated (never handed out, or returned already); 16 bytes into freed 100 "
        "bytes from malloc",
        [] {
            Bytes p = make(100);
            give(p);
            give(name(p + 16));
        });
    add("never_allocated", "free({p}): not allocated (never handed out, or returned already)",
        [] { give(name(make(1000) + 20 * 1024)); });
    add("never_allocated_from_another_thread",
        "free({p}): not allocated (never handed out, or returned already)", [] {
            Bytes p = make(1000) + 20 * 1024;
            in_another_thread([p] { give(name(p)); });
        });
    add("never_allocated_unit", "free({p}): not allocated (never handed out, or returned already)",
        [] {
            give(name(reinterpret_cast<void*>(
                (reinterpret_cast<uintptr_t>(make(100)) | ((2u << 20) - 1)) + 1 - 65'536)));
        });
    add("foreign_stack", "free({p}): not allocated by hakmem",
        [] { give(name(opaque(__builtin_frame_address(0)))); });
    add("foreign_wild", "realloc({p}): not allocated by hakmem",
        [] { (void)subject::realloc(name(reinterpret_cast<void*>(0xdeadbeef)), 1); });
    add("foreign_delete", "operator delete[]({p}): not allocated by hakmem", [] {
        int local = 0;
        ::operator delete[](opaque(name(&local)));
    });
}

void add_origins() {
    const auto kept = [](void* p) { return opaque(name(opaque(p))); };
    add("malloc_delete",
        "operator delete({p}): given back by the wrong function; 40 bytes from malloc",
        [=] { ::operator delete(kept(make(40))); });
    add("malloc_delete_array",
        "operator delete[]({p}): given back by the wrong function; 40 bytes from malloc",
        [=] { ::operator delete[](kept(make(40))); });
    add("new_free", "free({p}): given back by the wrong function; 40 bytes from operator new",
        [=] { give(kept(::operator new(40))); });
    add("new_delete_array",
        "operator delete[]({p}): given back by the wrong function; 40 bytes from operator new",
        [=] { ::operator delete[](kept(::operator new(40))); });
    add("new_realloc", "realloc({p}): given back by the wrong function; 40 bytes from operator new",
        [=] { (void)subject::realloc(kept(::operator new(40)), 80); });
    add("new_array_free",
        "free({p}): given back by the wrong function; 40 bytes from operator new[]",
        [=] { give(kept(::operator new[](40))); });
    add("new_array_delete",
        "operator delete({p}): given back by the wrong function; 40 bytes from operator new[]",
        [=] { ::operator delete(kept(::operator new[](40))); });
    add("new_array_realloc",
        "realloc({p}): given back by the wrong function; 40 bytes from operator new[]",
        [=] { (void)subject::realloc(kept(::operator new[](40)), 80); });
    add("calloc_delete",
        "operator delete({p}): given back by the wrong function; 40 bytes from malloc",
        [=] { ::operator delete(kept(subject::calloc(4, 10))); });
    add("new_nothrow_free",
        "free({p}): given back by the wrong function; 40 bytes from operator new",
        [=] { give(kept(::operator new(40, std::nothrow))); });
    add("new_free_from_another_thread",
        "free({p}): given back by the wrong function; 300000 bytes from operator new", [=] {
            void* p = ::operator new(300'000);
            in_another_thread([=] { give(kept(p)); });
        });
    for (const size_t n : {size_t{1}, size_t{100}, size_t{300'000}})
        for (const size_t wrong : {n - 1, n + 1}) {
            const std::string tail = std::to_string(n) + "_as_" + std::to_string(wrong),
                              said = "({p}): given back with a wrong size (" +
                                     std::to_string(wrong) + "); ";
            add("sized_delete_" + tail, "operator delete" + said + from(n, "operator new"),
                [=] { ::operator delete(kept(::operator new(n)), wrong); });
            add("sized_delete_array_" + tail,
                "operator delete[]" + said + from(n, "operator new[]"),
                [=] { ::operator delete[](kept(::operator new[](n)), wrong); });
            add("free_sized_" + tail, "free_sized" + said + from(n),
                [=] { free_sized(kept(make(n)), wrong); });
            add("free_aligned_sized_" + tail,
                "free_aligned_sized" + said + from(n) + " aligned to 64",
                [=] { free_aligned_sized(kept(subject::aligned_alloc(64, n)), 64, wrong); });
            add("sized_aligned_delete_" + tail,
                "operator delete" + said + from(n, "operator new") + " aligned to 64", [=] {
                    ::operator delete(kept(::operator new(n, std::align_val_t{64})), wrong,
                                      std::align_val_t{64});
                });
        }
    add("aligned_new_plain_delete",
        "operator delete({p}): given back with a wrong alignment (none); 40 bytes from operator "
        "new aligned to 64",
        [=] { ::operator delete(kept(::operator new(40, std::align_val_t{64}))); });
    add("aligned_new_sized_delete",
        "operator delete[]({p}): given back with a wrong alignment (none); 40 bytes from operator "
        "new[] aligned to 64",
        [=] { ::operator delete[](kept(::operator new[](40, std::align_val_t{64})), size_t{40}); });
    add("plain_new_aligned_delete",
        "operator delete({p}): given back with a wrong alignment (64); 40 bytes from operator new",
        [=] { ::operator delete(kept(::operator new(40)), std::align_val_t{64}); });
    add("aligned_delete_other",
        "operator delete({p}): given back with a wrong alignment (32); 40 bytes from operator new "
        "aligned to 64",
        [=] {
            ::operator delete(kept(::operator new(40, std::align_val_t{64})), std::align_val_t{32});
        });
    add("free_aligned_sized_other",
        "free_aligned_sized({p}): given back with a wrong alignment (128); 40 bytes from malloc "
        "aligned to 64",
        [=] { free_aligned_sized(kept(subject::aligned_alloc(64, 40)), 128, 40); });
    add("free_aligned_sized_of_malloc",
        "free_aligned_sized({p}): given back with a wrong alignment (16); 40 bytes from malloc",
        [=] { free_aligned_sized(kept(make(40)), 16, 40); });
    add("free_sized_of_aligned",
        "free_sized({p}): given back with a wrong alignment (none); 40 bytes from malloc aligned "
        "to 64",
        [=] { free_sized(kept(subject::aligned_alloc(64, 40)), 40); });
    add("new_alignment_no_power_of_two",
        "operator new(0x0): an alignment that is no power of two (24)", [] {
            (void)opaque(::operator new(40, static_cast<std::align_val_t>(opaque(size_t{24}))));
        });
}

// The places where damage around or in a block is found; each is told the block, and says so
// itself.
struct Place {
    const char* name;
    const char* function;
    void (*run)(void* p);
};
constexpr Place kPlaces[] = {
    {"free", "free", [](void* p) { give(p); }},
    {"realloc", "realloc", [](void* p) { (void)subject::realloc(p, 100'000); }},
    {"realloc_in_place", "realloc", [](void* p) { (void)subject::realloc(p, 41); }},
    {"check", "hak_check_all", [](void*) { hak_check_all(); }},
    {"exit", "exit", [](void*) {}},
    {"other_thread", "free", [](void* p) { in_another_thread([p] { give(p); }); }},
};

void add_guards() {
    for (const Place& place : kPlaces) {
        const std::string who = place.function;
        for (const size_t over : {size_t{0}, size_t{7}, size_t{15}})
            add(std::string("over_by_") + std::to_string(over + 1) + "_" + place.name,
                who + "({p}): written behind its end (byte " + std::to_string(40 + over) + "); " +
                    from(40),
                [=] {
                    Bytes p = make(40);
                    name(p);
                    opaque(p)[40 + over] ^= 1;
                    place.run(p);
                });
        for (const int under : {1, 8, 16})
            add(std::string("under_by_") + std::to_string(under) + "_" + place.name,
                who + "({p}): written before its start (byte -" + std::to_string(under) + "); " +
                    from(40),
                [=] {
                    Bytes p = make(40);
                    name(p);
                    opaque(p)[-under] ^= 1;
                    place.run(p);
                });
    }
    for (const Tier& t : kTiers) {
        const size_t n = t.size;
        add(std::string("over_exit_") + t.name,
            "exit({p}): written behind its end (byte " + std::to_string(n) + "); " + from(n), [n] {
                Bytes p = make(n);
                name(p);
                opaque(p)[n] = 0;
            });
    }
    add("over_by_string", "free({p}): written behind its end (byte 5); 5 bytes from malloc", [] {
        Bytes p = make(5);
        name(p);
        strcpy(reinterpret_cast<char*>(opaque(p)), "12345");
        give(p);
    });
    add("over_zero_size", "free({p}): written behind its end (byte 0); 0 bytes from malloc", [] {
        Bytes p = make(0);
        name(p);
        opaque(p)[0] = 1;
        give(p);
    });
    add("over_aligned",
        "free({p}): written behind its end (byte 100); 100 bytes from malloc aligned to 4096", [] {
            Bytes p = static_cast<Bytes>(subject::memalign(4096, 100));
            name(p);
            opaque(p)[100] = 1;
            give(p);
        });
    add("under_aligned",
        "free({p}): written before its start (byte -1); 100 bytes from malloc aligned to 4096", [] {
            Bytes p = static_cast<Bytes>(subject::memalign(4096, 100));
            name(p);
            opaque(p)[-1] = 1;
            give(p);
        });
    add("over_shrunk", "free({p}): written behind its end (byte 30); 30 bytes from malloc", [] {
        Bytes p = static_cast<Bytes>(subject::realloc(make(40), 30));
        name(p);
        opaque(p)[30] = 1;
        give(p);
    });
    // Each size around the classes' borders, a process each: one byte over, and one under.
    control("every_size_by_one", [] {
        for (size_t n = 0; n <= 4'000'000; n = n < 320 ? n + 1 : n < 70'000 ? n + n / 7 : n * 2 + 1)
            for (const ptrdiff_t at : {static_cast<ptrdiff_t>(n), ptrdiff_t{-1}}) {
                const pid_t child = fork();
                if (child == 0) {
                    (void)freopen("/dev/null", "w", stderr);
                    Bytes p = make(n);
                    opaque(p)[at] ^= 1;
                    give(p);
                    _exit(0);
                }
                int status = 0;
                if (waitpid(child, &status, 0) != child || !WIFSIGNALED(status) ||
                    WTERMSIG(status) != SIGABRT) {
                    fprintf(stderr, "malloc(%zu): byte %td was written, and nobody saw it\n", n,
                            at);
                    _exit(1);
                }
            }
    });
}

void add_freed() {
    struct Finder {
        const char* name;
        const char* function;
        void (*run)();
    };
    constexpr Finder kFinders[] = {
        {"leaving", "free",
         [] {
             for (int i = 0; i < 5000; ++i) give(make(8));
         }},
        {"trim", "malloc_trim", [] { malloc_trim(0); }},
        {"check", "hak_check_all", [] { hak_check_all(); }},
        {"exit", "exit", [] {}},
    };
    for (const Finder& finder : kFinders)
        for (const Tier& t : kTiers) {
            const size_t n = t.size;
            for (const size_t at : {size_t{0}, n - 1}) {
                if (at >= 256 * 1024) continue;
                add(std::string("write_after_free_") + finder.name + "_" + t.name +
                        (at == 0 ? "_first" : "_last"),
                    std::string(finder.function) + "({p}): a free block was overwritten (byte " +
                        std::to_string(at) + "); " + from(n),
                    [=] {
                        Bytes p = make(n);
                        give(p);
                        name(p);
                        opaque(p)[at] ^= 1;
                        finder.run();
                    });
            }
        }
    add("overflow_after_free", "exit({p}): written behind its end (byte 40); 40 bytes from malloc",
        [] {
            Bytes p = make(40);
            give(p);
            name(p);
            opaque(p)[40] = 1;
        });
    add("write_after_free_by_another_thread",
        "malloc_trim({p}): a free block was overwritten (byte 3); 40 bytes from malloc", [] {
            Bytes p = make(40);
            in_another_thread([p] { give(p); });
            name(p);
            in_another_thread([p] { opaque(p)[3] = 1; });
            malloc_trim(0);
        });
    // Without a quarantine the block goes to the heap's lists at once, and is handed out again.
    // What a list holds lies in the guard.
    options_of_next = "quarantine=0";
    for (const size_t n : {size_t{16}, size_t{100}, size_t{5000}}) {
        add("write_after_free_reuse_" + std::to_string(n),
            "malloc({p}): a free block was overwritten (byte 9); " + from(n), [n] {
                Bytes p = make(n);
                give(p);
                name(p);
                opaque(p)[9] = 1;
                for (int i = 0; i < 10'000; ++i) (void)opaque(make(n));
            });
        add("write_after_free_reuse_by_calloc_" + std::to_string(n),
            "calloc({p}): a free block was overwritten (byte 9); " + from(n), [n] {
                Bytes p = make(n);
                give(p);
                name(p);
                opaque(p)[9] = 1;
                for (int i = 0; i < 10'000; ++i) (void)opaque(subject::calloc(1, n));
            });
    }
    add("write_after_remote_free_reuse",
        "malloc({p}): a free block was overwritten (byte 9); 100 bytes from malloc", [] {
            Bytes p = make(100);
            in_another_thread([p] { give(p); });
            name(p);
            opaque(p)[9] = 1;
            for (int i = 0; i < 10'000; ++i) (void)opaque(make(100));
        });
    add("double_free_without_quarantine",
        "free({p}): already free (double free); 100 bytes from malloc", [] {
            Bytes p = make(100);
            give(p);
            give(name(p));
        });
    control("control_reuse", [] {
        for (int round = 0; round < 50; ++round)
            for (size_t n = 0; n < 40'000; n += n / 5 + 1) {
                Bytes p = make(n), q = static_cast<Bytes>(subject::memalign(n < 5000 ? 64 : 16, n));
                memset(p, round, n);
                memset(q, round, n);
                give(p);
                give(q);
                if (round == 25) malloc_trim(0);
            }
    });
    options_of_next = "";
}

void require(bool holds, const char* what) {
    if (holds) return;
    fprintf(stderr, "%s does not hold\n", what);
    _exit(1);
}
bool all(const unsigned char* p, size_t n, unsigned char want) {
    for (size_t i = 0; i < n; ++i)
        if (p[i] != want) return false;
    return true;
}

void add_controls() {
    control("control_usable_size_is_what_was_asked_for", [] {
        for (size_t n = 0; n < 5'000'000; n += n / 9 + 1) {
            Bytes p = make(n);
            require(subject::malloc_usable_size(p) == n, "malloc_usable_size(malloc(n)) == n");
            p = static_cast<Bytes>(subject::realloc(p, n + 3));
            require(subject::malloc_usable_size(p) == n + 3,
                    "malloc_usable_size(realloc(p, n)) == n");
            give(p);
            p = static_cast<Bytes>(subject::memalign(256, n));
            require(subject::malloc_usable_size(p) == n,
                    "malloc_usable_size(memalign(256, n)) == n");
            give(p);
        }
    });
    control("control_fill_patterns", [] {
        for (const size_t n : {size_t{1}, size_t{100}, size_t{5000}, size_t{200'000}}) {
            Bytes p = make(n);
            require(all(p, n, 0xcd), "fresh memory is 0xcd");
            memset(p, 1, n);
            give(p);
            require(all(opaque(p), n, 0xdd), "freed memory is 0xdd");
            p = static_cast<Bytes>(subject::calloc(1, n));
            require(all(p, n, 0), "calloc's memory is 0");
            p = static_cast<Bytes>(subject::realloc(p, n + 100));
            require(all(p, n, 0) && all(p + n, 100, 0xcd), "what realloc adds is 0xcd");
        }
    });
    control("control_memory_is_not_used_again_soon", [] {
        Bytes p = make(100);
        give(p);
        for (int i = 0; i < 4000; ++i) {
            Bytes q = make(100);
            require(q != p, "freed memory is not handed out for 4000 frees");
            give(q);
        }
    });
    control("control_every_pair", [] {
        require(hak_check_all() == 1, "hak_check_all() == 1");
        for (const size_t n : {size_t{0}, size_t{1}, size_t{100}, size_t{5000}, size_t{32'768},
                               size_t{300'000}, size_t{3'000'000}})
            for (const bool other : {false, true}) {
                const auto by = [other](const std::function<void()>& job) {
                    other ? in_another_thread(job) : job();
                };
                const std::align_val_t wide{128};
                void* p = make(n);
                memset(p, 0xff, n);
                by([=] { give(p); });
                void* q = subject::calloc(1, n);
                by([=] { free_sized(q, n); });
                void* r = subject::aligned_alloc(64, n);
                by([=] { free_aligned_sized(r, 64, n); });
                void* s = subject::realloc(subject::memalign(64, n), n + 1);
                by([=] { free_sized(s, n + 1); });
                void* t = ::operator new(n);
                by([=] { ::operator delete(t); });
                void* u = ::operator new(n, std::nothrow);
                by([=] { ::operator delete(u, n); });
                void* v = ::operator new[](n, wide);
                by([=] { ::operator delete[](v, wide); });
                void* w = ::operator new(n, wide);
                by([=] { ::operator delete(w, n, wide); });
                hak_check_all();
            }
        ::operator delete(nullptr, size_t{5});
        give(nullptr);
    });
    control("control_errno", [] {
        errno = 77;
        Bytes p = make(100);
        p = static_cast<Bytes>(subject::realloc(p, 300'000));
        give(p);
        malloc_trim(0);
        hak_check_all();
        require(errno == 77, "errno is unchanged");
        require(subject::malloc(SIZE_MAX) == nullptr && errno == ENOMEM,
                "malloc(SIZE_MAX) is null with ENOMEM");
    });
    // Blocks that others allocate and free while all are looked at.
    control("control_check_beside_threads", [] {
        std::vector<std::thread> threads;
        for (int t = 0; t < 3; ++t)
            threads.emplace_back([t] {
                void* blocks[64] = {};
                for (unsigned i = 0; i < 20'000; ++i) {
                    void*& p = blocks[(i * 7 + static_cast<unsigned>(t)) % 64];
                    if (i % 3 == 0) {
                        p = subject::realloc(p, 1 + i * 31 % 3000);
                    } else {
                        give(p);
                        p = make(i % 50 == 0 ? 70'000 + i * 13 % 100'000 : i % 700);
                    }
                }
                for (void* p : blocks) give(p);
            });
        for (int i = 0; i < 60; ++i) hak_check_all();
        for (std::thread& t : threads) t.join();
    });
    control("control_fork", [] {
        for (int i = 0; i < 20; ++i) {
            std::thread busy([] {
                for (int k = 0; k < 2000; ++k) give(make(50));
            });
            const pid_t child = fork();
            if (child == 0) {
                for (int k = 0; k < 5000; ++k) give(make(60));
                hak_check_all();
                _exit(0);
            }
            int status = 0;
            busy.join();
            require(waitpid(child, &status, 0) == child && status == 0, "a child goes on");
        }
    });
    // The switch works: what is no error with claims=0 is one without.
    options_of_next = "claims=0";
    control("control_claims_off", [] {
        give(opaque(::operator new(40)));
        ::operator delete[](opaque(make(40)));
        ::operator delete(opaque(::operator new(40)), size_t{41});
        ::operator delete(opaque(::operator new(40, std::align_val_t{64})));
        free_aligned_sized(make(40), 64, 39);
    });
    add("double_free_with_claims_off",
        "free({p}): already free (double free); 8 bytes from operator new", [] {
            void* p = ::operator new(8);
            give(opaque(p));
            give(opaque(name(p)));
        });
    options_of_next = "";
}

}  // namespace

int main(int, char** argv) {
    add_double_frees();
    add_bad_pointers();
    add_origins();
    add_guards();
    add_freed();
    add_controls();
    std::vector<check_test> tests;
    for (const Case& c : cases) tests.push_back({c.name.c_str(), nullptr, c.more.c_str(), nullptr});
    return check_main(argv, check_chain(tests.data(), tests.size()), CHECK_DIES, 60,
                      [](const check_test* test) {
                          scene::helper.start();
                          for (const Case& c : cases) {
                              if (c.name == test->name) return c.body();
                          }
                      });
}
