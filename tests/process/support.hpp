// What every stress program shares: arguments, a failure that names its seed and reproduces in one
// line, random numbers, cookies in blocks, and the process's own figures.
#pragma once

#include <cerrno>
#include <chrono>
#include <cinttypes>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "subject.hpp"
#include "tests/check.hpp"
#if HAKMEM_STRESS_AUDIT
#    include "props/kit/audit_real.hpp"
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#    define HAKMEM_STRESS_SANITIZED 1
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#        define HAKMEM_STRESS_SANITIZED 1
#    endif
#endif
#ifndef HAKMEM_STRESS_SANITIZED
#    define HAKMEM_STRESS_SANITIZED 0
#endif

namespace stress {

struct Parameter {
    const char* name;
    uint64_t value;
    uint64_t low;
    uint64_t high;
};

// The command line of this run with every default written out; static, because a failure may not
// allocate.
inline char command_line[512];
inline uint64_t seed_of_run;

[[noreturn, gnu::format(printf, 1, 2)]] inline void fail(const char* format, ...) {
    char text[1024];
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)n;
    char line[sizeof text + sizeof check_line + sizeof command_line];
    const int length = snprintf(
        line, sizeof line, "FAIL seed %" PRIu64 ": %s\n%s%s\n", seed_of_run, text,
        check_line[0] != 0 ? "" : "reproduce: ", check_line[0] != 0 ? check_line : command_line);
    if (write(STDERR_FILENO, line, static_cast<size_t>(length)) < 0) _exit(3);
    _exit(1);
}

// Arguments are positional unsigned numbers, in the order of the table; those left out keep their
// defaults. Wrong input prints the usage and exits with 2.
template <size_t N>
inline void parse(int argc, char** argv, Parameter (&table)[N]) {
    auto usage = [&](const char* reason) {
        fprintf(stderr, "%s: %s\nusage: %s", argv[0], reason, argv[0]);
        for (const Parameter& p : table) fprintf(stderr, " [%s=%" PRIu64 "]", p.name, p.value);
        fprintf(stderr, "\n");
        for (const Parameter& p : table)
            fprintf(stderr, "  %-10s %" PRIu64 " to %" PRIu64 "\n", p.name, p.low, p.high);
        exit(2);
    };
    if (argc - 1 > static_cast<int>(N)) usage("too many arguments");
    for (int i = 1; i < argc; ++i) {
        Parameter& p = table[i - 1];
        char* end = nullptr;
        errno = 0;
        const unsigned long long value = strtoull(argv[i], &end, 10);
        if (errno != 0 || end == argv[i] || *end != 0 || argv[i][0] < '0' || argv[i][0] > '9')
            usage("not a number");
        if (value < p.low || value > p.high) usage("a number out of its range");
        p.value = value;
    }
    size_t used = 0;
    auto append = [&](const char* text) {
        const int n = snprintf(command_line + used, sizeof command_line - used, "%s", text);
        used += static_cast<size_t>(n);
        if (used >= sizeof command_line) used = sizeof command_line - 1;
    };
    if (const char* preload = getenv("LD_PRELOAD"); preload != nullptr && preload[0] != 0) {
        append("LD_PRELOAD=");
        append(preload);
        append(" ");
    }
    append(argv[0]);
    for (const Parameter& p : table) {
        char number[32];
        snprintf(number, sizeof number, " %" PRIu64, p.value);
        append(number);
        if (strcmp(p.name, "seed") == 0) seed_of_run = p.value;
    }
}

// SplitMix64: every seed, zero included, starts a full-period sequence.
class Random {
  public:
    explicit Random(uint64_t seed) : state_(seed) {}
    uint64_t next() {
        uint64_t z = state_ += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
    }
    uint64_t below(uint64_t n) {
        return static_cast<uint64_t>((static_cast<unsigned __int128>(next()) * n) >> 64);
    }
    uint64_t between(uint64_t low, uint64_t high) { return low + below(high - low + 1); }
    // Log-uniform: every doubling is as likely as any other, so small and huge sizes both occur
    // often.
    uint64_t log_between(uint64_t low, uint64_t high) {
        const unsigned low_bits = 64 - static_cast<unsigned>(__builtin_clzll(low | 1));
        const unsigned high_bits = 64 - static_cast<unsigned>(__builtin_clzll(high | 1));
        const uint64_t bits = between(low_bits, high_bits);
        const uint64_t value = (uint64_t{1} << (bits - 1)) | below(uint64_t{1} << (bits - 1));
        return value < low ? low : value > high ? high : value;
    }

  private:
    uint64_t state_;
};

// A live block and what its cookies must say.
struct Block {
    unsigned char* p = nullptr;
    uint32_t size = 0;
    uint32_t owner = 0;
    uint64_t sequence = 0;
};

struct Cookie {
    uint32_t size;
    uint32_t owner;
    uint64_t sequence;
};
static_assert(sizeof(Cookie) == 16);

// The head of a block holds the cookie, its tail the cookie's complement; what does not fit is cut
// off. A block that overlaps another one, was handed out twice or was written to while free shows
// the other's cookie.
inline void stamp(const Block& b) {
    const Cookie c{b.size, b.owner, b.sequence};
    const Cookie inverse{~b.size, ~b.owner, ~b.sequence};
    const size_t head = b.size < sizeof c ? b.size : sizeof c;
    const size_t rest = b.size - head;
    const size_t tail = rest < sizeof c ? rest : sizeof c;
    memcpy(b.p, &c, head);
    memcpy(b.p + b.size - tail, &inverse, tail);
}

inline void check(const Block& b, const char* where) {
    const Cookie c{b.size, b.owner, b.sequence};
    const Cookie inverse{~b.size, ~b.owner, ~b.sequence};
    const size_t head = b.size < sizeof c ? b.size : sizeof c;
    const size_t rest = b.size - head;
    const size_t tail = rest < sizeof c ? rest : sizeof c;
    if (memcmp(b.p, &c, head) == 0 && memcmp(b.p + b.size - tail, &inverse, tail) == 0) [[likely]]
        return;
    Cookie found{};
    memcpy(&found, b.p, head);
    Cookie found_tail{};
    memcpy(&found_tail, b.p + b.size - tail, tail);
    fail("%s: block %p of size %u, owner %u, sequence %" PRIu64
         " holds size %u, owner %u, sequence %" PRIu64
         ", its tail size %u, owner %u, sequence %" PRIu64,
         where, static_cast<void*>(b.p), b.size, b.owner, b.sequence, found.size, found.owner,
         found.sequence, ~found_tail.size, ~found_tail.owner, ~found_tail.sequence);
}

inline Block allocate(uint32_t size, uint32_t owner, uint64_t sequence) {
    Block b{static_cast<unsigned char*>(subject::malloc(size)), size, owner, sequence};
    if (b.p == nullptr) fail("malloc(%u) returned null", size);
    if ((reinterpret_cast<uintptr_t>(b.p) & 15) != 0 && size >= 16)
        fail("malloc(%u) returned misaligned %p", size, static_cast<void*>(b.p));
    stamp(b);
    return b;
}

inline void release(Block& b, const char* where) {
    if (b.p == nullptr) return;
    check(b, where);
    subject::free(b.p);
    b.p = nullptr;
}

// Where all threads are joined: every invariant of the allocator holds. In builds that can tell.
inline void audit(const char* when) {
#if HAKMEM_STRESS_AUDIT
    struct hak_audit_result r;
    if (hak_audit(&r) != 0)
        fail("%s: INV %s: %s (where %llx, have %llu, want %llu)", when, r.invariant, r.what,
             r.where, r.have, r.want);
#else
    (void)when;
#endif
}

inline double seconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Reads /proc without stdio, which would allocate from the allocator under test.
inline size_t resident_bytes() {
    char text[128];
    const int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    const ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0) return 0;
    text[n] = 0;
    const char* second = strchr(text, ' ');
    return second == nullptr
               ? 0
               : strtoull(second + 1, nullptr, 10) * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

inline size_t mapping_count() {
    char text[4096];
    const int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    size_t lines = 0;
    for (ssize_t n; (n = read(fd, text, sizeof text)) > 0;)
        for (ssize_t i = 0; i < n; ++i) lines += text[i] == '\n';
    close(fd);
    return lines;
}

// The bound that the project promises for every stress; a sanitizer's own mappings are not
// hakmem's.
inline void check_mapping_count() {
    const size_t count = mapping_count();
    if (!HAKMEM_STRESS_SANITIZED && count >= 1000) fail("%zu mappings, the bound is 1000", count);
}

}  // namespace stress
