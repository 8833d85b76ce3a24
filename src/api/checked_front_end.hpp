// checked_front_end.hpp: the debug build's front end: every call goes through CheckedHeap, and what
// it finds becomes one line and abort().
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "base/attrs.hpp"
#include "base/bits.hpp"
#include "base/claim.hpp"
#include "base/types.hpp"

#include "sys/probe.hpp"
#include "sys/text.hpp"
#include "sys/world.hpp"

#include "heap/heap.hpp"

#include "api/direct_front_end.hpp"
#include "api/real_world.hpp"
#include "checked/block_table.hpp"
#include "checked/checked_heap.hpp"
#include "checked/finding.hpp"
#include "checked/quarantine.hpp"

namespace hak {

struct Reporter {
    [[noreturn]] HAK_COLD static void misuse(const Finding& f) {
        Text text;
        text << "hakmem: " << f.function << "(" << pointer_to<void>(f.p)
             << "): " << text_of(f.what);
        if (f.what == Misuse::behind || f.what == Misuse::before || f.what == Misuse::overwritten) {
            signed_number(text << " (byte ", f.offset) << ")";
        } else if (f.what == Misuse::wrong_size ||
                   (f.what == Misuse::wrong_alignment && f.said != 0) ||
                   f.what == Misuse::bad_alignment) {
            text << " (" << static_cast<std::uint64_t>(f.said) << ")";
        } else if (f.what == Misuse::wrong_alignment) {
            text << " (none)";
        }
        describe_block(text, f);
        (text << "\n").print();
        // A handler of SIGABRT that allocates borrows a heap: this one may be in the middle of a
        // slow path.
        tls_heap = &exited_heap<RealWorld>;
        std::abort();
    }

  private:
    static Text& signed_number(Text& text, std::ptrdiff_t value) {
        if (value < 0) text << "-";
        return text << static_cast<std::uint64_t>(value < 0 ? -value : value);
    }
    static void describe_block(Text& text, const Finding& f) {
        if (f.block.kind() == RecordKind::none) return;
        text << "; ";
        if (f.what == Misuse::misaligned || f.what == Misuse::interior ||
            f.what == Misuse::not_allocated) {
            text << static_cast<std::uint64_t>(f.offset < 0 ? -f.offset : f.offset)
                 << (f.offset < 0 ? " bytes before " : " bytes into ");
            if (f.block.kind() == RecordKind::freed) text << "freed ";
        }
        text << static_cast<std::uint64_t>(f.block.bytes()) << " bytes from "
             << name_of(f.block.origin());
        if (f.block.alignment() != 0)
            text << " aligned to " << static_cast<std::uint64_t>(f.block.alignment());
    }
};

struct CheckedFrontEnd {
    using World = RealWorld;
    template <Activity kActivity>
    using Timed = hak::Timed<RealWorld, kActivity>;
    using Blocks = CheckedHeap<RealWorld, Reporter>;

    static void* allocate_hit(std::size_t) { return nullptr; }
    static void* allocate_missed(std::size_t bytes, Origin origin) {
        return Blocks::allocate({name_of(origin), origin, 0, bytes});
    }
    static void* allocate_missed_at(std::size_t bytes, const void*) {
        return allocate_missed(bytes, Origin::malloc);
    }
    static void* allocate_zeroed(std::size_t bytes) {
        return Blocks::allocate({"calloc", Origin::malloc, 0, bytes, true});
    }
    static void* allocate_aligned(std::size_t alignment, std::size_t bytes, Origin origin) {
        const char* const function = origin == Origin::malloc ? "memalign" : name_of(origin);
        if (!is_power_of_two(alignment))
            Reporter::misuse({Misuse::bad_alignment, function, 0, {}, 0, alignment});
        return Blocks::allocate({function, origin, alignment, bytes});
    }
    static void* reallocate(void* p, std::size_t bytes) {
        return Blocks::reallocate(p, bytes, {"realloc"});
    }
    static void deallocate(void* p, const Claim& claim) { Blocks::deallocate(p, claim); }
    static std::size_t usable_size(const void* p) {
        return Blocks::usable_size(p, "malloc_usable_size");
    }
    static bool trim() {
        Blocks::empty_quarantine("malloc_trim");
        return DirectFrontEnd<RealWorld>::trim();
    }
    static bool check_all(const char* function) {
        Blocks::check_all(function);
        return true;
    }
    static void before_fork() { quarantine<RealWorld>.lock().acquire(); }
    static void after_fork(bool is_child) {
        if (is_child) {
            quarantine<RealWorld>.lock().reset();
        } else {
            quarantine<RealWorld>.lock().release();
        }
    }
};

}  // namespace hak
