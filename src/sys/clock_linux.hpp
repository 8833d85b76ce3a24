// clock_linux.hpp: the system's clock, read past libc. A program may have a clock_gettime of its
// own (libfaketime preloads one), which may allocate and may say any time. The allocator looks at
// the clock while it holds a heap or a lock, where it must not be entered again, and free memory
// ages by the real time.
//
// The kernel maps a small library into every process, the vDSO, whose function reads the clock
// without a system call. Where it did not (valgrind, qemu-user) the system is called.
#pragma once

#include <cstdint>
#include <elf.h>
#include <link.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/bits.hpp"
#include "base/types.hpp"

#include "sys/errno_keeper.hpp"
#include "sys/sync.hpp"

namespace hak {

// A shared library as the kernel mapped it: nobody relocated the addresses in its tables. It is
// trusted.
class ElfImage {
  public:
    using Symbol = ElfW(Sym);

    explicit ElfImage(Address image) {
        const auto* const header = pointer_to<const ElfW(Ehdr)>(image);
        const auto* const segments = pointer_to<const ElfW(Phdr)>(image + header->e_phoff);
        const ElfW(Dyn)* entry = nullptr;
        for (unsigned i = header->e_phnum; i != 0; --i) {  // backwards: the first PT_LOAD counts
            const auto& segment = segments[i - 1];
            const Address at = image + segment.p_offset;
            if (segment.p_type == PT_LOAD) base_ = wrapping_sub<Address>(at, segment.p_vaddr);
            if (segment.p_type == PT_DYNAMIC) entry = pointer_to<const ElfW(Dyn)>(at);
        }
        for (; entry != nullptr && entry->d_tag != DT_NULL; ++entry) {
            const Address at = wrapping_add<Address>(base_, entry->d_un.d_ptr);
            if (entry->d_tag == DT_SYMTAB) symbols_ = pointer_to<const Symbol>(at);
            if (entry->d_tag == DT_STRTAB) names_ = pointer_to<const char>(at);
            if (entry->d_tag == DT_HASH) count_ = pointer_to<const std::uint32_t>(at)[1];
            if (entry->d_tag == DT_GNU_HASH) count_ = count_in(pointer_to<const std::uint32_t>(at));
        }
    }

    // Where the function of this name begins; 0 if the library has none.
    Address find(const char* name) const {
        for (std::uint32_t i = 0; i < count_; ++i) {
            const Symbol& symbol = symbols_[i];
            if (symbol.st_shndx == SHN_UNDEF || !are_same(names_ + symbol.st_name, name)) continue;
            return wrapping_add<Address>(base_, symbol.st_value);
        }
        return 0;
    }

  private:
    // The number of symbols, by DT_GNU_HASH. Words of 32 bits: the number of buckets, the first
    // symbol that is in one, the length of a filter in addresses, a shift; the filter; each
    // bucket's first symbol; each such symbol's hash, odd if it is the last of its bucket.
    static std::uint32_t count_in(const std::uint32_t* table) {
        const std::uint32_t buckets = table[0], first = table[1];
        const std::uint32_t* const bucket =
            table + 4 + table[2] * (sizeof(ElfW(Addr)) / sizeof *table);
        std::uint32_t last = 0;
        for (std::uint32_t i = 0; i < buckets; ++i) last = bucket[i] > last ? bucket[i] : last;
        if (last < first) return 0;
        while ((bucket[buckets + last - first] & 1) == 0) ++last;
        return last + 1;
    }
    static bool are_same(const char* a, const char* b) {
        for (; *a == *b; ++a, ++b) {
            if (*a == 0) return true;
        }
        return false;
    }

    Address base_ = 0;
    const Symbol* symbols_ = nullptr;
    const char* names_ = nullptr;
    std::uint32_t count_ = 0;
};

class LinuxClock {
  public:
    // Changes no errno. Zero where the system refuses, as in some sandboxes.
    static timespec read(clockid_t clock) {
        timespec t{};
        // relaxed: any value is a function that reads the clock
        read_.load(order::relaxed)(clock, &t);
        return t;
    }

  private:
    using Read = int(clockid_t, timespec*);

    // The first look.
    static int find_and_read(clockid_t clock, timespec* t) {
        const ErrnoKeeper keep;
        const Address image = ::getauxval(AT_SYSINFO_EHDR);
        const Address found = image == 0 ? 0 : ElfImage(image).find(kName);
        Read* const read = found == 0 ? call_system : pointer_to<Read>(found);
        read_.store(read, order::relaxed);  // relaxed: as in read()
        return read(clock, t);
    }
    static int call_system(clockid_t clock, timespec* t) {
        const ErrnoKeeper keep;
        return static_cast<int>(::syscall(SYS_clock_gettime, clock, t));
    }

#if defined(__aarch64__)
    static constexpr const char* kName = "__kernel_clock_gettime";
#else
    static constexpr const char* kName = "__vdso_clock_gettime";
#endif
    static inline constinit StdSync::Atomic<Read*> read_{find_and_read};
};

}  // namespace hak
