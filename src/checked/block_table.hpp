// block_table.hpp: what the debug build knows of each block: a word for each 16 bytes of the
// window, in a mapping of its own, where no stray write of the client reaches it.
//
// The word at a block's client address says that the block is live or was freed, and how it was
// asked for. The word at the start of the memory that holds it (its base, `front` bytes before)
// says how far the client's address is. A word stays until the memory is handed out again, so that
// a second free is known as one for as long as nobody has the memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bits.hpp"
#include "base/claim.hpp"
#include "base/config.hpp"
#include "base/types.hpp"

#include "sys/lock.hpp"
#include "sys/probe.hpp"
#include "sys/sync.hpp"
#include "sys/world.hpp"

#include "mem/window.hpp"

#include "heap/lifecycle.hpp"

namespace hak {

enum class RecordKind : std::uint8_t {
    none,
    live,   // at the client's address
    freed,  // at the client's address
    held,   // at the base of a block that is live or in the quarantine
    // at the base of a block in the heap's lists; the client's bytes hold kFreedByte since it left
    // the quarantine
    idle,
};

class Record {
  public:
    static constexpr std::size_t kBytesMax = (std::size_t{1} << 48) - 1;

    constexpr Record() = default;
    explicit constexpr Record(std::uint64_t word) : word_(word) {}
    // Precondition: bytes <= kBytesMax; alignment is 0, for none, or a power of two.
    constexpr Record(RecordKind kind, Origin origin, std::size_t alignment, std::size_t bytes)
        : word_(static_cast<std::uint64_t>(kind) | static_cast<std::uint64_t>(origin) << 3 |
                (alignment == 0 ? 0u : log2_floor(alignment) + 1u) << 5 |
                static_cast<std::uint64_t>(bytes) << 16) {}

    constexpr std::uint64_t word() const { return word_; }
    constexpr RecordKind kind() const { return static_cast<RecordKind>(word_ & 7); }
    constexpr Origin origin() const { return static_cast<Origin>(word_ >> 3 & 3); }
    constexpr std::size_t alignment() const {
        return (word_ >> 5 & 127) == 0 ? 0 : std::size_t{1} << ((word_ >> 5 & 127) - 1);
    }
    constexpr std::size_t bytes() const { return static_cast<std::size_t>(word_ >> 16); }
    constexpr Record as(RecordKind kind) const {
        return Record((word_ & ~std::uint64_t{7}) | static_cast<std::uint64_t>(kind));
    }
    // From the base to the client's address: a guard, and as much as the alignment takes.
    constexpr std::size_t front() const { return front_of(alignment()); }

    static constexpr std::size_t front_of(std::size_t alignment) {
        return alignment < kMinAlignment ? kMinAlignment : alignment;
    }

  private:
    std::uint64_t word_ = 0;
};

template <World W>
class BlockTable {
  public:
    constexpr BlockTable() = default;

    // none for an address without a record. acquire: pairs with the release of write() and
    // change(): the block's guards are in place.
    Record read(Address a) const {
        const Word* const word = find(a);
        return word == nullptr ? Record() : Record(word->load(order::acquire));
    }
    // Precondition: made ready.
    void write(Address a, Record record) {
        find(a)->store(record.word(), order::release);  // release: pairs with read()
    }
    // Of two threads that give one block back, one succeeds. On failure `from` is what stands
    // there.
    bool change(Address a, Record& from, Record to) {
        std::uint64_t seen = from.word();
        // acq_rel, acquire: pairs with itself, write() and read(): whoever finds the block freed
        // sees what was done to it before.
        if (find(a)->cas_strong(seen, to.word(), order::acq_rel, order::acquire)) return true;
        from = Record(seen);
        return false;
    }
    // The memory at `a` begins another life, whose bytes nobody knows.
    void forget(Address a) {
        if (a < end_.load(order::acquire)) write(a, Record());  // acquire: pairs with make_ready()
    }
    // Makes the records of [window, a] writable; false if there is no memory. Idempotent; several
    // threads may run it at once.
    bool make_ready(Address a) {
        if (a < end_.load(order::acquire)) return true;  // acquire: pairs with the release below
        return open() && grow(a);
    }

  private:
    using Word = Atomic<W, std::uint64_t>;

    Word* find(Address a) const {
        Word* const words = words_.load(order::acquire);  // acquire: pairs with open()
        return words == nullptr || !window<W>.contains(a)
                   ? nullptr
                   : words + (a - window<W>.base()) / kMinAlignment;
    }
    std::size_t table_bytes(std::size_t window_bytes) const {
        return window_bytes / kMinAlignment * sizeof(Word);
    }

    // Reserves the table for the whole window, readable as zeros. Precondition: the window is open.
    bool open() {
        LockGuard<W> guard(start_lock<W>);
        if (words_.load(order::relaxed) != nullptr) return true;  // relaxed: written under the lock
        const std::size_t bytes = table_bytes(window<W>.bytes());
        void* const memory = W::Pal::reserve_sparse(bytes);
        if (memory == nullptr) return false;
        if (!W::Pal::expose(memory, bytes)) {
            W::Pal::unreserve(memory, bytes);
            return false;
        }
        W::Pal::advise_no_huge(memory, bytes);
        W::Pal::advise_no_dump(memory, bytes);
        // release: pairs with find()
        words_.store(pointer_to<Word>(address_of(memory)), order::release);
        return true;
    }
    // The writable part is a prefix that grows in steps of an eighth, so that the table is two
    // mappings.
    bool grow(Address a) {
        constexpr std::size_t kStep = Window<W>::kSuperSlabBytes;
        // relaxed: a guess
        const std::size_t ready =
            end_.load(order::relaxed) == 0 ? 0 : end_.load(order::relaxed) - window<W>.base();
        const std::size_t need = a - window<W>.base() + 1;
        std::size_t target = align_up(need > ready + ready / 8 ? need : ready + ready / 8, kStep);
        if (target > window<W>.bytes()) target = window<W>.bytes();
        Word* const words = words_.load(order::relaxed);  // relaxed: open() has run in this thread
        W::Pal::advise_dump(words, table_bytes(target));
        if (!W::Pal::commit(words, table_bytes(target))) return false;
        typename W::Sync::Loop loop;
        for (Address seen = end_.load(order::relaxed); seen < window<W>.base() + target;
             loop.retry()) {
            // release: pairs with make_ready()
            if (end_.cas_weak(seen, window<W>.base() + target, order::release, order::relaxed))
                break;
        }
        return true;
    }

    Atomic<W, Word*> words_{};
    Atomic<W, Address> end_{};
};

template <World W>
inline constinit BlockTable<W> block_table{};

// The probe of the debug build. A block that comes from a slab's untouched part has no history that
// its bytes would prove.
template <class W>
struct DebugProbe : NoProbe {
    static void on_carve(void* p) { block_table<W>.forget(address_of(p)); }
};

}  // namespace hak
