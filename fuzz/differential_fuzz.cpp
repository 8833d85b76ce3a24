// differential_fuzz.cpp: the same calls on hakmem and on glibc's malloc: null or not, error, errno,
// alignment and contents must agree. glibc's functions are looked up in libc itself, so that no
// sanitizer's stand between. What the two heaps did before does not matter to any of these answers;
// hakmem starts afresh with every history.
#include <bit>
#include <cerrno>
#include <cstring>
#include <dlfcn.h>

#include "fuzz/fresh_core.hpp"
#include "fuzz/history.hpp"
#include "fuzz/wide.hpp"
#include "hakmem/hakmem.h"

namespace {

struct Handle : kit::Field<'h', 16, 1> {};
struct Count : kit::Field<'x', 8, 1> {
    std::size_t count() const {
        constexpr std::size_t kCounts[] = {
            1, 0, 2, 3, 5, SIZE_MAX, std::size_t{1} << 60, SIZE_MAX / 16};
        return kCounts[v];
    }
};
using fuzz::WideAlign, fuzz::WideSize;

struct Malloc {
    Handle h;
    WideSize n;
    KIT_COMMAND(Malloc, "malloc", 40, h, n)
};
struct Calloc {
    Handle h;
    Count x;
    WideSize n;
    KIT_COMMAND(Calloc, "calloc", 30, h, x, n)
};
struct Realloc {
    Handle h;
    WideSize n;
    KIT_COMMAND(Realloc, "realloc", 50, h, n)
};
struct Array {
    Handle h;
    Count x;
    WideSize n;
    KIT_COMMAND(Array, "reallocarray", 20, h, x, n)
};
struct Memalign {
    Handle h;
    WideAlign a;
    WideSize n;
    KIT_COMMAND(Memalign, "memalign", 20, h, a, n)
};
struct Aligned {
    Handle h;
    WideAlign a;
    WideSize n;
    KIT_COMMAND(Aligned, "aligned_alloc", 20, h, a, n)
};
struct Posix {
    Handle h;
    WideAlign a;
    WideSize n;
    KIT_COMMAND(Posix, "posix_memalign", 20, h, a, n)
};
struct Valloc {
    Handle h;
    WideSize n;
    KIT_COMMAND(Valloc, "valloc", 8, h, n)
};
struct Pvalloc {
    Handle h;
    WideSize n;
    KIT_COMMAND(Pvalloc, "pvalloc", 8, h, n)
};
struct Free {
    Handle h;
    KIT_COMMAND(Free, "free", 30, h)
};
using Call =
    std::variant<Malloc, Calloc, Realloc, Array, Memalign, Aligned, Posix, Valloc, Pvalloc, Free>;

const fuzz::Defect dirty_calloc("dirty_calloc"), lost_alignment("lost_alignment"),
    kept_errno("kept_errno");

struct Family {
    void* (*malloc)(std::size_t);
    void* (*calloc)(std::size_t, std::size_t);
    void* (*realloc)(void*, std::size_t);
    void* (*reallocarray)(void*, std::size_t, std::size_t);
    void* (*memalign)(std::size_t, std::size_t);
    void* (*aligned_alloc)(std::size_t, std::size_t);
    int (*posix_memalign)(void**, std::size_t, std::size_t);
    void* (*valloc)(std::size_t);
    void* (*pvalloc)(std::size_t);
    void (*free)(void*);
};

template <class F>
void look_up(void* library, const char* name, F& function) {
    function = reinterpret_cast<F>(::dlsym(library, name));
    kit::require(function != nullptr, "libc has no ", name);
}

Family family_of_libc() {
    void* const libc = ::dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
    kit::require(libc != nullptr, "no libc.so.6 in this process");
    Family f{};
    look_up(libc, "malloc", f.malloc), look_up(libc, "calloc", f.calloc),
        look_up(libc, "realloc", f.realloc);
    look_up(libc, "memalign", f.memalign), look_up(libc, "aligned_alloc", f.aligned_alloc),
        look_up(libc, "posix_memalign", f.posix_memalign);
    look_up(libc, "valloc", f.valloc), look_up(libc, "pvalloc", f.pvalloc),
        look_up(libc, "free", f.free);
    // libc's own calls realloc by its public name, which a sanitizer answers.
    static const auto realloc_of_libc = f.realloc;
    f.reallocarray = [](void* p, std::size_t count, std::size_t n) -> void* {
        std::size_t bytes = 0;
        if (!__builtin_mul_overflow(count, n, &bytes)) return realloc_of_libc(p, bytes);
        errno = ENOMEM;
        return nullptr;
    };
    return f;
}

Family family_of_hakmem() {
    Family f = {hak_malloc,        hak_calloc,         hak_realloc, hak_reallocarray, hak_memalign,
                hak_aligned_alloc, hak_posix_memalign, hak_valloc,  hak_pvalloc,      hak_free};
    if (dirty_calloc)
        f.calloc = [](std::size_t count, std::size_t n) {
            return n < 4096 && count < 4 ? hak_malloc(count * n) : hak_calloc(count, n);
        };
    if (lost_alignment)
        f.memalign = [](std::size_t a, std::size_t n) {
            return hak_memalign(a >= 4096 && a <= 65536 ? 16 : a, n);
        };
    if (kept_errno) {
        f.malloc = [](std::size_t n) {
            const int before = errno;
            void* const p = hak_malloc(n);
            errno = before;
            return p;
        };
    }
    return f;
}

constexpr int kUntouched = 12345;

struct Answer {
    void* p = nullptr;
    int error = 0, errno_after = 0;
};

// One allocator and its blocks. What a block holds follows from its handle and from how often the
// handle was used, not from the allocator.
struct Side {
    Family family;
    void* blocks[Handle::kLimit] = {};
};

template <class Do>
Answer ask(Do call) {
    Answer a;
    errno = kUntouched;
    a.p = call(a.error);
    a.errno_after = errno;
    return a;
}

class Differential {
  public:
    Differential() {
        static const Family libc = family_of_libc();
        hakmem_.family = family_of_hakmem();
        libc_.family = libc;
    }
    ~Differential() {
        for (unsigned h = 0; h < Handle::kLimit; ++h)
            hakmem_.family.free(hakmem_.blocks[h]), libc_.family.free(libc_.blocks[h]);
    }
    Differential(const Differential&) = delete;
    Differential& operator=(const Differential&) = delete;

    void step(const Call& command) {
        std::visit([this](const auto& c) { this->apply(c); }, command);
    }

  private:
    // A fresh block: both answers alike, n bytes, aligned; `zero`: all of them are.
    template <class Do>
    void allocate(unsigned h, std::size_t n, std::size_t alignment, bool zero, Do call) {
        free_both(h);
        take(h, n, alignment, [&](Side& s, int& error) { return call(s.family, error); });
        if (!zero || hakmem_.blocks[h] == nullptr) return fill(h);
        const std::vector<unsigned char> zeros(n);
        require_bytes(h, zeros.data(), n, "zero");
        fill(h);
    }
    template <class Do>
    void take(unsigned h, std::size_t n, std::size_t alignment, Do call) {
        const Answer ours = ask([&](int& error) { return call(hakmem_, error); }),
                     theirs = ask([&](int& error) { return call(libc_, error); });
        hakmem_.blocks[h] = ours.p;
        libc_.blocks[h] = theirs.p;
        bytes_[h] = n;
        kit::require(
            (ours.p == nullptr) == (theirs.p == nullptr),
            ours.p == nullptr ? "null, where glibc has a block" : "a block, where glibc has null");
        kit::require(ours.error == theirs.error, "the error ", ours.error, ", glibc's is ",
                     theirs.error);
        // An error that is the result leaves errno alone; glibc's posix_memalign changes it, which
        // POSIX leaves open.
        const int want = ours.p != nullptr || ours.error != 0 ? kUntouched : theirs.errno_after;
        kit::require(ours.errno_after == want, "errno is ", ours.errno_after, " instead of ", want);
        const auto is_aligned = [&](void* p) {
            return reinterpret_cast<std::uintptr_t>(p) % std::max<std::size_t>(alignment, 16) == 0;
        };
        kit::require(is_aligned(theirs.p), "glibc's block is not aligned to ", alignment,
                     ": the harness is wrong");
        kit::require(is_aligned(ours.p), "the block is not aligned to ", alignment);
    }
    void require_bytes(unsigned h, const void* want, std::size_t n, const char* what) {
        kit::require(n == 0 || std::memcmp(libc_.blocks[h], want, n) == 0,
                     "the bytes of glibc's block are not ", what, ": the harness is wrong");
        kit::require(n == 0 || std::memcmp(hakmem_.blocks[h], want, n) == 0,
                     "the bytes of the block are not ", what);
    }
    // Blocks differ in every eighth byte and places in every byte.
    void fill(unsigned h) {
        if (hakmem_.blocks[h] == nullptr) return;
        ++generation_;
        auto* const ours = static_cast<unsigned char*>(hakmem_.blocks[h]);
        for (std::size_t i = 0; i < bytes_[h]; ++i)
            ours[i] = static_cast<unsigned char>((i ^ i >> 8) * 7 + generation_ * 31);
        if (bytes_[h] != 0) std::memcpy(libc_.blocks[h], ours, bytes_[h]);
    }
    void require_alike(unsigned h) {
        const std::size_t n = hakmem_.blocks[h] == nullptr ? 0 : bytes_[h];
        kit::require(n == 0 || std::memcmp(hakmem_.blocks[h], libc_.blocks[h], n) == 0,
                     "the content of h", h, " has changed");
    }
    void free_both(unsigned h) {
        require_alike(h);
        errno = kUntouched;
        hakmem_.family.free(std::exchange(hakmem_.blocks[h], nullptr));
        kit::require(errno == kUntouched, "free changed errno");
        libc_.family.free(std::exchange(libc_.blocks[h], nullptr));
    }
    // What a failure leaves is the block as it was; (p, 0) frees it.
    template <class Do>
    void resize(unsigned h, std::size_t n, bool frees, Do call) {
        require_alike(h);
        void* const ours = hakmem_.blocks[h];
        void* const theirs = libc_.blocks[h];
        const std::size_t before = ours == nullptr ? 0 : bytes_[h];
        take(h, n, 1, call);
        if (hakmem_.blocks[h] == nullptr) {
            if (ours == nullptr || frees) return;
            hakmem_.blocks[h] = ours, libc_.blocks[h] = theirs, bytes_[h] = before;
            return require_alike(h);
        }
        const std::size_t kept = std::min(before, n);
        kit::require(kept == 0 || std::memcmp(hakmem_.blocks[h], libc_.blocks[h], kept) == 0,
                     "realloc lost content, from ", before, " to ", n, " bytes");
        fill(h);
    }

    static std::size_t rounded(std::size_t a) {
        return a > SIZE_MAX / 2 + 1 ? 1 : std::bit_ceil(a);
    }

    void apply(const Malloc& c) {
        allocate(c.h.v, c.n.size(), 1, false,
                 [&](const Family& f, int&) { return f.malloc(c.n.size()); });
    }
    void apply(const Calloc& c) {
        allocate(c.h.v, c.x.count() * c.n.size(), 1, true,
                 [&](const Family& f, int&) { return f.calloc(c.x.count(), c.n.size()); });
    }
    void apply(const Memalign& c) {
        allocate(c.h.v, c.n.size(), rounded(c.a.alignment()), false,
                 [&](const Family& f, int&) { return f.memalign(c.a.alignment(), c.n.size()); });
    }
    void apply(const Aligned& c) {
        allocate(c.h.v, c.n.size(), rounded(c.a.alignment()), false, [&](const Family& f, int&) {
            return f.aligned_alloc(c.a.alignment(), c.n.size());
        });
    }
    void apply(const Posix& c) {
        allocate(c.h.v, c.n.size(), rounded(c.a.alignment()), false,
                 [&](const Family& f, int& error) {
                     void* out = nullptr;
                     error = f.posix_memalign(&out, c.a.alignment(), c.n.size());
                     return out;
                 });
    }
    void apply(const Valloc& c) {
        allocate(c.h.v, c.n.size(), 4096, false,
                 [&](const Family& f, int&) { return f.valloc(c.n.size()); });
    }
    void apply(const Pvalloc& c) {
        allocate(c.h.v, c.n.size(), 4096, false,
                 [&](const Family& f, int&) { return f.pvalloc(c.n.size()); });
    }
    void apply(const Realloc& c) {
        resize(c.h.v, c.n.size(), c.n.size() == 0,
               [&](Side& s, int&) { return s.family.realloc(s.blocks[c.h.v], c.n.size()); });
    }
    void apply(const Array& c) {
        const std::size_t n = c.x.count() * c.n.size();
        const bool wraps = c.n.size() != 0 && n / c.n.size() != c.x.count();
        resize(c.h.v, n, n == 0 && !wraps, [&](Side& s, int&) {
            return s.family.reallocarray(s.blocks[c.h.v], c.x.count(), c.n.size());
        });
    }
    void apply(const Free& c) { free_both(c.h.v); }

    Side hakmem_, libc_;
    std::size_t bytes_[Handle::kLimit] = {};
    unsigned generation_ = 0;
};

std::string run(const std::vector<Call>& commands) {
    std::size_t at = 0;
    try {
        fuzz::reset_core();
        Differential both;
        for (; at < commands.size() && at < 200; ++at) both.step(commands[at]);
    } catch (const kit::Broken& e) {
        return e.what() +
               (" at command " + std::to_string(at + 1) + " (" + kit::text_of(commands[at]) + ")");
    }
    return {};
}

}  // namespace

FUZZ_HISTORIES("differential", Call, run)
