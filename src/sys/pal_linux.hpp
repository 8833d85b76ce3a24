// pal_linux.hpp: the operating system that ships. Every function keeps errno, because malloc's
// success and free must.
#pragma once

#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "base/bits.hpp"
#include "base/types.hpp"

#include "sys/clock_linux.hpp"
#include "sys/errno_keeper.hpp"

namespace hak {

struct LinuxPal {
    static std::size_t page_bytes() { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

    static std::size_t ram_bytes() {
        struct sysinfo info;
        ErrnoKeeper keep;
        if (::sysinfo(&info) != 0) return std::size_t{1} << 30;
        return static_cast<std::size_t>(info.totalram) * info.mem_unit;
    }

    // How much address space RLIMIT_AS leaves; SIZE_MAX without a limit. What is mapped already is
    // the first number of /proc/self/statm; where it cannot be read, a quarter of the limit is
    // taken to be in use.
    static std::size_t address_space_left() {
        ErrnoKeeper keep;
        struct rlimit limit;
        if (::getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return SIZE_MAX;
        const std::size_t total = static_cast<std::size_t>(limit.rlim_cur);
        const std::size_t used = mapped_bytes(total / 4);
        return used >= total ? 0 : total - used;
    }

    static void* reserve(std::size_t bytes, std::size_t alignment) {
        ErrnoKeeper keep;
        const Address begin = map_reserved(0, bytes + alignment);
        if (begin == 0) return reserve_below(bytes, alignment);
        const Address aligned = align_up(begin, alignment);
        if (aligned != begin) ::munmap(pointer_to<void>(begin), aligned - begin);
        if (const std::size_t tail = begin + alignment - aligned; tail != 0)
            ::munmap(pointer_to<void>(aligned + bytes), tail);
        return pointer_to<void>(aligned);
    }
    // The same for a table of which little is ever written: what is committed of it is not counted
    // either, unless the system counts strictly.
    static void* reserve_sparse(std::size_t bytes) {
        ErrnoKeeper keep;
        void* const p =
            ::mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        return p == MAP_FAILED ? nullptr : p;
    }
    static void unreserve(void* p, std::size_t bytes) {
        ErrnoKeeper keep;
        ::munmap(p, bytes);
    }
    static bool expose(void* p, std::size_t bytes) {
        ErrnoKeeper keep;
        return ::mprotect(p, bytes, PROT_READ) == 0;
    }
    static bool commit(void* p, std::size_t bytes) {
        ErrnoKeeper keep;
        return ::mprotect(p, bytes, PROT_READ | PROT_WRITE) == 0;
    }
    // Where address space is limited there is none for a trial, and the window is small.
    static bool could_commit(std::size_t bytes) {
        ErrnoKeeper keep;
        struct rlimit limit;
        if (::getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur != RLIM_INFINITY) return true;
        void* const p =
            ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED) return false;
        ::munmap(p, bytes);
        return true;
    }
    // mprotect(PROT_NONE) would keep the commit charge; a fresh mapping over the range returns it
    // and is one call.
    static bool decommit(void* p, std::size_t bytes) {
        ErrnoKeeper keep;
        return ::mmap(p, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
               MAP_FAILED;
    }
    static bool purge(void* p, std::size_t bytes) {
        ErrnoKeeper keep;
        if (::madvise(p, bytes, MADV_DONTNEED) == 0) return true;
        // Locked memory (mlockall): Linux 5.18 returns it when it is asked for by name. The
        // system's header may be older.
        constexpr int kDontNeedLocked = 24;
        return errno == EINVAL && ::madvise(p, bytes, kDontNeedLocked) == 0;
    }
    static void advise_huge(void* p, std::size_t bytes) {
        ErrnoKeeper keep;
        ::madvise(p, bytes, MADV_HUGEPAGE);
    }
    static void advise_no_huge(void* p, std::size_t bytes) {
        ErrnoKeeper keep;
        ::madvise(p, bytes, MADV_NOHUGEPAGE);
    }
    static void advise_dump(void* p, std::size_t bytes) {
        ErrnoKeeper keep;
        ::madvise(p, bytes, MADV_DODUMP);
    }
    static void advise_no_dump(void* p, std::size_t bytes) {
        ErrnoKeeper keep;
        ::madvise(p, bytes, MADV_DONTDUMP);
    }

    // Milliseconds suffice for decay.
    static std::uint64_t now_ms() {
        const timespec t = LinuxClock::read(CLOCK_MONOTONIC_COARSE);
        return static_cast<std::uint64_t>(t.tv_sec) * 1000 +
               static_cast<std::uint64_t>(t.tv_nsec) / 1000000;
    }

    // For the learner: nanoseconds, and pages that the system had to provide since the process
    // began.
    static std::uint64_t now_ns() {
        const timespec t = LinuxClock::read(CLOCK_MONOTONIC);
        return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000 +
               static_cast<std::uint64_t>(t.tv_nsec);
    }
    static std::uint64_t page_faults() {
        ErrnoKeeper keep;
        struct rusage usage{};
        ::getrusage(RUSAGE_SELF, &usage);
        return static_cast<std::uint64_t>(usage.ru_minflt) +
               static_cast<std::uint64_t>(usage.ru_majflt);
    }

    static std::uint64_t entropy() {
        ErrnoKeeper keep;
        std::uint64_t bits = 0;
        if (::syscall(SYS_getrandom, &bits, sizeof bits, GRND_NONBLOCK) ==
            static_cast<long>(sizeof bits))
            return bits;
        return wrapping_mul(now_ns(), std::uint64_t{0x9e3779b97f4a7c15u}) ^ address_of(&bits);
    }

    static std::uintptr_t thread_id() { return address_of(__builtin_thread_pointer()); }

    static void sleep_while(std::uint32_t* word, std::uint32_t value) {
        ErrnoKeeper keep;
        ::syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
    }
    static void wake_one(std::uint32_t* word) {
        ErrnoKeeper keep;
        ::syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
    }

  private:
    // No MAP_NORESERVE: under strict overcommit what is committed later must be counted. 0 if there
    // is no room; `hint` may be 0.
    static Address map_reserved(Address hint, std::size_t bytes) {
        void* const p =
            ::mmap(pointer_to<void>(hint), bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        return p == MAP_FAILED ? 0 : address_of(p);
    }
    // Where there is room for the reservation and none for its alignment: the system fills its
    // address space from above, so that the aligned place just below where it would map next is
    // free as a rule.
    static void* reserve_below(std::size_t bytes, std::size_t alignment) {
        Address at = map_reserved(0, bytes);
        if (at != 0 && at % alignment != 0) {
            ::munmap(pointer_to<void>(at), bytes);
            at = map_reserved(align_down(at, alignment), bytes);
        }
        if (at == 0 || at % alignment == 0) return pointer_to<void>(at);
        ::munmap(pointer_to<void>(at), bytes);
        return nullptr;
    }
    static std::size_t mapped_bytes(std::size_t unknown);
};

}  // namespace hak
