// pal.hpp: what the allocator asks of an operating system. LinuxPal ships; a fake one can be told
// to fail any of these.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>

namespace hak {

// reserve     address space without access; null if there is none. Not counted against commit
//             limits.
// unreserve   gives a whole reservation back; used only where start-up fails.
// expose      makes reserved pages readable as zeros, at no commit charge.
// commit      makes reserved or exposed pages readable and writable, zero where they were never
//             written; false: nothing changed.
// decommit    back to no access, contents and commit charge gone; false: nothing changed. Opens no
//             hole in the address space.
// could_commit  whether the system would give so much memory now; a trial without effect, and a
//               guess.
// purge       contents gone, pages stay committed; true only if they are zero afterwards.
// advise_*    hints; failure has no meaning. advise_no_dump: core dumps leave it out, advise_dump:
//             they hold it, as at first.
// sleep_while(word, value)  returns when woken, when *word != value, or spuriously.
//                           wake_one(word).
// thread_id   a value that no other live thread has.
template <class P>
concept PalPolicy = requires(void* p, std::size_t n, std::uint32_t* word) {
    { P::page_bytes() } -> std::same_as<std::size_t>;
    { P::ram_bytes() } -> std::same_as<std::size_t>;
    { P::address_space_left() } -> std::same_as<std::size_t>;
    { P::reserve(n, n) } -> std::same_as<void*>;
    P::unreserve(p, n);
    { P::expose(p, n) } -> std::same_as<bool>;
    { P::commit(p, n) } -> std::same_as<bool>;
    { P::decommit(p, n) } -> std::same_as<bool>;
    { P::could_commit(n) } -> std::same_as<bool>;
    { P::purge(p, n) } -> std::same_as<bool>;
    P::advise_huge(p, n);
    P::advise_no_huge(p, n);
    P::advise_dump(p, n);
    P::advise_no_dump(p, n);
    { P::now_ms() } -> std::same_as<std::uint64_t>;
    { P::entropy() } -> std::same_as<std::uint64_t>;
    { P::thread_id() } -> std::same_as<std::uintptr_t>;
    P::sleep_while(word, std::uint32_t{});
    P::wake_one(word);
};

}  // namespace hak
