// commands.hpp: the command language of the whole heap. Blocks are named by handle, threads by
// number. Every sequence is valid: where a handle is empty (or, for an allocation, taken) the
// machine decides what the command means.
#pragma once

#include "props/kit/fake_os.hpp"
#include "props/kit/language.hpp"
#include "props/kit/worlds.hpp"

namespace kit {

inline constexpr unsigned kHandles = 512;

struct Thread : Field<'t', kThreads, 1> {};
// mostly one of forty, so that frees meet live blocks; fill and sweep reach the rest
struct Handle : Field<'h', kHandles, 2> {
    static constexpr std::uint32_t of_code(std::uint32_t code) {
        return code < 0x8000 ? code % 40 : code % kLimit;
    }
    static constexpr std::uint32_t code(std::uint32_t h) { return h < 40 ? h : 0x8000 | h; }
};
// its codes are biased to where classes and tiers meet
struct Bytes : Field<'n', 1u << 21, 2> {
    static std::uint32_t of_code(std::uint32_t code);
    static std::uint32_t code(std::uint32_t n);
};
struct Log2 : Field<'a', 18, 1> {};  // of an alignment
struct Count : Field<'x', 64, 1> {};
struct Step : Field<'s', 8, 1> {};
struct Millis : Field<'m', 4096, 2> {};
struct Kind : Field<'k', kMemoryCalls, 1> {};  // of a system call
struct Nth : Field<'i', 6, 1> {};
struct Flag : Field<'f', 2, 1> {};
struct Mode : Field<'o', 6, 1> {};
struct Form : Field<'o', 16, 1> {};
struct Alignment : Field<'b', 1u << 18, 2> {  // mostly a power of two
    static std::uint32_t of_code(std::uint32_t code) {
        return (code & 7) < 6 ? 1u << (code >> 3) % 18 : (code >> 3) % 300;
    }
    static std::uint32_t code(std::uint32_t b) {
        return hak::is_power_of_two(b) ? hak::log2_floor(b) << 3 : b << 3 | 7;
    }
};

struct Malloc {
    Thread t;
    Handle h;
    Bytes n;
    KIT_COMMAND(Malloc, "malloc", 54, t, h, n)
};
struct Calloc {
    Thread t;
    Handle h;
    Bytes n;
    KIT_COMMAND(Calloc, "calloc", 12, t, h, n)
};
struct Aligned {
    Thread t;
    Handle h;
    Log2 a;
    Bytes n;
    KIT_COMMAND(Aligned, "aligned", 8, t, h, a, n)
};
struct Realloc {
    Thread t;
    Handle h;
    Bytes n;
    KIT_COMMAND(Realloc, "realloc", 18, t, h, n)
};
struct Free {
    Thread t;
    Handle h;
    KIT_COMMAND(Free, "free", 60, t, h)
};
struct Usable {
    Handle h;
    KIT_COMMAND(Usable, "usable", 2, h)
};
// Allocates `x` blocks of n bytes into the handles from h on.
struct Fill {
    Thread t;
    Handle h;
    Count x;
    Bytes n;
    KIT_COMMAND(Fill, "fill", 8, t, h, x, n)
};
// Frees every (s+1)-th of the x handles from h on.
struct Sweep {
    Thread t;
    Handle h;
    Count x;
    Step s;
    KIT_COMMAND(Sweep, "sweep", 12, t, h, x, s)
};
struct Exit {
    Thread t;
    KIT_COMMAND(Exit, "exit", 6, t)
};
struct Start {
    Thread t;
    KIT_COMMAND(Start, "start", 6, t)
};
// The child goes on (else the parent); allocate: the forking thread allocates while it holds every
// lock.
struct Fork {
    Thread t;
    Flag child;
    Flag allocate;
    KIT_COMMAND(Fork, "fork", 2, t, child, allocate)
};
// The first half of a free by a thread that does not own the slab: the CAS. What that owes is
// pushed by `push`, before the thread does anything else, or never, if the thread vanishes in a
// fork.
struct Post {
    Thread t;
    Handle h;
    KIT_COMMAND(Post, "post", 10, t, h)
};
struct Push {
    Thread t;
    KIT_COMMAND(Push, "push", 6, t)
};
// takes what was posted to the thread's heap
struct Collect {
    Thread t;
    KIT_COMMAND(Collect, "collect", 4, t)
};
struct Trim {
    Thread t;
    Flag f;
    KIT_COMMAND(Trim, "trim", 3, t, f)
};  // f: decommit too
struct Advance {
    Millis m;
    KIT_COMMAND(Advance, "advance", 8, m)
};
// the (i+1)-th call of kind k from here
struct FailNext {
    Kind k;
    Nth i;
    KIT_COMMAND(FailNext, "fail", 3, k, i)
};
// every call of kind k until heal
struct FailAll {
    Kind k;
    KIT_COMMAND(FailAll, "failall", 1, k)
};
struct Heal {
    Flag f;
    KIT_COMMAND(Heal, "heal", 4, f)
};
// whether the thread's exit hook can be armed
struct Hook {
    Thread t;
    Flag f;
    KIT_COMMAND(Hook, "hook", 1, t, f)
};
struct Misuse {
    Thread t;
    Mode o;
    Handle h;
    KIT_COMMAND(Misuse, "misuse", 4, t, o, h)
};

// Operator new in the form of the bits: array, nothrow, aligned to 2^a.
struct New {
    Thread t;
    Handle h;
    Bytes n;
    Log2 a;
    Form o;
    KIT_COMMAND(New, "new", 8, t, h, n, a, o)
};
// A free that says the size, and the alignment if one was asked for.
struct FreeSized {
    Thread t;
    Handle h;
    KIT_COMMAND(FreeSized, "freesized", 5, t, h)
};
struct ReallocArray {
    Thread t;
    Handle h;
    Count x;
    Bytes n;
    KIT_COMMAND(ReallocArray, "reallocarray", 2, t, h, x, n)
};
// memalign, aligned_alloc, posix_memalign, valloc or pvalloc; any alignment. From o = 12 on
// hak_alloc_at, from one of four sites.
struct Placed {
    Thread t;
    Handle h;
    Form o;
    Alignment b;
    Bytes n;
    KIT_COMMAND(Placed, "placed", 4, t, h, o, b, n)
};
// A size or an alignment that no system has, by the o-th entry point; where that takes a block, it
// is block h.
struct Wild {
    Thread t;
    Handle h;
    Form o;
    KIT_COMMAND(Wild, "wild", 2, t, h, o)
};
// Installs (else uninstalls) a new-handler that heals the system when it is called, and uninstalls
// itself.
struct Handler {
    Flag f;
    KIT_COMMAND(Handler, "handler", 1, f)
};
// A new process begins, with the o-th option changed.
struct Option {
    Form o;
    Step s;
    KIT_COMMAND(Option, "option", 1, o, s)
};
// Forks, and both sides go on: the rest of the history happens in the child, and then in the
// parent.
struct Split {
    Thread t;
    KIT_COMMAND(Split, "split", 1, t)
};

// A new command joins at the end, or the bytes of the corpora would mean something else; so they do
// once the weights exceed 256.
using Command =
    std::variant<Malloc, Calloc, Aligned, Realloc, Free, Usable, Fill, Sweep, Exit, Start, Fork,
                 Post, Push, Collect, Trim, Advance, FailNext, FailAll, Heal, Hook, Misuse, New,
                 FreeSized, ReallocArray, Placed, Wild, Handler, Option, Split>;
static_assert(total_weight<Command>(Alternatives<Command>{}) == 256);
using Commands = std::vector<Command>;

// Sizes where something changes in TinyWorld: classes, slabs, units, the Large limit, superslabs,
// the window.
inline constexpr std::array<std::uint32_t, 32> kEdgeSizes = {
    0,    1,    15,   16,   17,   48,   64,   65,    80,    81,    128,
    129,  160,  192,  255,  256,  257,  512,  1023,  1024,  1025,  2048,
    3072, 4095, 4096, 4097, 8191, 8192, 8193, 16384, 65536, 600000};

inline std::uint32_t Bytes::of_code(std::uint32_t code) {
    const std::uint32_t low = code & 0x3fff;
    switch (code >> 14 & 3) {
        case 0:
            return low % 288;
        case 1:
            return kEdgeSizes[low % kEdgeSizes.size()];
        case 2:
            return low % 9000;
        default:
            return low % 512 == 511 ? low * 128 : low * 4;
    }
}
// Not every size above 9000 has a code.
inline std::uint32_t Bytes::code(std::uint32_t n) {
    if (n < 288) return n;
    for (std::uint32_t i = 0; i < kEdgeSizes.size(); ++i) {
        if (kEdgeSizes[i] == n) return 1u << 14 | i;
    }
    if (n < 9000) return 2u << 14 | n;
    const std::uint32_t low = n / 4 < 0x4000 && n / 4 % 512 != 511 ? n / 4 : n / 128;
    return 3u << 14 | (low & 0x3fff);
}

}  // namespace kit
