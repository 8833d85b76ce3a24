// lock_ranks.hpp: the rules of src/sys/lock.hpp, checked in a process with real threads while the
// library runs. A thread takes locks in the order of src/sys/lock_rank.hpp, none twice; it
// changes memory through the system with neither registry nor pool held, and sleeps for anything
// but a lock with none held, or with start alone where fork waits for visitors. Whatever breaks a
// rule ends the process with one line. hakmem_core_audited is built in this world; include this
// before the library's own headers.
#pragma once

#include "sys/pal_linux.hpp"
#include "sys/probe_sanitizer.hpp"

namespace kit {

struct RankProbe : hak::DefaultProbe {
    static void on_lock(const void* lock);
    static void on_unlock(const void* lock);
};

// Each call says that it happens before it happens, and may be made to wait there
// (hak_in_system_call).
struct RankPal : hak::LinuxPal {
    static void before_call(const char* call);
    static void before_sleep(const std::uint32_t* word);

    static void* reserve(std::size_t n, std::size_t alignment) {
        return before_call("reserve"), LinuxPal::reserve(n, alignment);
    }
    static bool expose(void* p, std::size_t n) {
        return before_call("expose"), LinuxPal::expose(p, n);
    }
    static bool commit(void* p, std::size_t n) {
        return before_call("commit"), LinuxPal::commit(p, n);
    }
    static bool decommit(void* p, std::size_t n) {
        return before_call("decommit"), LinuxPal::decommit(p, n);
    }
    static bool purge(void* p, std::size_t n) {
        return before_call("purge"), LinuxPal::purge(p, n);
    }
    static void sleep_while(std::uint32_t* word, std::uint32_t value) {
        before_sleep(word);
        LinuxPal::sleep_while(word, value);
    }
};

}  // namespace kit

#define HAKMEM_PROBE ::kit::RankProbe
#define HAKMEM_PAL ::kit::RankPal
