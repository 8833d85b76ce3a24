// pal_test.cpp: LinuxPal keeps the promises of pal.hpp against the real system: access, contents,
// the effect of a hint, address space under a limit; and errno is as it was after every call.
#include "sys/pal.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <fstream>
#include <link.h>
#include <sstream>
#include <string>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/pal_linux.hpp"
#include "sys/pal_linux_statm.hpp"

#include "props/kit/broken.hpp"
#include "tests/unit/examples.hpp"

namespace {

using hak::Address;
using hak::address_of;
using hak::LinuxPal;
using hak::pointer_to;
using kit::require;
static_assert(hak::PalPolicy<LinuxPal>);

constexpr std::size_t kMiB = std::size_t{1} << 20;
const std::size_t kPage = LinuxPal::page_bytes();

// The result of a call that must not change errno.
template <class Call>
auto keeping(const char* what, Call call) {
    errno = 77;
    if constexpr (std::is_void_v<decltype(call())>) {
        call();
        require(errno == 77, what, " changes errno");
    } else {
        const auto result = call();
        require(errno == 77, what, " changes errno");
        return result;
    }
}

bool is_readable(const char* p) {
    static int null[2];
    [[maybe_unused]] static const int made = ::pipe(null);
    char byte;
    const bool can = ::write(null[1], p, 1) == 1;
    return can && ::read(null[0], &byte, 1) == 1;
}
bool is_writable(char* p) {
    const int zero = ::open("/dev/zero", O_RDONLY);
    const char was = is_readable(p) ? *p : '\0';
    const bool can = ::read(zero, p, 1) == 1;
    ::close(zero);
    if (can) *p = was;
    return can;
}
// The flags that the system shows for the mapping with this address.
std::string flags_of(const void* p) {
    std::ifstream maps("/proc/self/smaps");
    bool here = false;
    for (std::string line; std::getline(maps, line);) {
        std::uintptr_t begin = 0, end = 0;
        if (std::sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2)
            here = hak::address_of(p) >= begin && hak::address_of(p) < end;
        if (here && line.rfind("VmFlags:", 0) == 0) return line + " ";
    }
    return "";
}

bool is_linux_at_least(int major, int minor) {
    struct utsname system;
    int have_major = 0, have_minor = 0;
    const bool known = ::uname(&system) == 0 &&
                       std::sscanf(system.release, "%d.%d", &have_major, &have_minor) == 2;
    return known && (have_major > major || (have_major == major && have_minor >= minor));
}

void memory() {
    for (const std::size_t alignment : {kPage, 2 * kMiB, 64 * kMiB}) {
        void* const memory =
            keeping("reserve", [&] { return LinuxPal::reserve(4 * kMiB, alignment); });
        require(memory != nullptr && hak::address_of(memory) % alignment == 0,
                "a reservation is not aligned to ", alignment);
        char* const p = static_cast<char*>(memory);
        require(!is_readable(p) && !is_readable(p + 4 * kMiB - 1), "reserved memory is readable");
        require(keeping("expose", [&] { return LinuxPal::expose(p, 4 * kPage); }), "expose failed");
        require(is_readable(p) && p[4 * kPage - 1] == 0 && !is_writable(p) &&
                    !is_readable(p + 4 * kPage),
                "exposed memory is not zeros to read alone");
        require(keeping("commit", [&] { return LinuxPal::commit(p, 4 * kPage); }), "commit failed");
        require(is_writable(p) && !is_readable(p + 4 * kPage),
                "commit gives other pages than it was asked for");
        for (std::size_t i = 0; i < 4; ++i) p[i * kPage] = 'x';
        require(keeping("purge", [&] { return LinuxPal::purge(p, 2 * kPage); }), "purge failed");
        require(p[0] == 0 && p[kPage] == 0 && p[2 * kPage] == 'x',
                "purge leaves contents, or takes others");
        require(keeping("decommit", [&] { return LinuxPal::decommit(p, 3 * kPage); }),
                "decommit failed");
        require(!is_readable(p) && !is_readable(p + 2 * kPage) && p[3 * kPage] == 'x',
                "decommit leaves access, or takes other pages");
        require(LinuxPal::commit(p, 3 * kPage) && p[2 * kPage] == 0,
                "memory that was decommitted is not zero");
        keeping("advise_huge", [&] { LinuxPal::advise_huge(p, 4 * kMiB); });
        const std::string huge = flags_of(p);
        keeping("advise_no_huge", [&] { LinuxPal::advise_no_huge(p, 4 * kMiB); });
        // A system without huge pages shows neither.
        if (huge.find(" hg ") != std::string::npos)
            require(flags_of(p).find(" nh ") != std::string::npos,
                    "the advice against huge pages has no effect");
        else
            require(::access("/sys/kernel/mm/transparent_hugepage/enabled", F_OK) != 0,
                    "the advice for huge pages has no effect");
        keeping("advise_no_dump", [&] { LinuxPal::advise_no_dump(p, 4 * kMiB); });
        keeping("advise_dump", [&] { LinuxPal::advise_dump(p, 2 * kPage); });
        require(flags_of(p).find(" dd ") == std::string::npos &&
                    flags_of(p + 2 * kPage).find(" dd ") != std::string::npos,
                "core dumps hold other pages");
        // Linux returns locked memory since 5.18; where it does not, nothing else has changed.
        if (LinuxPal::commit(p, kPage) && ::mlock(p, kPage) == 0) {
            p[0] = 'x';
            const bool purged =
                keeping("purge of locked memory", [&] { return LinuxPal::purge(p, kPage); });
            require(p[0] == (purged ? 0 : 'x'), "purge of locked memory does not tell what it did");
            require(purged || !is_linux_at_least(5, 18), "locked memory stays");
            ::munlock(p, kPage);
        }
        keeping("unreserve", [&] { LinuxPal::unreserve(p, 4 * kMiB); });
        require(flags_of(p).empty() && flags_of(p + 4 * kMiB - 1).empty(),
                "something stays reserved");
    }
}

void refusals() {
    const std::size_t too_much = std::size_t{1} << 60;
    require(keeping("reserve", [&] { return LinuxPal::reserve(too_much, kPage); }) == nullptr,
            "there is no such address space");
    require(
        keeping("reserve_sparse", [&] { return LinuxPal::reserve_sparse(too_much); }) == nullptr,
        "there is no such address space");
    void* const p = keeping("reserve_sparse", [&] { return LinuxPal::reserve_sparse(kMiB); });
    require(p != nullptr && !is_readable(static_cast<char*>(p)), "reserved memory is readable");
    LinuxPal::unreserve(p, kMiB);
    require(keeping("could_commit", [&] { return LinuxPal::could_commit(kMiB); }),
            "no MiB of memory");
    require(!keeping("could_commit", [&] { return LinuxPal::could_commit(too_much); }),
            "more memory than addresses");
    require(!keeping("expose", [&] { return LinuxPal::expose(p, kPage); }),
            "pages without a mapping are exposed");
    require(!keeping("commit", [&] { return LinuxPal::commit(p, kPage); }),
            "pages without a mapping are committed");
    require(!keeping("purge", [&] { return LinuxPal::purge(p, kPage); }),
            "pages without a mapping are purged");
}

// Runs in a process of its own, whose address space gets a limit of so much more than it has.
template <class Check>
void limited(std::size_t more, Check check) {
    const pid_t child = ::fork();
    if (child == 0) {
        try {
            std::size_t pages = 0;
            std::ifstream("/proc/self/statm") >> pages;
            const struct rlimit limit = {pages * kPage + more, RLIM_INFINITY};
            require(::setrlimit(RLIMIT_AS, &limit) == 0, "no limit can be set");
            check();
        } catch (const kit::Broken& e) {
            std::fprintf(stderr, "with a limit of %zu more: %s\n", more, e.what());
            std::_Exit(1);
        }
        std::exit(0);
    }
    int status = 0;
    require(child > 0 && ::waitpid(child, &status, 0) == child && status == 0,
            "the limited process ended with status ", status);
}

void limits() {
    require(keeping("address_space_left", LinuxPal::address_space_left) == SIZE_MAX,
            "a limit where there is none");
    limited(512 * kMiB, [] {
        const std::size_t left = keeping("address_space_left", LinuxPal::address_space_left);
        require(left <= 512 * kMiB && left > 500 * kMiB, left, " bytes left");
        require(LinuxPal::could_commit(SIZE_MAX / 2),
                "a trial where there is no address space for it");
        void* const p = LinuxPal::reserve(100 * kMiB, kPage);
        const std::size_t then = LinuxPal::address_space_left();
        require(p != nullptr && then <= left - 100 * kMiB && then > left - 104 * kMiB,
                "100 MiB less are ", then, " of ", left);
    });
    limited(0, [] {
        const struct rlimit less = {kMiB, RLIM_INFINITY};
        require(::setrlimit(RLIMIT_AS, &less) == 0 && LinuxPal::address_space_left() == 0,
                "something is left of a limit that is exceeded");
    });
    // Room for the reservation and none for its alignment: where it is given, it is aligned, and
    // where not, nothing stays.
    limited(256 * kMiB, [] {
        for (int round = 0; round < 20; ++round) {
            const std::size_t before = LinuxPal::address_space_left();
            void* const p =
                keeping("reserve", [] { return LinuxPal::reserve(160 * kMiB, 128 * kMiB); });
            require(hak::address_of(p) % (128 * kMiB) == 0, "not aligned");
            if (p != nullptr) LinuxPal::unreserve(p, 160 * kMiB);
            require(LinuxPal::address_space_left() == before, "something stays reserved");
        }
    });
}

// The vDSO's functions by each of its tables of symbols: what we find is what the loader finds. In
// images that lack something nothing is found.
void images() {
    constexpr std::size_t kTables = 4096;  // lie in the first page
    enum : unsigned { kNoHash = 1, kNoGnuHash = 2, kEmptyGnuHash = 4, kNoTables = 8 };
    const Address vdso = ::getauxval(AT_SYSINFO_EHDR);
    if (vdso == 0) return;  // an emulator maps none
    void* const loaded = ::dlopen("linux-vdso.so.1", RTLD_NOW | RTLD_NOLOAD);
    require(loaded != nullptr, "the loader does not know the vDSO");
    for (const unsigned missing : {0u, 0u + kNoHash, 0u + kNoGnuHash, kNoHash | kNoGnuHash,
                                   kNoHash | kEmptyGnuHash, 0u + kNoTables}) {
        alignas(16) char copy[kTables];
        std::memcpy(copy, pointer_to<void>(vdso), kTables);
        const Address image = address_of(copy);
        const auto* const header = pointer_to<ElfW(Ehdr)>(image);
        auto* const segments = pointer_to<ElfW(Phdr)>(image + header->e_phoff);
        unsigned tables = 0;
        for (unsigned i = 0; i < header->e_phnum; ++i) {
            if (segments[i].p_type != PT_DYNAMIC) continue;
            if ((missing & kNoTables) != 0) segments[i].p_type = PT_NULL;
            for (auto* entry = pointer_to<ElfW(Dyn)>(image + segments[i].p_offset);
                 entry->d_tag != DT_NULL; ++entry) {
                if (entry->d_tag != DT_HASH && entry->d_tag != DT_GNU_HASH) continue;
                const bool is_gnu = entry->d_tag == DT_GNU_HASH;
                auto* const table = pointer_to<std::uint32_t>(image + entry->d_un.d_ptr);
                // Four words, a filter of 64-bit words, the buckets.
                if (is_gnu && (missing & kEmptyGnuHash) != 0)
                    std::memset(table + 4 + 2 * table[2], 0, table[0] * sizeof *table);
                if ((missing & (is_gnu ? kNoGnuHash : kNoHash)) != 0) {
                    entry->d_tag = DT_DEBUG;
                } else if ((missing & (is_gnu ? kEmptyGnuHash | kNoTables : 0u + kNoTables)) == 0) {
                    ++tables;
                }
            }
        }
        require(tables != 0 || missing != 0, "the vDSO has no table of symbols");
        const hak::ElfImage elf(image);
        for (const char* name : {"__vdso_clock_gettime", "__kernel_clock_gettime", "__vdso_getcpu",
                                 "no_such_function", "__vdso", ""}) {
            const Address expected = address_of(::dlsym(loaded, name)), found = elf.find(name);
            require(found == (expected == 0 || tables == 0 ? 0 : expected - vdso + image),
                    "the loader finds another ", name);
        }
    }
    ::dlclose(loaded);
}

void clocks() {
    const std::uint64_t ms = keeping("now_ms", LinuxPal::now_ms),
                        ns = keeping("now_ns", LinuxPal::now_ns);
    const std::uint64_t faults = keeping("page_faults", LinuxPal::page_faults);
    char* const p = static_cast<char*>(LinuxPal::reserve(64 * kPage, kPage));
    LinuxPal::commit(p, 64 * kPage);
    LinuxPal::advise_no_huge(p, 64 * kPage);
    for (std::size_t i = 0; i < 64; ++i) p[i * kPage] = 'x';
    require(LinuxPal::page_faults() >= faults + 64, "pages were provided that are not counted");
    LinuxPal::unreserve(p, 64 * kPage);
    ::usleep(20'000);
    require(LinuxPal::now_ns() - ns >= 20'000'000 && LinuxPal::now_ms() - ms >= 10,
            "a clock stands still");
    require(keeping("ram_bytes", LinuxPal::ram_bytes) >= 64 * kMiB,
            "no machine has so little memory");
    require(keeping("entropy", LinuxPal::entropy) != LinuxPal::entropy(), "entropy repeats itself");
}

}  // namespace

int main(int, char** argv) {
    check_test examples[] = {
        CHECK_TEST(memory), CHECK_TEST(refusals), CHECK_TEST(limits),
        CHECK_TEST(images), CHECK_TEST(clocks),
    };
    return unit::run(argv, examples);
}
