// sync.hpp: the Sync policy under which production source is explored. Atomic<T> and Plain<T> hold
// a T and nothing else, so that sizes, pointer arithmetic, links inside free blocks and
// placement-new are those of production; the explorer keys by address.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <source_location>
#include <type_traits>

namespace explorer {

namespace word {  // the explorer's side; values travel as bits

using Where = std::source_location;
using Order = std::memory_order;

enum class Update : std::uint8_t { exchange, add, subtract };

std::uint64_t load(const void* p, unsigned bytes, Order order, const Where& where);
void store(void* p, unsigned bytes, std::uint64_t value, Order order, const Where& where);
std::uint64_t update(void* p, unsigned bytes, Update kind, std::uint64_t operand, Order order,
                     const Where& where);
bool cas(void* p, unsigned bytes, std::uint64_t& expected, std::uint64_t desired, Order success,
         Order failure, bool weak, const Where& where);
void fence(Order order, const Where& where);
void construct_atomic(void* p, unsigned bytes, std::uint64_t value);

// called before the bytes are read
void read_plain(const void* p, unsigned bytes, const Where& where);
// called before the bytes are written
void write_plain(void* p, unsigned bytes, const Where& where);

// Where a round of a loop began: how much its thread had read, written and decided until then.
struct Round {
    std::uint32_t reads = 0, writes = 0, decisions = 0;
};
void begin(Round& round);
void retry(Round& round, const Where& where);
void wait(Round& round, const Where& where);

template <class T>
constexpr std::uint64_t to_bits(T value) {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= sizeof(std::uint64_t));
    std::uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof(T));
    return bits;
}
template <class T>
T from_bits(std::uint64_t bits) {
    T value;
    std::memcpy(&value, &bits, sizeof(T));
    return value;
}

}  // namespace word

struct Sync {
    using Where = word::Where;
    using Order = word::Order;

    template <class T>
    class Atomic {
      public:
        constexpr Atomic() : Atomic(T{}) {}
        explicit constexpr Atomic(T value) : value_(announced(&value_, value)) {}
        Atomic(const Atomic&) = delete;
        Atomic& operator=(const Atomic&) = delete;

        T load(Order o, const Where& where = Where::current()) const {
            return word::from_bits<T>(word::load(&value_, sizeof(T), o, where));
        }
        void store(T value, Order o, const Where& where = Where::current()) {
            word::store(&value_, sizeof(T), word::to_bits(value), o, where);
        }
        T exchange(T value, Order o, const Where& where = Where::current()) {
            return update(word::Update::exchange, value, o, where);
        }
        T fetch_add(T value, Order o, const Where& where = Where::current()) {
            return update(word::Update::add, value, o, where);
        }
        T fetch_sub(T value, Order o, const Where& where = Where::current()) {
            return update(word::Update::subtract, value, o, where);
        }
        bool cas_weak(T& expected, T desired, Order success, Order failure,
                      const Where& where = Where::current()) {
            return cas(expected, desired, success, failure, true, where);
        }
        bool cas_strong(T& expected, T desired, Order success, Order failure,
                        const Where& where = Where::current()) {
            return cas(expected, desired, success, failure, false, where);
        }

      private:
        // The explorer keeps what the place held before, so that it must know of the construction
        // before the value is there.
        static constexpr T announced(T* place, T value) {
            if (!std::is_constant_evaluated())
                word::construct_atomic(place, sizeof(T), word::to_bits(value));
            return value;
        }
        T update(word::Update kind, T operand, Order o, const Where& where) {
            return word::from_bits<T>(
                word::update(&value_, sizeof(T), kind, word::to_bits(operand), o, where));
        }
        bool cas(T& expected, T desired, Order success, Order failure, bool weak,
                 const Where& where) {
            std::uint64_t seen = word::to_bits(expected);
            const bool done = word::cas(&value_, sizeof(T), seen, word::to_bits(desired), success,
                                        failure, weak, where);
            expected = word::from_bits<T>(seen);
            return done;
        }

        T value_;
    };

    template <class T>
    class Plain {
      public:
        constexpr Plain() : Plain(T{}) {}
        explicit constexpr Plain(T value, const Where& where = Where::current())
            : value_(announced(&value_, value, where)) {}
        constexpr Plain(const Plain& other) : Plain(other.get()) {}
        constexpr Plain& operator=(const Plain& other) {
            set(other.get());
            return *this;
        }

        constexpr T get(const Where& where = Where::current()) const {
            if (!std::is_constant_evaluated()) word::read_plain(&value_, sizeof(T), where);
            return value_;
        }
        constexpr void set(T value, const Where& where = Where::current()) {
            if (!std::is_constant_evaluated()) word::write_plain(&value_, sizeof(T), where);
            value_ = value;
        }

      private:
        static constexpr T announced(T* place, T value, const Where& where) {
            if (!std::is_constant_evaluated()) word::write_plain(place, sizeof(T), where);
            return value;
        }

        T value_;
    };

    static void fence(Order o, const Where& where = Where::current()) { word::fence(o, where); }
    static void pause() {}
    // How often a lock looks again before it sleeps: the first wait() stops the thread, so more
    // rounds show nothing more.
    static constexpr int kSpins = 1;
    // What is explored is what several threads do.
    static constexpr bool is_alone() { return false; }

    // Marks a loop that goes round until another thread has acted. Construct it before the first
    // load that the loop depends on. retry(): a cas failed, and the next round begins with what it
    // read. The execution in which that read comes later covers this one, so it is cut, unless this
    // round stored to an atomic word. A round's plain writes must be dead: written again by the
    // next round. wait(): this round found nothing to do and would find the same again. The thread
    // stops; if at the end all threads that are left have stopped with the newest values read, they
    // would wait for ever, which is a failure.
    class Loop {
      public:
        Loop() { word::begin(round_); }
        void retry(const Where& where = Where::current()) { word::retry(round_, where); }
        void wait(const Where& where = Where::current()) { word::wait(round_, where); }

      private:
        word::Round round_;
    };
};

}  // namespace explorer
