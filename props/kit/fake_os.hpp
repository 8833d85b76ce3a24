// fake_os.hpp: an operating system in one array. It keeps the books of every page, judges what it
// is asked, can be told to fail any call, and its clock stands still until it is advanced. Reserved
// pages hold poison, so that a write to memory without access shows at the next commit, and a read
// of it shows as wrong content; under AddressSanitizer both stop at once.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <set>
#include <source_location>
#include <string>
#include <sys/mman.h>
#include <utility>

#include "base/bits.hpp"
#include "base/types.hpp"

#include "props/kit/broken.hpp"

#if defined(__SANITIZE_ADDRESS__)
#    define KIT_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer)
#        define KIT_ADDRESS_SANITIZER 1
#    endif
#endif
#ifdef KIT_ADDRESS_SANITIZER
#    include <sanitizer/asan_interface.h>
#endif

namespace kit {

// What can fail: calls that change memory, and the arming of a thread's exit hook.
enum class Call : std::uint8_t { reserve, expose, commit, decommit, purge, arm };
inline constexpr unsigned kMemoryCalls = 5, kCalls = 6;
inline constexpr std::array<const char*, kCalls> kCallNames = {"reserve",  "expose", "commit",
                                                               "decommit", "purge",  "arm"};

// Where in the source a call stands.
struct Site {
    Call call;
    std::string file;
    unsigned line = 0, column = 0;
    auto operator<=>(const Site&) const = default;
};

class FakeOs {
  public:
    static constexpr std::size_t kPage = 256, kBytes = std::size_t{1} << 20;

    // The same start for every history: one fixed, highly aligned range; every page without a
    // mapping.
    void reset() {
        if (memory_ == nullptr) map_once();
        std::size_t used = kPages;
        while (used > 0 && pages_[used - 1] == Page::unmapped) --used;
        if (used > 0) set_pages(memory_, used * kPage, Page::unmapped);
        heal();
        counts_ = {};
        now_ms_ = 1000;
        failed_ = 0;
        locks_free_ = nullptr;
        meanwhile_ = nullptr;
        begin_step(kNoBudget);
    }

    // From here on at most `budget` calls may be made until the next step.
    void begin_step(std::uint64_t budget) {
        budget_ = budget;
        failed_in_step_ = 0;
    }
    static constexpr std::uint64_t kNoBudget = UINT64_MAX;

    // The k-th call of this kind from here on fails (1: the next one); `lasting`: and every later
    // one, until heal().
    void fail(Call call, std::uint64_t k, bool lasting) { failures_[index(call)] = {k, lasting}; }
    // The same, whatever its kind.
    void fail_any(std::uint64_t k, bool lasting) { any_ = {k, lasting}; }
    void heal() {
        failures_ = {};
        any_ = {};
    }
    std::uint64_t failed_in_step() const { return failed_in_step_; }
    std::uint64_t failed() const { return failed_; }
    bool is_armed() const {
        for (const Failure& f : failures_) {
            if (f.in != 0) return true;
        }
        return any_.in != 0;
    }
    std::uint64_t count(Call call) const { return counts_[index(call)]; }
    std::uint64_t calls() const {
        std::uint64_t sum = 0;
        for (std::uint64_t n : counts_) sum += n;
        return sum;
    }
    void advance(std::uint64_t ms) { now_ms_ += ms; }
    std::uint64_t now_ms() const { return now_ms_; }
    // Asked at every call: no lock may be held across a system call.
    void set_lock_check(bool (*locks_free)()) { locks_free_ = locks_free; }

    // Runs once, inside the next call: what other threads do while one is in the system.
    void set_meanwhile(std::function<void()> run) { meanwhile_ = std::move(run); }

    bool is_committed(const void* p, std::size_t bytes) const {
        const std::size_t first = offset(p) / kPage,
                          last = (offset(p) + (bytes == 0 ? 0 : bytes - 1)) / kPage;
        for (std::size_t i = first; i <= last; ++i) {
            if (i >= kPages || pages_[i] != Page::committed) return false;
        }
        return true;
    }
    std::size_t committed_bytes(const void* p, std::size_t bytes) const {
        std::size_t sum = 0;
        for (std::size_t i = offset(p) / kPage; i < (offset(p) + bytes) / kPage; ++i)
            sum += pages_[i] == Page::committed ? kPage : 0;
        return sum;
    }

    void* reserve(std::size_t bytes, std::size_t alignment) {
        require(hak::is_power_of_two(alignment) && bytes % kPage == 0, "reserve: ", bytes,
                " bytes aligned to ", alignment);
        if (!enter(Call::reserve) || bytes > kBytes) return nullptr;
        for (std::size_t i = 0; i < bytes / kPage; ++i)
            require(pages_[i] == Page::unmapped, "reserve: a second reservation");
        set_pages(memory_, bytes, Page::reserved);
        advise_dump(memory_, bytes, true);
        return memory_;
    }
    void unreserve(void* p, std::size_t bytes) {
        set_pages(checked(p, bytes, "unreserve"), bytes, Page::unmapped);
    }
    bool expose(void* p, std::size_t bytes) {
        unsigned char* const begin = checked(p, bytes, "expose");
        if (!enter(Call::expose)) return false;
        each(begin, bytes, [&](std::size_t i) {
            require(pages_[i] == Page::reserved, "expose: a page is not merely reserved");
            open(i, Page::exposed);
        });
        return true;
    }
    bool commit(void* p, std::size_t bytes) {
        unsigned char* const begin = checked(p, bytes, "commit");
        if (!enter(Call::commit)) return false;
        each(begin, bytes, [&](std::size_t i) {
            require(dumped_[i], "commit: no core dump holds the page");
            if (pages_[i] != Page::committed) open(i, Page::committed);
        });
        return true;
    }
    bool decommit(void* p, std::size_t bytes) {
        unsigned char* const begin = checked(p, bytes, "decommit");
        each(begin, bytes, [&](std::size_t i) {
            require(pages_[i] == Page::committed, "decommit: a page is not committed");
        });
        if (!enter(Call::decommit)) return false;
        set_pages(begin, bytes, Page::reserved);
        return true;
    }
    // A purge that fails may have purged a part.
    bool purge(void* p, std::size_t bytes) {
        unsigned char* const begin = checked(p, bytes, "purge");
        each(begin, bytes, [&](std::size_t i) {
            require(pages_[i] == Page::committed, "purge: a page is not committed");
        });
        const bool works = enter(Call::purge);
        std::memset(begin, 0, works ? bytes : bytes / 2);
        return works;
    }
    void advise(void* p, std::size_t bytes) { checked(p, bytes, "advise"); }
    void advise_dump(void* p, std::size_t bytes, bool dumped) {
        each(checked(p, bytes, "advise_dump"), bytes, [&](std::size_t i) { dumped_[i] = dumped; });
    }
    // What a core dump holds, if it writes pages without access, too.
    std::size_t dumped_bytes() const {
        std::size_t sum = 0;
        for (std::size_t i = 0; i < kPages; ++i)
            sum += pages_[i] != Page::unmapped && dumped_[i] ? kPage : 0;
        return sum;
    }
    bool arm() { return enter(Call::arm); }

    // The next call stands there. Those that failed are remembered, across resets.
    void come_from(const std::source_location& where) { where_ = where; }
    const std::set<Site>& failed_sites() const { return failed_sites_; }

  private:
    enum class Page : std::uint8_t { unmapped, reserved, exposed, committed };
    struct Failure {
        std::uint64_t in = 0;
        bool lasting = false;
    };
    static constexpr std::size_t kPages = kBytes / kPage;
    static constexpr unsigned char kPoison = 0xdd;

    static unsigned index(Call call) { return static_cast<unsigned>(call); }
    std::size_t offset(const void* p) const {
        return hak::address_of(p) - hak::address_of(memory_);
    }

    void map_once() {
        void* const raw =
            ::mmap(nullptr, 2 * kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (raw == MAP_FAILED) throw std::bad_alloc();
        memory_ = hak::pointer_to<unsigned char>(hak::align_up(hak::address_of(raw), kBytes));
        set_pages(memory_, kBytes, Page::unmapped);
    }

    bool hits(Failure& failure) {
        if (failure.in == 0) return false;
        if (--failure.in != 0) return false;
        if (failure.lasting) failure.in = 1;
        return true;
    }
    // False: this call shall fail.
    bool enter(Call call) {
        counts_[index(call)] += 1;
        require(locks_free_ == nullptr || locks_free_(), kCallNames[index(call)],
                ": a lock is held across a system call");
        require(budget_-- != 0, kCallNames[index(call)],
                ": the step's budget of system calls is spent");
        if (meanwhile_) std::exchange(meanwhile_, nullptr)();
        const bool one = hits(failures_[index(call)]), other = hits(any_);
        if (!one && !other) return true;
        failed_in_step_ += 1;
        failed_ += 1;
        failed_sites_.insert({call, where_.file_name(), where_.line(), where_.column()});
        return false;
    }

    unsigned char* checked(void* p, std::size_t bytes, const char* name) const {
        require(offset(p) <= kBytes && bytes <= kBytes - offset(p) && bytes != 0, name,
                ": not in the reservation");
        require(offset(p) % kPage == 0 && bytes % kPage == 0, name, ": not whole pages");
        each(static_cast<unsigned char*>(p), bytes, [&](std::size_t i) {
            require(pages_[i] != Page::unmapped, name, ": a page is not reserved");
        });
        return static_cast<unsigned char*>(p);
    }
    template <class Visit>
    void each(const unsigned char* p, std::size_t bytes, Visit visit) const {
        for (std::size_t i = offset(p) / kPage; i < (offset(p) + bytes) / kPage; ++i) visit(i);
    }
    // A page becomes accessible; its content must be what nobody could have changed.
    void open(std::size_t i, Page to) {
        unsigned char* const page = memory_ + i * kPage;
        const unsigned char want = pages_[i] == Page::exposed ? 0 : kPoison;
#ifdef KIT_ADDRESS_SANITIZER
        ASAN_UNPOISON_MEMORY_REGION(page, kPage);
#endif
        const bool is_untouched = page[0] == want && std::memcmp(page, page + 1, kPage - 1) == 0;
        require(is_untouched, "page ", i, " was written while it had no write access");
        std::memset(page, 0, kPage);
        pages_[i] = to;
    }
    void set_pages(unsigned char* begin, std::size_t bytes, Page to) {
#ifdef KIT_ADDRESS_SANITIZER
        ASAN_UNPOISON_MEMORY_REGION(begin, bytes);
#endif
        std::memset(begin, kPoison, bytes);
#ifdef KIT_ADDRESS_SANITIZER
        ASAN_POISON_MEMORY_REGION(begin, bytes);
#endif
        each(begin, bytes, [&](std::size_t i) { pages_[i] = to; });
    }

    unsigned char* memory_ = nullptr;
    mutable std::array<Page, kPages> pages_{};
    std::array<bool, kPages> dumped_{};
    std::array<Failure, kCalls> failures_{};
    Failure any_{};
    std::array<std::uint64_t, kCalls> counts_{};
    std::uint64_t now_ms_ = 0, budget_ = kNoBudget, failed_ = 0, failed_in_step_ = 0;
    bool (*locks_free_)() = nullptr;
    std::function<void()> meanwhile_;
    std::source_location where_;
    std::set<Site> failed_sites_;
};

inline FakeOs os;

}  // namespace kit
